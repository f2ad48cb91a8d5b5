# SPDX-License-Identifier: Apache-2.0
"""The ceremonies of days' keys, by buttons: the keys are made in advance, merged for a group of officers, and destroyed
after their day, with a certificate that two people sign. Each runs the command of its name."""

from __future__ import annotations

import argparse
import io
import itertools
from dataclasses import dataclass, field
from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.sealing.keylist import KeyList
from linetap_desk.ceremony import certificate, epoch, keygen
from linetap_desk.ceremony.certificate import Certificate
from linetap_desk.ceremony.epoch import add_destroy_arguments
from linetap_desk.ceremony.sheets import OFFICER
from linetap_desk.custody.program import commanding, steps
from linetap_desk.custody.program.settings import Settings

CERTIFICATES = "certificates"  # subfolder of the output folder
_LIST = "keylist.json"
_MOST_LATE, _MOST_SHOWN = 10, 31


@dataclass(frozen=True, slots=True)
class DaysForm:
    """The form as typed. `first`: empty for the day after the list's last; `custodians`: empty for the present ones."""

    first: str
    days: str
    longest: str
    custodians: list[str]
    custodians_needed: str
    overflow: bool
    on_paper: bool


@dataclass(frozen=True, slots=True)
class NewKeyList:
    """The result. `sheets`: must be printed now and are stored nowhere else; empty if a medium has the keys."""

    key_list: Path
    lines: list[str]
    sheets: list[str] = field(default_factory=list)


def current(settings: Settings) -> KeyList | None:
    """The chosen list; None without a readable one."""
    path = settings.path("keylist")
    try:
        return None if path is None else keygen.load_list(path)
    except BadInput:
        return None


def make_days(wanted: DaysForm, settings: Settings, clock: Clock) -> NewKeyList:
    """Makes a first list, or the next version of the chosen one in the same folder. It is signed elsewhere."""
    old_path = settings.path("keylist")
    old = None if old_path is None else keygen.load_list(old_path)
    target = _next(settings, old_path, old)
    words = [f"--days={wanted.days}", f"--longest-class={wanted.longest}", f"--output={target}"]
    words += [f"--from={wanted.first}"] if wanted.first else []
    words += [f"--extend={old_path}"] if old is not None else []
    words += [f"--overflow={old.overflow[-1].number + 1}"] if old is not None and wanted.overflow else []
    words += [f"--custodian={each}" for each in wanted.custodians]
    words += [f"--custodians-needed={wanted.custodians_needed}"] if wanted.custodians else []
    if not wanted.on_paper:
        words.append(f"--all-on-one-medium={steps.needed(settings, 'medium')}")
    paper = io.StringIO()

    def run(args: argparse.Namespace, clock: Clock) -> int:
        return keygen.make_epochs(args, clock, paper)

    lines = steps.run_command([keygen.add_epochs_arguments], run, clock, *words)
    return NewKeyList(target, [*lines, str(target)], [page for page in paper.getvalue().split("\f") if page.strip()])


def merge(lists: list[Path], needed: str, settings: Settings, clock: Clock) -> NewKeyList:
    """Makes a group's list from those that its officers made alone."""
    if len(lists) < 2:
        raise BadInput("choose the list of each officer first: 2 or more")
    old_path = settings.path("keylist")
    old = None if old_path is None or old_path in lists else keygen.load_list(old_path)
    target = _next(settings, old_path, old)
    words: list[object] = [f"--needed={needed}", f"--output={target}", "--merge", *lists]
    words += [f"--extend={old_path}"] if old is not None else []
    lines = steps.run_command([keygen.add_epochs_arguments], keygen.make_epochs, clock, *words)
    return NewKeyList(target, [*lines, str(target)])


def _next(settings: Settings, old_path: Path | None, old: KeyList | None) -> Path:
    """The path of the next list, in the folder of the old one: the canaries of all versions are there."""
    if old is None or old_path is None:
        return steps.output_of(settings) / _LIST
    return old_path.with_name(f"keylist-{old.version + 1}.json")


