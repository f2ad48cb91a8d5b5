# SPDX-License-Identifier: Apache-2.0
"""The requirements of each crossing of the barrier; unmet ones are listed for the laboratory."""

from __future__ import annotations

import re
from math import sqrt

import pytest
from hardware_rig import drawn_card

from drawing.project import LINES
from rules.barrier import APART, BETWEEN, HIGH_OHM, OPEN, RANKS, TOUCHED, crossed, open_grades
from rules.card import Card
from simulation.netlist import HARDWARE

PAGE = (HARDWARE / "laboratory.md").read_text(encoding="utf-8").partition("### What crosses the barrier")[2]
ROWS = [line.strip("| ").split(" | ") for line in PAGE.partition("\n## ")[0].splitlines() if line.startswith("| ")][1:]


def row_of(reference: str) -> list[str]:
    return next(row for row in ROWS if re.search(rf"\b{reference}\b", row[1]))


def each(kind_name: str, **fields: float | str) -> Card:
    """The card with other ratings for all parts of a kind."""
    card = drawn_card()
    for part in card.of(kind_name):
        card = card.specified(part.reference, **fields)
    return card


@pytest.mark.parametrize("kind_name", APART)
def test_each_part_that_crosses_has_its_row(kind_name: str) -> None:
    """Its row has the peak of the sheet's rms, and the grade, or its absence, that the rule uses."""
    part = drawn_card().of(kind_name)[0]
    asked, rating, meets = row_of(part.reference)[2:]
    if kind_name == "buck":
        assert asked.startswith("functional")
        return
    assert asked.startswith(f"{TOUCHED.grade}, {TOUCHED.peak_v / 1000:g} kV peak")
    assert f"{sqrt(2) * part.kind.insulates_v / 1000:.1f} kV peak" in rating
    assert (part.kind.insulation or "no grade") in rating
    assert meets == {"transformer": "strength and distance; **grade open**"}.get(kind_name, "yes")


def test_what_is_less_than_asked_is_an_open_question_and_nothing_else_is() -> None:
    less = {
        part.kind_name: part.kind.insulation
        for part in drawn_card().parts.values()
        if part.kind_name in APART and part.kind_name != "buck" and RANKS[part.kind.insulation] < RANKS[TOUCHED.grade]
    }
    assert less == OPEN


def test_the_page_says_how_many_parts_have_not_the_grade() -> None:
    less, across = open_grades(drawn_card())
    assert (less, across) == (2 * LINES, 4 * LINES)
    assert f"OPEN: {less} of {across} parts" in (HARDWARE / "README.md").read_text()


@pytest.mark.parametrize("kind_name", OPEN)
def test_a_part_that_became_better_is_no_open_question_any_more(kind_name: str) -> None:
    found = list(crossed(each(kind_name, insulation="reinforced")))
    assert found
    assert all(sentence.endswith("is reinforced, and still an open question (OPEN)") for sentence in found)


@pytest.mark.parametrize(
    ("kind_name", "enough"), [("relay", 1768.0), ("relay_closed", 1768.0), ("transformer", 1768.0)]
)
def test_the_strength_is_that_of_reinforced_insulation(kind_name: str, enough: float) -> None:
    """2500 V peak: table 25 of IEC 62368-1 for 1500 V, as OpenMagnetics' MKF has copied it."""
    assert list(crossed(each(kind_name, insulates_v=enough))) == []
    assert len(list(crossed(each(kind_name, insulates_v=enough - 2)))) == len(drawn_card().of(kind_name))


def test_each_of_two_resistors_stands_basic_insulation() -> None:
    assert list(crossed(each(HIGH_OHM, stands_v=1500.0))) == []
    assert len(list(crossed(each(HIGH_OHM, stands_v=1499.0)))) == len(drawn_card().of(HIGH_OHM))


def test_of_what_is_below_sixty_volts_nothing_is_asked() -> None:
    (asked,) = (asked for pair, asked in BETWEEN.items() if "line" not in pair)
    assert (asked.grade, asked.peak_v) == ("functional", 0.0)
    assert list(crossed(each("buck", insulates_v=0.0))) == []
