# SPDX-License-Identifier: Apache-2.0
"""Signs commands to units as the first signer: one command for each unit, made on this computer from the choices here,
in one file for the desk's page. The form is that of `linetap command sign`."""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap_core.clock import Clock, compact
from linetap_core.durable import signedfile
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import AUTHORITY, LIMIT_BYTES, OF_MANY, OPERATOR, VAULT
from linetap_core.evidence.signing import namespaces, signerline, signers, sshsig, unitnames
from linetap_core.evidence.signing.signers import Signer
from linetap_core.rundir import read_small
from linetap_core.tomlfile.source import Source
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.deskfolder import ROLES
from linetap_desk.custody.program import cosigning, steps
from linetap_desk.custody.program.settings import Settings
from linetap_desk.ingest import batches
from linetap_desk.ingest.commandfiles import unverified
from linetap_desk.inputs import strict
from linetap_desk.unitcommands import command

COMMANDS = "commands"  # subfolder of the output folder
CONFIGURATION, BUNDLE = ".toml", ".raucb"  # suffixes of a chosen file
_ROOM_BYTES = batches.LIMIT_BYTES * 3 // 4  # of a file; leaves room for further signatures


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb of commands. `role`: the sender's; empty: that of the signing key. `value`: the option for the text pasted
    after the unit's name: `digits` hexadecimal digits, which the desk's page shows after `word`. Verbs without `value`
    are for several units."""

    role: str
    value: str = ""
    digits: int = 64
    word: str = ""
    takes_value: bool = True


VERBS = {
    "config": Verb(OPERATOR, "replaces", word="config"),
    "learn": Verb(OPERATOR, "walk", word="walk", takes_value=False),
    "update": Verb(OPERATOR),
    "roles": Verb(AUTHORITY),
    "key_list": Verb(AUTHORITY),
    "time": Verb(VAULT, "challenge", 32),
    "confirm": Verb("", "weakening", 16),
    "cancel": Verb("", "weakening", 16),
}


@dataclass(frozen=True, slots=True)
class CommandForm:
    """The form as typed. `about`: a unit with the text beside its name on the desk's page; or units, empty for all.
    `document`: the chosen configuration or version; `text`: the configuration's text, as shown."""

    verb: str
    about: str
    url: str
    document: Path | None
    text: str = ""


def configuration(path: Path | None) -> str:
    """The text of the chosen configuration; empty for another kind of file. BadInput, with the line, unless it is TOML
    that is read as it is shown."""
    if path is None or path.suffix != CONFIGURATION:
        return ""
    raw = read_small(path, LIMIT_BYTES)
    Source(path, raw)
    text = raw.decode("utf-8")
    strict.legible_lines(text, path)
    return text


def sign(asked: CommandForm, settings: Settings, desk: Path, clock: Clock) -> list[str]:
    """Signs one command for each unit, into a file in the output folder. BadInput or a Refusal for anything that a unit
    would always refuse."""
    verb = VERBS[asked.verb]
    units, words = _about(asked, verb, desk)
    words += [f"--verb={asked.verb}", f"--role={verb.role or _role_of_key(settings, desk, clock)}"]
    what = units[0] if len(units) == 1 else f"{len(units)}-units"
    name = f"{asked.verb}-{what}-{compact(clock.utc_ns())}"
    with tempfile.TemporaryDirectory() as folder:
        words += _document(asked, units[0], Path(folder), settings, desk)
        return signed(words, units, name, settings, desk, clock)


