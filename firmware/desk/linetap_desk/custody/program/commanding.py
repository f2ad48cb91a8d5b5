# SPDX-License-Identifier: Apache-2.0
"""Commands to units, signed first by whoever's role sends them: made on this computer from what was chosen here, one
for each unit, in one file for the desk's page. Each is what `linetap command sign` makes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap_core.clock import Clock
from linetap_core.durable import signedfile
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import AUTHORITY, LIMIT_BYTES, OF_MANY, OPERATOR, VAULT
from linetap_core.evidence.signing import namespaces, signerline, signers, sshsig, unitnames
from linetap_core.evidence.signing.signers import Signer
from linetap_core.rooms import read_small
from linetap_core.tomlfile.source import Source
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.deskfolder import ROLES
from linetap_desk.custody.program import cosigning, steps
from linetap_desk.custody.program.settings import Settings
from linetap_desk.ingest import batches
from linetap_desk.ingest.handed import unverified
from linetap_desk.ordering import command

COMMANDS = "commands"  # in the folder for new files
CONFIGURATION, BUNDLE = ".toml", ".raucb"  # of what is chosen


@dataclass(frozen=True, slots=True)
class Verb:
    """`role`: who sends it; empty: the person's own. `value`: the option for what is pasted behind the unit's name;
    without one the command is for several units."""

    role: str
    value: str = ""
    takes_value: bool = True


VERBS = {
    "config": Verb(OPERATOR, "replaces"),
    "learn": Verb(OPERATOR, "walk", takes_value=False),
    "update": Verb(OPERATOR),
    "roles": Verb(AUTHORITY),
    "key_list": Verb(AUTHORITY),
    "time": Verb(VAULT, "challenge"),
    "confirm": Verb("", "weakening"),
    "cancel": Verb("", "weakening"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """As it was typed. `about`: a unit, and what the desk's page shows beside its name; or units, empty for all.
    `document`: the chosen configuration or version."""

    verb: str
    about: str
    url: str
    document: Path | None


def configuration(path: Path | None) -> str:
    """The text of the chosen configuration; empty where it is none. BadInput, with the line, unless it is TOML."""
    if path is None or path.suffix != CONFIGURATION:
        return ""
    raw = read_small(path, LIMIT_BYTES)
    Source(path, raw)
    return raw.decode("utf-8")


def sign(asked: Asked, settings: Settings, desk: Path, clock: Clock) -> list[str]:
    """One command a unit, in a file in the folder for new files. BadInput for anything that a unit would refuse."""
    verb, parts = VERBS[asked.verb], asked.about.replace(",", " ").split()
    role = verb.role or steps.role_of(settings, desk, clock) or AUTHORITY
    words: list[object] = [f"--verb={asked.verb}", f"--role={role}"]
    if not verb.value:
        units = sorted(set(parts)) or published_units(desk)
    else:
        units = parts[:1]
        if len(parts) != 2 and not (len(parts) == 1 and not verb.takes_value):
            raise BadInput("the unit's name and what stands behind it on the desk's page expected")
        words += [f"--{verb.value}={each}" for each in parts[1:]]
    for unit in units:
        if not unitnames.is_name(unit):
            raise BadInput(f"{unit}: not the name of a unit")
    words += _document(asked, units[0], settings, desk)
    what = units[0] if len(units) == 1 else f"{len(units)}-units"
    return signed(words, units, f"{asked.verb}-{what}", settings, desk, clock)


def signed(words: list[object], units: list[str], name: str, settings: Settings, desk: Path, clock: Clock) -> list[str]:
    """`words`: of `linetap command sign`; for the other units the same is signed, and a version of 300 MB is read once.
    A Refusal if it is not for this key to sign."""
    path, folder = steps.needed(settings, "signing"), steps.output_of(settings) / COMMANDS
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        first = Path(made) / "first"
        steps.run_command(
            [command.add_arguments], command.run, clock, "sign", *words, f"--unit={units[0]}", f"--key={path}",
            f"--output={first}",
        )  # fmt: skip
        lines = [first.read_bytes()]
    whole, key = unverified(lines[0]), signedfile.load_key(path)
    for unit in units[1:]:
        same = msgspec.structs.replace(whole, unit=unit)
        lines.append(envelopes.seal(same, lambda text: sshsig.sign(text, key, namespaces.COMMAND)))
    if sum(map(len, lines)) > batches.LIMIT_BYTES:
        raise BadInput(f"for {len(units)} units it is more than the desk takes at once: name fewer")
    opened = deskfolder.open_desk(desk, clock)
    in_force = opened.roles(opened.access.entries())
    for line in lines:
        cosigning.judged(line, opened.authority, in_force, clock)
    file = folder / f"{name}{OF_MANY}"
    replace_durably(file, b"".join(lines))  # signed anew, for units that were away too long
    return [f"{len(units)} commands signed", str(file)]


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


def _document(asked: Asked, unit: str, settings: Settings, desk: Path) -> list[str]:
    if asked.verb == "roles":
        return [f"--document={desk / ROLES}"]
    if asked.verb == "key_list":
        return [f"--document={steps.needed(settings, 'keylist')}"]
    if asked.verb not in ("config", "update"):
        return []
    suffix, option = (CONFIGURATION, "document") if asked.verb == "config" else (BUNDLE, "bundle")
    if asked.document is None or asked.document.suffix != suffix:
        raise BadInput(f"choose the {suffix} file first")
    if asked.verb == "config" and (named := Source(asked.document).data.get("unit")) != unit:
        raise BadInput(f"{asked.document}: of {named or 'no unit'}, and not of {unit}")
    return [f"--{option}={asked.document}", *([f"--url={asked.url}"] if asked.url and asked.verb == "update" else [])]
