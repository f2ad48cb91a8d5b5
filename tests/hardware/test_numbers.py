# SPDX-License-Identifier: Apache-2.0
"""The table in hardware/README.md has the figures of the simulation."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path
from types import ModuleType

import pytest
from hardware_rig import findings

from linetap.board import frontend
from linetap.cardtest import limits
from linetap.config.numbers import NoticeNumbers
from simulation.bench_steps import STEPS
from simulation.finding import Finding, over
from simulation.netlist import HARDWARE
from simulation.rows import ROWS

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def rows_of(document: str, head: str) -> list[list[str]]:
    text = (HARDWARE / document).read_text().partition(head)[2]
    lines = takewhile(lambda line: line.startswith("|"), text.splitlines()[2:])
    return [line.strip("| ").split(" | ") for line in lines]


def stated() -> dict[str, tuple[str, str]]:
    """Figure -> (requirement, worst found), as in the document."""
    return {what: (asked, found) for what, asked, found in rows_of("README.md", "| Figure | asked |")}


def same(one: str, other: str) -> bool:
    """To 2 %: another build of the simulator may round otherwise."""
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (one, other)]
    return NUMBER.sub("", one) == NUMBER.sub("", other) and numbers[0] == pytest.approx(numbers[1], rel=0.02, abs=0.02)


def test_notices_are_levelled_by_the_middle_of_what_the_card_captures() -> None:
    middle = (frontend.CAPTURED_DB.low + frontend.CAPTURED_DB.high) / 2
    assert NoticeNumbers().captured_db == pytest.approx(middle, abs=0.05)


@pytest.mark.parametrize("row", ROWS)
def test_the_table_is_in_step(row: str) -> None:
    have = stated()
    for each in findings(row):
        assert each.what in have, "tools/hardware_numbers.py"
        asked, found = have[each.what]
        assert asked == each.limit()
        assert same(found, each.result()), each.what


def test_the_table_has_no_figure_that_nobody_finds() -> None:
    assert len(stated()) == sum(len(findings(row)) for row in ROWS)


def test_the_worst_is_the_end_that_counts() -> None:
    values = [3.0, 1.0, 2.0]
    assert over("a", values, "V", least=0.5).result() == "1 V"
    assert over("a", values, "V", most=5).result() == "3 V"
    assert over("a", values, "V", least=0, most=5).result() == "1 to 3 V"
    assert Finding("a", 2e-9, 2e-9, "V", most=1).result() == "0 V"


@pytest.mark.parametrize("module", [frontend, limits])
def test_simulated_unit_and_production_test_go_by_the_same_figures(module: ModuleType) -> None:
    """tools/hardware_numbers.py writes board/frontend.py and cardtest/limits.py, whose comments name the rows."""
    text = Path(str(module.__file__)).read_text()
    named = dict(re.findall(r"^(\w+) = Figure\(.*\)  # (.*)$", text, re.M))
    found = {each.what: each for row in ROWS for each in findings(row)}
    assert named
    for name, what in named.items():
        figure, each = getattr(module, name), found[what]
        assert (figure.low, figure.high) == pytest.approx((each.low, each.high), rel=0.02, abs=0.02), name
        assert (figure.least, figure.most) == (each.least, each.most), name


def test_a_multimeter_is_told_the_same() -> None:
    """commissioning.md: tools/hardware_numbers.py."""
    found = {each.what: each for row in ROWS for each in findings(row)}
    rows = rows_of("commissioning.md", "| At / 위치 |")
    assert [(where, said) for where, said, _ in rows] == [(step.where, f"{step.en} / {step.ko}") for step in STEPS]
    for (_, _, expected), step in zip(rows, STEPS, strict=True):
        assert same(expected, found[step.what].expected()), step.what
