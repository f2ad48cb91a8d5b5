# SPDX-License-Identifier: Apache-2.0
"""Every part with distinct terminals has the numbering of an independent source."""

from __future__ import annotations

import msgspec
import pytest
from terminal_rig import LIBRARY, differences, table

from drawing.tables import load_kinds
from pcb import footprints

KINDS, TABLE = load_kinds(), table()
FOOTPRINTS = footprints.load()
OF_PART = footprints.by_part(FOOTPRINTS)
ALIKE = {"R", "C", "L", "F", "TVS", "flag", "pad"}  # symbols with equivalent terminals
OURS = {"terminal2", "header4", "rj21"}  # plugs whose order is defined by the card
NONE = {"transformer"}
NOT_IN_THE_LIBRARY = {"comparator", "ldo", "load_switch", "usb_audio", "adc4", "dac8", "holdup"}
with_library = pytest.mark.skipif(not LIBRARY.exists(), reason="Debian's kicad-symbols is not installed")


def listed(name: str) -> list[object]:
    return [pytest.param(name, marks=with_library if TABLE[name].symbol else ())]


@pytest.mark.parametrize("name", [each for name in TABLE if not TABLE[name].none for each in listed(name)])
def test_a_part_is_numbered_as_somebody_else_numbers_it(name: str) -> None:
    assert differences(KINDS[name], FOOTPRINTS[OF_PART[name]], TABLE[name]) == []


def test_no_part_is_without_a_list_but_those_known_by_name() -> None:
    asked = {name for name, kind in KINDS.items() if kind.symbol not in ALIKE} - OURS
    assert asked == TABLE.keys()
    assert {name for name, each in TABLE.items() if each.none} == NONE
    assert {name for name, each in TABLE.items() if each.terminals} == NOT_IN_THE_LIBRARY
    assert all(each.read for each in TABLE.values() if each.terminals)


@pytest.mark.parametrize(
    ("name", "one", "other", "said"),
    [
        pytest.param("rtc", "3 scl sda", "3 sda scl", "3: sda here, SCL there", marks=with_library),
        pytest.param("meter", "PA13 PA14", "PA14 PA13", "45: swclk or PA14 here, PA13 there", marks=with_library),
        ("dac8", "29 18", "29 10", "29: dgnd or 10 here, PAD there"),
    ],
)
def test_two_terminals_exchanged_are_told(name: str, one: str, other: str, said: str) -> None:
    footprint = FOOTPRINTS[OF_PART[name]]
    names = [row.replace(one, other) for row in footprint.names]
    assert names != footprint.names
    assert said in differences(KINDS[name], msgspec.structs.replace(footprint, names=names), TABLE[name])


def test_two_outputs_exchanged_and_a_terminal_too_many_are_told() -> None:
    kind, footprint = KINDS["dac8"], FOOTPRINTS[OF_PART["dac8"]]
    pins = [row.replace("27 out1", "26 out1").replace("26 out2", "27 out2") for row in kind.pins]
    assert "26: out1 here, VOUT2 there" in differences(
        msgspec.structs.replace(kind, pins=pins), footprint, TABLE["dac8"]
    )
    more = msgspec.structs.replace(footprint, pads=[*footprint.pads, "30 9 9 1 1"])
    assert "30: they have none" in differences(kind, more, TABLE["dac8"])


@with_library
def test_a_row_that_nothing_needs_is_told() -> None:
    said = msgspec.structs.replace(TABLE["rtc"], names=["vss GND"])
    assert differences(KINDS["rtc"], FOOTPRINTS[OF_PART["rtc"]], said) == ["unused: vss GND"]