def signed(words: list[object], units: list[str], name: str, settings: Settings, desk: Path, clock: Clock) -> list[str]:
    """Signs the command for all units. `words`: the arguments of `linetap command sign`, run for the first unit; for
    the others its result is copied and signed, so that a version of 300 MB is read once. Several files if the desk's
    limit requires it. A Refusal if this key may not sign it."""
    path, folder = steps.needed(settings, "signing"), steps.output_of(settings) / COMMANDS
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        first = Path(made) / "first"
        steps.run_command(
            [command.add_arguments], command.run, clock, "sign", *words, f"--unit={units[0]}", f"--key={path}",
            f"--output={first}",
        )  # fmt: skip
        model = first.read_bytes()
    files = itertools.batched(units, max(1, min(batches.MOST_UNITS, _ROOM_BYTES // len(model))), strict=False)
    whole, key, opened = unverified(model), signedfile.load_key(path), deskfolder.open_desk(desk, clock)
    in_force, said = opened.roles(opened.access.entries()), [f"{len(units)} commands signed"]
    for number, some in enumerate(files):
        lines = []
        for unit in some:  # each file has its own counter, by which the desk distinguishes files
            one = msgspec.structs.replace(whole, unit=unit, counter=whole.counter + number)
            lines.append(envelopes.seal(one, lambda text: sshsig.sign(text, key, namespaces.COMMAND)))
            cosigning.checked_command(lines[-1], opened.authority, in_force, clock)
        file = folder / f"{name}{f'-{number + 1}' if number else ''}{OF_MANY}"
        replace_durably(file, b"".join(lines))  # may replace the earlier file of a destroyed day
        said.append(str(file))
    return said


def published_units(desk: Path) -> list[str]:
    """The units that the published allowed_signers names. BadInput if there are none."""
    published = steps.signers_of(desk)
    units = [] if published is None else sorted(set(_units(signers.parse(published.read_text(encoding="utf-8")))))
    if not units:
        raise BadInput("there is no published allowed_signers here that names a unit: Settings")
    return units


def _units(lines: list[Signer]) -> Iterator[str]:
    for line in lines:
        signs = line.namespaces is None or signerline.in_list(namespaces.RECORD, line.namespaces)
        if signs and not line.is_office:
            yield from (name for name in line.principals.split(",") if unitnames.is_name(name))


def _about(asked: CommandForm, verb: Verb, desk: Path) -> tuple[list[str], list[object]]:
    """The units, and the option with the pasted value."""
    parts = asked.about.replace(",", " ").split()
    units = parts[:1] if verb.value else sorted(set(parts)) or published_units(desk)
    for unit in units:
        if not unitnames.is_name(unit):
            raise BadInput(f"{unit}: not the name of a unit")
    if not verb.value or (len(parts) == 1 and not verb.takes_value):
        return units, []
    *words, value = parts[1:] or [""]
    if words != ([verb.word] if verb.word else []) or re.fullmatch(rf"[0-9a-f]{{{verb.digits}}}", value) is None:
        shown = f"{verb.word} and {verb.digits} digits" if verb.word else f"{verb.digits} digits"
        raise BadInput(f"the unit's name and behind it {shown} expected, as the desk shows them")
    return units, [f"--{verb.value}={value}"]


def _role_of_key(settings: Settings, desk: Path, clock: Clock) -> str:
    opened = deskfolder.open_desk(desk, clock)
    key = signedfile.load_key(steps.needed(settings, "signing")).public_key()
    if opened.authority.holds(key):
        return AUTHORITY
    person = opened.roles(opened.access.entries()).holder(key)
    if person is None:
        raise BadInput("your signing key is not one of the roles in force on this computer")
    return person.role


def _document(asked: CommandForm, unit: str, folder: Path, settings: Settings, desk: Path) -> list[object]:
    """The command's document. A configuration is sent as the text that was shown, since the file may have changed."""
    if asked.verb == "roles":
        return [f"--document={desk / ROLES}"]
    if asked.verb == "key_list":
        return [f"--document={steps.needed(settings, 'keylist')}"]
    if asked.verb not in ("config", "update"):
        return []
    suffix = CONFIGURATION if asked.verb == "config" else BUNDLE
    if asked.document is None or asked.document.suffix != suffix:
        raise BadInput(f"choose the {suffix} file first")
    if asked.verb == "update":
        return [f"--bundle={asked.document}", *([f"--url={asked.url}"] if asked.url else [])]
    shown = folder / "unit.toml"
    shown.write_bytes(asked.text.encode())
    if (named := Source(shown).data.get("unit")) != unit:
        raise BadInput(f"{asked.document}: of {named or 'no unit'}, and not of {unit}")
    return [f"--document={shown}"]
