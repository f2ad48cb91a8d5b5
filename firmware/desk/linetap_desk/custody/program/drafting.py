# SPDX-License-Identifier: Apache-2.0
"""Edits the next roles.json row by row: people, purposes, rules of releases, and the owners of lines. Each step is
checked by the code that all readers of the file use; the page of the authority signs the result."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.releaserules import PARTIES, LineStaff, Rule
from linetap_core.evidence.authorization.roles import Person, Purpose, Roles, parse
from linetap_core.evidence.signing import document
from linetap_desk.web.text import N_

EMPTY = Roles(version=0, people=[], purposes=[])


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form. `read`: parses the typed text; `choices`: the options of a list."""

    name: str
    title: str
    read: Callable[[str], Any] = str.strip
    choices: tuple[str, ...] = ()
    hint: str = ""
    needed: bool = True


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadInput(f"{text!r}: a number expected") from None


def _words(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _approvals(text: str) -> list[list[str]]:
    """Parses the roles of approvers; `any` is any approver's role."""
    found = [_words(each) for each in text.split(";")]
    if not all(found):
        raise BadInput(f"{text!r}: the roles of each approval expected, or any")
    return [[] if slot == ["any"] else slot for slot in found]


@dataclass(frozen=True, slots=True)
class Section:
    kind: type[msgspec.Struct]
    title: str
    fields: tuple[Field, ...]


_OFFICES = N_("vault, custodian, operator; an approver's is any other word, such as privacy or legal.")
_SLOTS = N_("Each approval after a semicolon, its roles with commas, or any: privacy; manager, legal; any.")
_PEOPLE = (
    Field("name", N_("Person's name")),
    Field("role", N_("Role"), hint=_OFFICES),
    Field("key", N_("Public key (one line)")),
)
_PURPOSES = (
    Field("id", N_("Id")),
    Field("text_ko", N_("In Korean")),
    Field("text_en", N_("In English")),
    Field("basis", N_("Legal basis")),
)
_RULES = (
    Field("purpose", N_("Purpose")),
    Field("party", N_("Who asks"), choices=PARTIES),
    Field("approvals", N_("Approvals"), _approvals, hint=_SLOTS),
    Field("max_age_days", N_("Age of the call in days, at most"), _number),
    Field("may", N_("What is given"), choices=("copy", "listen")),
    Field("expires_days", N_("Days for which a request is valid"), _number),
)
_LINES = (
    Field("name", N_("Person's name")),
    Field("unit", N_("Unit")),
    Field("line", N_("Line"), _number),
    Field("since", N_("Since"), hint="2026-03-01T00:00:00.000Z"),
    Field("until", N_("Until"), needed=False),
    Field("recipient", N_("This person's own age key")),
    Field("supervisors", N_("Supervisors, with commas"), _words),
)
SECTIONS = {
    "people": Section(Person, N_("People"), _PEOPLE),
    "purposes": Section(Purpose, N_("Purposes"), _PURPOSES),
    "rules": Section(Rule, N_("Rules of releases"), _RULES),
    "lines": Section(LineStaff, N_("Whose line it is"), _LINES),
}


def next_draft(in_force: Roles | None) -> Roles:
    """The draft of the version after the one in force here."""
    return msgspec.structs.replace(in_force or EMPTY, version=(in_force or EMPTY).version + 1)


def with_row(draft: Roles, section: str, typed: Mapping[str, str]) -> Roles:
    """The draft with a row added. BadInput states the fault; the draft is unchanged."""
    of = SECTIONS[section]
    entered = {name: unicodedata.normalize("NFC", text) for name, text in typed.items()}
    values = {one.name: one.read(entered.get(one.name, "")) for one in of.fields if one.needed or entered.get(one.name)}
    try:
        row = msgspec.convert(values, of.kind)
    except msgspec.ValidationError as error:
        raise BadInput(str(error)) from None
    return _require_valid(msgspec.structs.replace(draft, **{section: [*getattr(draft, section), row]}))


def without_row(draft: Roles, section: str, number: int) -> Roles:
    rows = getattr(draft, section)
    if not 0 <= number < len(rows):
        raise BadInput("that row is not there any more")
    return _require_valid(msgspec.structs.replace(draft, **{section: [*rows[:number], *rows[number + 1 :]]}))


def write(draft: Roles, folder: Path) -> Path:
    """Writes roles.json, unsigned, into a folder of its own."""
    path = folder / f"roles-{draft.version}" / "roles.json"
    path.parent.mkdir(exist_ok=True)
    privatefile.write_public(path, document.encode(draft))
    return path


def _require_valid(draft: Roles) -> Roles:
    return parse(document.encode(draft))
