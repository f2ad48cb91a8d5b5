# SPDX-License-Identifier: Apache-2.0
"""The availability of parts: their makers' dated statements, and replacements for parts with a single maker."""

from __future__ import annotations

import re

import pytest
from terminal_rig import LIBRARY, pins

from drawing.project import Circuit
from simulation.netlist import HARDWARE

CIRCUIT = Circuit()
PAGE = (HARDWARE / "sources.md").read_text()
ASKED = set("UQDKTY")  # chips, transistors, diodes, relays, transformers, crystals
KINDS = {
    part.kind_name: (part.prefix, part.kind)
    for sheet in CIRCUIT.sheets.values()
    for part in sheet.parts()
    if part.kind.bought
}
LOOKED_FOR = {name: kind.lifecycle for name, (prefix, kind) in KINDS.items() if prefix in ASKED}
SAID = re.compile(r"(active|in production|orderable), 20\d\d-\d\d(-\d\d)?: .+")
UNKNOWN = "not known, 2026-12-01"
G0 = "MCU_ST_STM32G0"
FITTED = "STM32G0B1RBTx"
with_library = pytest.mark.skipif(not LIBRARY.exists(), reason="Debian's kicad-symbols is not installed")


@pytest.mark.parametrize("name", LOOKED_FOR)
def test_each_is_looked_for_and_what_was_found_has_a_date_and_a_text(name: str) -> None:
    assert LOOKED_FOR[name] == UNKNOWN or SAID.fullmatch(LOOKED_FOR[name])


def test_of_others_nothing_is_said() -> None:
    assert {kind.lifecycle for name, (_, kind) in KINDS.items() if name not in LOOKED_FOR} == {"not checked"}


def test_the_page_counts_what_is_known() -> None:
    """By order number: the two relays of a line are two kinds of the drawing."""
    said = {KINDS[name][1].number: lifecycle for name, lifecycle in LOOKED_FOR.items()}
    known = sum(lifecycle != UNKNOWN for lifecycle in said.values())
    (counted,) = re.findall(r"of (\d+) of (\d+) such parts", PAGE)
    assert counted == (str(known), str(len(said)))


def test_the_page_says_what_a_buyer_does_for_each_part_of_one_maker() -> None:
    single = {kind.number.split()[0] for _, kind in KINDS.values() if kind.second.startswith("none")}
    rows = re.findall(r"^\| `(\S+?)[ `]", PAGE.partition("## Parts of one maker")[2], re.MULTILINE)
    assert sorted(rows) == sorted(single)


@with_library
@pytest.mark.parametrize("other", ["STM32G0B1RCTx", "STM32G0B1RETx", "STM32G0C1RCTx", "STM32G0C1RETx"])
def test_the_meters_alternates_have_its_terminals(other: str) -> None:
    """By KiCad's library, made from ST's own lists."""
    assert pins(G0, other) == pins(G0, FITTED)
    family = other.partition("R")[0]
    assert f"{family}RCT6, RET6" in KINDS["meter"][1].second


@with_library
def test_the_one_with_an_n_behind_it_has_others() -> None:
    """It has a supply in place of two of them."""
    theirs, ours = pins(G0, f"{FITTED}N"), pins(G0, FITTED)
    assert {number for number in ours if theirs[number] != ours[number]}
    assert "RBT6N has not" in KINDS["meter"][1].second
