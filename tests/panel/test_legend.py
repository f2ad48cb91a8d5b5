# SPDX-License-Identifier: Apache-2.0
"""The legend is readable without colours."""

from __future__ import annotations

import re

from linetap.board.interface import UNIT_LEDS
from linetap.checks import CHECKS
from linetap.panel.legend import table
from linetap_core.wire.legend import (
    ACTIVITIES,
    CONDITIONS,
    IDENTIFY,
    IDENTIFY_EN,
    IDENTIFY_KO,
    IDENTIFY_PATTERN,
    LEDS,
    PATTERN_NAMES_KO,
    PATTERNS,
    draw,
    lit,
)


def seen(pattern: str) -> str:
    """A pattern in a normal form, independent of the moment of the first look: the smallest rotation of its cycle."""
    cycle = PATTERNS[pattern]
    shortest = next(cycle[:n] for n in range(1, len(cycle) + 1) if cycle == (cycle[:n] * len(cycle))[: len(cycle)])
    return min(shortest[i:] + shortest[:i] for i in range(len(shortest)))


def test_no_two_patterns_look_the_same() -> None:
    assert len({seen(name) for name in PATTERNS}) == len(PATTERNS)


def test_every_condition_is_recognised_by_led_and_pattern_alone() -> None:
    assert len({(state.run, state.fault) for state in CONDITIONS.values()}) == len(CONDITIONS)
    assert len({activity.call for activity in ACTIVITIES.values()}) == len(ACTIVITIES)


def test_every_pattern_used_is_defined_and_named_in_both_languages() -> None:
    used = {state.run for state in CONDITIONS.values()} | {state.fault for state in CONDITIONS.values()}
    used |= {activity.call for activity in ACTIVITIES.values()} | {IDENTIFY_PATTERN}
    assert used <= PATTERNS.keys()
    assert PATTERN_NAMES_KO.keys() == PATTERNS.keys()


def test_no_state_looks_like_a_unit_that_is_looked_for() -> None:
    """`identify` shows the same on all LEDs at every moment; no condition does so with any activity, and no state uses
    the pattern.
    """
    assert all(IDENTIFY_PATTERN not in (state.run, state.fault) for state in CONDITIONS.values())
    assert all(activity.call != IDENTIFY_PATTERN for activity in ACTIVITIES.values())


def test_a_fault_is_lit_from_its_first_moment() -> None:
    for name, state in CONDITIONS.items():
        if state.fault != "off":
            assert lit(state.fault, 0), name


def test_recording_is_not_red_and_no_fault_says_that_all_is_well() -> None:
    assert ACTIVITIES["recording"].call == "on"
    assert LEDS["call"].colour_en != "red"
    assert LEDS["fault"].colour_en == "red"
    well = CONDITIONS["ok"]
    assert (well.run, well.fault) == ("on", "off")
    for name in ("nothing_runs", "capture_dead", "recorder_dead", "codec_stalled", "disk_full", "not_recording"):
        assert not CONDITIONS[name].records
        assert CONDITIONS[name].fault != "off"


def test_every_meaning_is_in_korean_and_in_english() -> None:
    texts = [(entry.ko, entry.en) for entry in CONDITIONS.values()]
    texts += [(entry.ko, entry.en) for entry in ACTIVITIES.values()] + [(IDENTIFY_KO, IDENTIFY_EN)]
    for ko, en in texts:
        assert re.search(r"[가-힣]", ko)
        assert not re.search(r"[가-힣]", en)
        assert en


def test_the_leds_are_the_boards() -> None:
    assert tuple(LEDS) == UNIT_LEDS


def test_every_check_is_shown_by_a_state_of_the_legend() -> None:
    assert {check.led for check in CHECKS} <= CONDITIONS.keys()


def test_table_and_drawing() -> None:
    text = table()
    for name in (*CONDITIONS, *ACTIVITIES, IDENTIFY):
        assert f" {name}: " in text
    assert draw({"run": True, "call": False, "fault": True}) == "● RUN  ○ CALL  ● FAULT"
