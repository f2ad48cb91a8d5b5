# SPDX-License-Identifier: Apache-2.0
"""The steps that re-wrap keys of calls: holds with their commands, overflow calls for their days, and the second
officer's checks. Each runs the command of its name (steps.py)."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

from linetap_core.clock import Clock, compact, from_utc_ns
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput, LinetapError, Refusal
from linetap_core.evidence import sealing
from linetap_core.evidence.authorization.command import SUFFIX
from linetap_core.evidence.calls import hold as holds
from linetap_desk.ceremony import hold, keygen, rewrap
from linetap_desk.custody.program import steps
from linetap_desk.custody.program.downloads import CallPapers, OverflowCalls
from linetap_desk.custody.program.settings import Settings
from linetap_desk.inputs import strict
from linetap_desk.release.holdrequest import HoldRequest
from linetap_desk.unitcommands import command
from linetap_desk.unsealing.wrapped import CHECK_SUFFIX


def hold_key(settings: Settings, clock: Clock) -> tuple[Path, str]:
    """Makes a key for holds; returns the new file and its public key."""
    day = from_utc_ns(clock.utc_ns()).astimezone().strftime("%Y-%m-%d")
    target = steps.output_of(settings) / f"hold-{day}.txt"
    return target, steps.run_command([keygen.add_arguments], keygen.run, clock, "epoch", f"--output={target}")[-1]


def hold_call(
    papers: CallPapers, settings: Settings, identities: list[Path], to: str, partial: str, again: bool, desk: Path,
    clock: Clock,
) -> list[str]:  # fmt: skip
    """Wraps the call's key for the hold's key, and signs the command to its unit. In a group all but the last officer
    write a partial. `again`: uses the key of an earlier hold, since the day's key is destroyed."""
    asked = papers.asked
    if asked is None:
        raise BadInput("this file requests no hold")
    signing, output = steps.needed(settings, "signing"), steps.output_of(settings)
    target = output / f"{asked.id}{SUFFIX}"
    privatefile.require_new(target)
    made = output / f"hold-{asked.id}"
    words: list[object] = [f"--identity={path}" for path in identities]
    if partial:
        words.append(f"--partial={steps.partial_file(papers, partial)}")
    if papers.held is not None and (partial.startswith("wrapped-") if partial else again):
        words.append(f"--wrapped={papers.held}")
    with steps.undone_if_it_fails(made):
        return _hold_and_order(papers, asked, words, to, made, target, signing, desk, clock)


def _hold_and_order(
    papers: CallPapers, asked: HoldRequest, words: list[object], to: str, made: Path, target: Path, signing: Path,
    desk: Path, clock: Clock,
) -> list[str]:  # fmt: skip
    lines = steps.run_command(
        [hold.add_arguments], hold.run, clock,
        "wrap", papers.call, *words, f"--to={to}", f"--case={asked.case}", f"--basis={asked.basis}",
        f"--until={asked.until}", f"--key={signing}", f"--output={made}", f"--desk={desk}",
    )  # fmt: skip
    document = made / holds.HOLD
    if not document.exists():
        return [*lines, *(str(path) for path in sorted(made.glob(f"partial-*{sealing.SUFFIX}")))]
    unit = strict.decode(document.read_bytes(), holds.Hold).unit  # from the verified record, not from the desk
    steps.run_command(
        [command.add_arguments], command.run, clock,
        "sign", "--verb=hold", "--role=vault", f"--unit={unit}", f"--document={document}", f"--key={signing}",
        f"--output={target}",
    )  # fmt: skip
    return [*lines, str(target)]


def check_hold(papers: CallPapers, settings: Settings, identities: list[Path], desk: Path, clock: Clock) -> list[str]:
    """Opens the key that another officer has wrapped for a hold, and signs that it opens."""
    if papers.asked is None or papers.wrapped is None:
        raise BadInput("there is no hold to be checked in this file")
    signing, target = steps.needed(settings, "signing"), steps.output_of(settings) / f"{papers.id}{CHECK_SUFFIX}"
    privatefile.require_new(target)
    with steps.undone_if_it_fails(papers.folder):
        lines = steps.run_command(
            [hold.add_arguments], hold.run, clock,
            "check", papers.wrapped, papers.call, *(f"--identity={path}" for path in identities), f"--key={signing}",
            f"--desk={desk}",
        )  # fmt: skip
        privatefile.write(target, (papers.wrapped / f"{holds.HOLD}{CHECK_SUFFIX}").read_bytes())
    return [*lines, str(target)]


def rewrap_calls(
    found: OverflowCalls, settings: Settings, identities: list[Path], day: str, desk: Path, clock: Clock
) -> list[str]:
    """Wraps the keys of calls of an overflow epoch for their days, into an archive for the desk. Reports refused calls,
    and continues. `day`: for the one call whose unit has not stated its end."""
    signing, keylist = steps.needed(settings, "signing"), steps.needed(settings, "keylist")
    if day and len(found.waiting) != 1:
        raise BadInput("a day is for one call whose unit has not stated its end")
    words: list[object] = [f"--identity={path}" for path in identities]
    words += [f"--list={keylist}", f"--key={signing}", f"--desk={desk}", *([f"--to={day}"] if day else [])]

    def one(call_id: str) -> list[str]:
        output = f"--output={found.place(call_id)}"
        return steps.run_command(
            [rewrap.add_arguments], rewrap.run, clock, "rewrap", found.folder / "calls" / call_id, *words, output
        )

    with steps.undone_if_it_fails(found.folder):
        return _for_each_call(found, found.waiting, one, settings, clock)


def check_rewrapped(
    found: OverflowCalls, settings: Settings, identities: list[Path], desk: Path, clock: Clock
) -> list[str]:
    """Opens the keys that another officer has wrapped, and signs that they open."""
    words = [
        *(f"--identity={path}" for path in identities),
        f"--key={steps.needed(settings, 'signing')}",
        f"--desk={desk}",
    ]

    def one(call_id: str) -> list[str]:
        place, call = found.place(call_id), found.folder / "calls" / call_id
        return steps.run_command([hold.add_arguments], hold.run, clock, "check", place, call, *words)

    with steps.undone_if_it_fails(found.folder):
        return _for_each_call(found, found.unchecked, one, settings, clock)


def _for_each_call(
    found: OverflowCalls, calls: list[str], do: Callable[[str], list[str]], settings: Settings, clock: Clock
) -> list[str]:
    """Takes the step for each call, and packs the papers of the successful ones. A Refusal if all failed."""
    target = steps.output_of(settings) / f"holds-{compact(clock.utc_ns())}.tar"
    privatefile.require_new(target)
    lines, refused, done = list[str](), list[str](), list[str]()
    for call_id in calls:
        try:
            lines += do(call_id)
            done.append(call_id)
        except LinetapError as error:
            refused.append(f"{call_id}: {error}")
    if not done:
        raise Refusal("; ".join(refused) or "no call is there for this step")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(path for call_id in done for path in found.place(call_id).iterdir()):
            info = tarfile.TarInfo(path.relative_to(found.folder).as_posix())
            data = path.read_bytes()
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    privatefile.write(target, packed.getvalue())
    return [*lines, *refused, str(target)]
