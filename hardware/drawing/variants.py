# SPDX-License-Identifier: Apache-2.0
"""Which parts of the one board are fitted on card 1 and on cards 2 to 4 (circuit/variants.toml), and KiCad's mark for
the rest.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from drawing.project import LINE_SHEET, Circuit
from drawing.tables import CIRCUIT
from linetap_core.errors import BadInput
from linetap_core.tomlfile.source import Source

SYMBOL = re.compile(r'\(dnp no\)(\n[^\n]*\n\(property "Reference" "(\w+)")')


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`without`: references, and sheet/heading for all parts under a heading."""

    title: str
    cards: list[Annotated[int, Meta(ge=1, le=4)]]
    without: list[str]
    notes: list[str]


def load(path: Path = CIRCUIT / "variants.toml") -> dict[str, Variant]:
    """Loads the variants. BadInput names the variant and its fault."""
    found: dict[str, Variant] = {}
    for name, entry in Source(path).data.items():
        try:
            found[name] = msgspec.convert(entry, Variant)
        except msgspec.ValidationError as error:
            raise BadInput(f"{path}: [{name}]: {error}") from None
    return found


def left_out(circuit: Circuit, variant: Variant) -> set[str]:
    """References of the parts not fitted. BadInput if the drawing has no such part or heading, or eight of it."""
    known = _references(circuit)
    found: set[str] = set()
    for name in variant.without:
        if name not in known:
            raise BadInput(f"variants.toml: {name!r} is no part of the drawing, and no sheet/heading")
        found |= known[name]
    return found


def _references(circuit: Circuit) -> dict[str, set[str]]:
    """Each name permitted in a variant -> the references it stands for.

    A line's parts are excluded: KiCad has one sheet for eight lines, so one mark would cover eight parts.
    """
    known: dict[str, set[str]] = {}
    for name, sheet in circuit.sheets.items():
        if name == LINE_SHEET:
            continue
        ((_, base),) = circuit.instances(name)
        for block in sheet.blocks:
            parts = {part.reference(base) for row in block.rows for part in row if part.kind.bought}
            known |= {f"{name}/{block.heading}": parts} | {each: {each} for each in parts}
    return known


def marked(sheets: dict[str, str], without: set[str]) -> dict[str, str]:
    """The drawing's files, with the parts not fitted marked "do not populate"."""
    seen: set[str] = set()

    def mark(found: re.Match[str]) -> str:
        if found[2] not in without:
            return found[0]
        seen.add(found[2])
        return f"(dnp yes){found[1]}"

    texts = {name: SYMBOL.sub(mark, text) if name.endswith(".kicad_sch") else text for name, text in sheets.items()}
    if missing := sorted(without - seen):
        raise BadInput(f"no symbol of {', '.join(missing)} to mark")
    return texts
