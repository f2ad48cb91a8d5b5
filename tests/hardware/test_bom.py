# SPDX-License-Identifier: Apache-2.0
"""What is to be bought is what is drawn."""

from __future__ import annotations

import csv
import re

import pytest

from drawing import bom
from drawing.project import Circuit
from simulation.netlist import HARDWARE

CIRCUIT = Circuit()
ROWS = list(csv.DictReader(bom.bom(CIRCUIT).splitlines()))


@pytest.mark.parametrize(("name", "text"), [(bom.BOM, bom.bom(CIRCUIT)), (bom.NETS, bom.nets(CIRCUIT))])
def test_what_is_committed_is_in_step(name: str, text: str) -> None:
    assert (HARDWARE / name).read_text() == text, "tools/draw.py"


def test_each_row_can_be_ordered() -> None:
    for row in ROWS:
        assert all(row[column] for column in bom.COLUMNS), row
        assert row["lifecycle"] == "not checked" or re.search(r"20\d\d-\d\d-\d\d$", row["lifecycle"]), row


def test_what_cannot_be_ordered_yet_is_known() -> None:
    """A series or a choice of modules is no order number; README.md names these. Nothing may join them unseen."""
    loose = re.compile(r"\b(type|series|variant)\b")
    assert {row["value"] for row in ROWS if loose.search(row["number"])} == {"47n", "2.2u", "12 V to 5 V, 4 A", "LED"}
    assert {row["value"] for row in ROWS if "to be found" in row["second source"]} == {"P3126"}
    same = {row["value"] for row in ROWS if row["second source"].startswith(row["maker"])}
    assert same == {"TLV1701", "STM32G071RB", "XU316"}


def test_each_part_is_counted_once() -> None:
    references = [reference for row in ROWS for reference in row["references"].split()]
    assert len(references) == len(set(references)) == sum(int(row["count"]) for row in ROWS)
    assert set(references) == {reference for nodes in CIRCUIT.nets().values() for reference, _ in nodes}


def test_no_part_is_drawn_that_the_table_lacks_or_kept_that_nothing_uses() -> None:
    used = {part.kind_name for sheet in CIRCUIT.sheets.values() for part in sheet.parts()}
    assert used == set(CIRCUIT.kinds)
