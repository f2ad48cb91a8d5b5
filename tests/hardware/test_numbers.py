# SPDX-License-Identifier: Apache-2.0
"""The table in hardware/README.md says what the simulation found."""

from __future__ import annotations

import re
from itertools import takewhile

import pytest
from hardware_rig import findings

from simulation.finding import Finding, over
from simulation.netlist import HARDWARE
from simulation.rows import ROWS

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def stated() -> dict[str, tuple[str, str]]:
    """Figure -> (asked, worst found), as the document has them."""
    text = (HARDWARE / "README.md").read_text().partition("| Figure | asked |")[2]
    lines = takewhile(lambda line: line.startswith("|"), text.splitlines()[2:])
    rows = [line.strip("| ").split(" | ") for line in lines]
    return {what: (asked, found) for what, asked, found in rows}


@pytest.mark.parametrize("row", ROWS)
def test_the_table_is_in_step(row: str) -> None:
    """To 2 %: another build of the simulator may round otherwise."""
    have = stated()
    for each in findings(row):
        assert each.what in have, "tools/hardware_numbers.py"
        asked, found = have[each.what]
        assert asked == each.limit()
        assert NUMBER.sub("", found) == NUMBER.sub("", each.result())
        numbers = [[float(number) for number in NUMBER.findall(text)] for text in (found, each.result())]
        assert numbers[0] == pytest.approx(numbers[1], rel=0.02, abs=0.02), each.what


def test_the_table_has_no_figure_that_nobody_finds() -> None:
    assert len(stated()) == sum(len(findings(row)) for row in ROWS)


def test_the_worst_is_the_end_that_counts() -> None:
    values = [3.0, 1.0, 2.0]
    assert over("a", values, "V", least=0.5).result() == "1 V"
    assert over("a", values, "V", most=5).result() == "3 V"
    assert over("a", values, "V", least=0, most=5).result() == "1 to 3 V"
    assert Finding("a", 2e-9, 2e-9, "V", most=1).result() == "0 V"
