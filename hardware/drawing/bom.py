# SPDX-License-Identifier: Apache-2.0
"""Writes the parts list of each card variant, and the whole card's nets, as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection

from drawing.project import Circuit

BOM = "bom.csv"
FULL = "card-1"
NETS = "linetap.nets"
COLUMNS = ("count", "value", "rating", "maker", "number", "second source", "lifecycle", "references")


def name_of(variant: str) -> str:
    """The file name of a variant's parts list. Card 1 has every part, so its list is that of the drawing."""
    return BOM if variant == FULL else f"bom-{variant}.csv"


def bom(circuit: Circuit, without: Collection[str] = ()) -> str:
    """The parts list as CSV, one row for each order number; `without`: references not fitted."""
    references: dict[tuple[str, ...], list[str]] = {}
    for sheet in circuit.sheets.values():
        for _, base in circuit.instances(sheet.name):
            for part in sheet.parts():
                kind = part.kind
                if kind.bought and part.reference(base) not in without:
                    ordered = (kind.value, kind.rating, kind.maker, kind.number, kind.second, kind.lifecycle)
                    references.setdefault(ordered, []).append(part.reference(base))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row, found in references.items():
        writer.writerow((len(found), *row, " ".join(found)))
    return text.getvalue()


def nets(circuit: Circuit) -> str:
    """The net list, one net a line: its name, then reference.pin of each connected pin."""
    head = "# SPDX-License-Identifier: Apache-2.0\n# The nets of a card (tools/draw.py). KiCad finds the same.\n"
    lines = (f"{net}: {' '.join('.'.join(node) for node in nodes)}\n" for net, nodes in circuit.nets().items())
    return head + "".join(lines)
