# SPDX-License-Identifier: Apache-2.0
"""One part open or shorted seizes no line and injects no signal; it is detected, or a table states why that is
unnecessary.
"""

from __future__ import annotations

from functools import cache

from hardware_rig import front_end

from rules.faults import COIL_MA, OVERLOADS, SEIZES, UNTOLD, Effect, effects, faults, said


@cache
def found() -> list[Effect]:
    return effects(front_end())


def test_every_part_of_the_line_fails_both_ways() -> None:
    names = [fault for fault, _ in faults(front_end())]
    parts = {each.reference for each in front_end().elements.values() if each.sheet == 1}
    assert {name.split()[0] for name in names if name.endswith(" open")} == parts
    assert sum("shorted" in name for name in names) > len(parts)


def test_none_seizes_the_line_or_feeds_it() -> None:
    assert [each for each in found() if not each.harmless and not said(SEIZES, each.fault)] == []


def test_each_is_told_or_argued() -> None:
    assert [each.fault for each in found() if not each.told and not said(UNTOLD, each.fault)] == []


def test_what_pulls_down_the_coils_of_all_lines_is_listed() -> None:
    """A shorted coil, or the diode across it: while it is energised no line has a notice."""
    found_ = {each.fault for each in found() if each.coil_ma > COIL_MA}
    assert found_ == {"D108 shorted", "K101 shorted 1-2", "D110 shorted", "K102 shorted 1-2"}
    assert found_ == {each.fault for each in found() if said(OVERLOADS, each.fault)}


def test_the_tables_excuse_nothing_that_needs_none() -> None:
    """Every fault listed as undetected or seizing is so: an unnecessary entry would hide the next fault."""
    seizing = [each.fault for each in found() if said(SEIZES, each.fault) and each.harmless]
    told = [each.fault for each in found() if said(UNTOLD, each.fault) and each.told]
    assert (seizing, told) == ([], [])