@dataclass(frozen=True, slots=True)
class Destruction:
    """The form as typed. `from_sheets`: the answer to the question about a canary, by the canary's name without suffix;
    `shredded`: the day, typed after each sheet is destroyed."""

    day: str
    media: list[Path]
    sheets: str
    from_sheets: dict[str, str]
    shredded: str
    officers: list[str]
    rule: str
    today: str


def destroy(
    asked: Destruction, settings: Settings, second: Path | None, desk: Path, clock: Clock, *, only_check: bool
) -> list[str]:
    """Destroys the keys of a day. `second`: the second person's signing key. `only_check`: checks, without
    destroying."""
    words: list[object] = [
        f"--vault={steps.needed(settings, 'vaults')}", f"--holds={steps.needed(settings, 'holds')}",
        f"--list={steps.needed(settings, 'keylist')}", f"--key={steps.needed(settings, 'signing')}",
        f"--certificates={steps.output_of(settings) / CERTIFICATES}", f"--sheets={asked.sheets or 0}", f"--desk={desk}",
        f"--rule={asked.rule or 'retention'}",
    ]  # fmt: skip
    words += [f"--medium={path}" for path in asked.media]
    words += [f"--officer={number}" for number in asked.officers]
    words += [f"--today={asked.today}"] if asked.today else []
    words += [f"--signers={found}"] if (found := steps.signers_of(desk)) is not None else []
    if only_check:
        words.append("--check")
    elif second is None:
        raise BadInput("choose the second person's signing key first")
    words += [f"--second={second}"] if second is not None else []

    is_asked_again = any(certificate.places_begun(steps.output_of(settings) / CERTIFICATES, asked.day))

    def ask(question: str) -> str:
        if question.startswith("Shred"):  # a sheet is shredded once its key was proven, as it cannot be typed again
            return asked.shredded if is_asked_again else ""
        for name, key in asked.from_sheets.items():  # of a group with the officer's number behind it
            if question.startswith((f"The key of {name}, ", f"The key of {name}.{OFFICER}")):
                return key
        return ""

    def run(args: argparse.Namespace, clock: Clock) -> int:
        return epoch.destroy_keys(args, clock, ask)

    return steps.run_command([add_destroy_arguments], run, clock, *words, "--", asked.day)


# --- after a destruction ----------------------------------------------------------------------------------------------


def late(settings: Settings, clock: Clock) -> list[str]:
    """A line for each ended day without a certificate, as `epoch overdue` prints it; only the first few."""
    key_list = current(settings)
    if key_list is None or not settings.output:
        return []
    lines = certificate.overdue(key_list, steps.output_of(settings) / CERTIFICATES, clock.utc_ns(), None)
    return list(itertools.islice(lines, _MOST_LATE))


def certificates(settings: Settings) -> dict[str, Certificate | str]:
    """The certificates by file name, the newest first; for an unreadable one the reason."""
    if not settings.output:
        return {}
    paths = sorted((steps.output_of(settings) / CERTIFICATES).glob(f"*{certificate.SUFFIX}"), reverse=True)
    return {path.name: _read(path) for path in paths[:_MOST_SHOWN]}


def _read(path: Path) -> Certificate | str:
    try:
        return certificate.read(path, None)
    except LinetapError as error:
        return str(error)


def sign_commands(name: str, settings: Settings, desk: Path, clock: Clock) -> list[str]:
    """Signs a command with this certificate for each unit of the published signers, in one file for the desk's page."""
    if not isinstance(certificates(settings).get(name), Certificate):
        raise BadInput("choose a certificate")
    path = steps.output_of(settings) / CERTIFICATES / name
    words: list[object] = ["--verb=destroy", "--role=vault", f"--document={path}"]
    units = commanding.published_units(desk)
    return commanding.signed(words, units, name.removesuffix(certificate.SUFFIX), settings, desk, clock)
