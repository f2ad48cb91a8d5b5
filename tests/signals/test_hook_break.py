# SPDX-License-Identifier: Apache-2.0
"""The exchange breaks the loop, or the cable is cut: distinguished from on-hook, whatever the hook pin's level."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook_rig import BATTERY, DEAD, MS, OFF, ON, SPEAKING, bits, digits, follow, named, told, volts
from linetap.config.profile import KR_PSTN
from linetap.recorder.signals.events import Event
from linetap.ring import NO_VOLTS

BREAK_KNOWN_MS = KR_PSTN.loop_break_min_ms
PIN = [OFF, ON]  # an open wire as seen by a pin, and by a meter


@pytest.mark.parametrize("pin", PIN)
@pytest.mark.parametrize("break_ms", [250, 500, 800, 990])
def test_a_break_ends_the_call_and_the_handset_still_holds_the_line(pin: int, break_ms: int) -> None:
    hook = bits((OFF, 2000), (pin, break_ms), (OFF, 3000), (ON, 2000))
    line = volts((SPEAKING, 2000), (DEAD, break_ms), (SPEAKING, 3000), (BATTERY, 2000))
    events = follow(hook, line_volts=line)
    assert told(events) == [("off_hook", 0), ("loop_break", 2000), ("on_hook", 5000 + break_ms)]
    assert events[1] == Event((2000 + BREAK_KNOWN_MS) * MS, "loop_break", 2000 * MS)


@pytest.mark.parametrize("pin", PIN)
def test_a_break_upon_which_the_handset_is_replaced(pin: int) -> None:
    hook = bits((OFF, 2000), (pin, 400), (ON, 3000), (OFF, 1000))
    line = volts((SPEAKING, 2000), (DEAD, 400), (BATTERY, 3000), (SPEAKING, 1000))
    events = follow(hook, line_volts=line)
    assert told(events) == [("off_hook", 0), ("loop_break", 2000), ("on_hook", 2000), ("off_hook", 5400)]


@pytest.mark.parametrize("pin", PIN)
def test_a_cut_cable_is_a_break_and_what_the_pin_says_of_it_is_no_call(pin: int) -> None:
    hook = bits((OFF, 2000), (pin, 60_000), (ON, 2000), (OFF, 1000))
    line = volts((SPEAKING, 2000), (DEAD, 60_000), (BATTERY, 2000), (SPEAKING, 1000))
    events = follow(hook, line_volts=line)
    assert told(events) == [("off_hook", 0), ("loop_break", 2000), ("on_hook", 2000), ("off_hook", 64_000)]


def test_a_cut_cable_mended_under_a_lifted_handset_is_a_call_of_its_own() -> None:
    hook = bits((OFF, 2000), (ON, 5000), (OFF, 3000))
    line = volts((SPEAKING, 2000), (DEAD, 5000), (SPEAKING, 3000))
    events = told(follow(hook, line_volts=line))
    assert events == [("off_hook", 0), ("loop_break", 2000), ("on_hook", 2000), ("off_hook", 7000)]


def test_an_open_wire_is_not_taken_for_off_hook() -> None:
    hook = bits((ON, 1000), (OFF, 5000), (ON, 1000))
    line = volts((BATTERY, 1000), (DEAD, 5000), (BATTERY, 1000))
    assert follow(hook, line_volts=line) == []
    assert told(follow(hook)) == [("off_hook", 1000)]  # undecidable without a meter; on-hook is still open


def test_a_break_begins_a_slot_early_at_the_most() -> None:
    for late_ms in range(10):
        line = volts((SPEAKING, 2000 + late_ms), (DEAD, 500), (SPEAKING, 990 - late_ms))
        (event,) = named(follow(bits((OFF, 3490)), line_volts=line), "loop_break")
        assert 0 <= 2000 + late_ms - event.at // MS <= 10


@pytest.mark.parametrize("death_ms", [0, 10, 40])
def test_a_loop_just_seen_open_that_dies_is_a_break_where_it_opened(death_ms: int) -> None:
    hook = bits((OFF, 2000), (ON, 500), (OFF, 1000))
    line = volts((SPEAKING, 2000), (900, death_ms), (DEAD, 500 - death_ms), (SPEAKING, 1000))
    assert told(follow(hook, line_volts=line)) == [("off_hook", 0), ("loop_break", 2000)]


def test_a_handset_put_down_before_the_cable_is_cut_is_on_hook() -> None:
    hook = bits((OFF, 2000), (ON, 5000))
    line = volts((SPEAKING, 2000), (BATTERY, 100), (DEAD, 4900))
    assert told(follow(hook, line_volts=line)) == [("off_hook", 0), ("on_hook", 2000)]


@settings(max_examples=200, deadline=None)
@given(
    battery=st.integers(300, 6000),
    sign=st.sampled_from([-1, 1]),
    talk_ms=st.integers(50, 300),
    rest=st.integers(1, 300),
)
def test_on_hook_is_never_a_break(battery: int, sign: int, talk_ms: int, rest: int) -> None:
    hook = bits((OFF, talk_ms * 10), (ON, rest * 10), (OFF, 100), (ON, 2000))
    line = volts((SPEAKING, talk_ms * 10), (sign * battery, rest * 10), (SPEAKING, 100), (sign * battery, 2000))
    assert named(follow(hook, line_volts=line), "loop_break") == []


@pytest.mark.parametrize("pin", PIN)
def test_a_moment_without_battery_is_nothing(pin: int) -> None:
    hook = bits((OFF, 2000), (pin, 190), (OFF, 3000))
    line = volts((SPEAKING, 2000), (DEAD, 190), (SPEAKING, 3000))
    assert told(follow(hook, line_volts=line)) == [("off_hook", 0)]


def test_a_meter_that_falls_silent_proves_nothing() -> None:
    line = volts((SPEAKING, 2000), (DEAD, 150), (NO_VOLTS, 60), (DEAD, 150), (NO_VOLTS, 2000))
    assert told(follow(bits((OFF, 4360)), line_volts=line)) == [("off_hook", 0)]


def test_a_second_call_on_the_held_line_has_digits_and_a_break_of_its_own() -> None:
    dialling = [(ON, 60), (OFF, 40)] * 4
    hook = bits((OFF, 2000), (OFF, 500), (OFF, 1500), *dialling, (OFF, 3000), (OFF, 1000))
    line = volts((SPEAKING, 2000), (DEAD, 500), (SPEAKING, 1500), *[(BATTERY, 60), (SPEAKING, 40)] * 4,
                 (SPEAKING, 3000), (DEAD, 1000))  # fmt: skip
    events = follow(hook, line_volts=line)
    assert told(events) == [("off_hook", 0), ("loop_break", 2000), ("digit", 4000), ("loop_break", 7400)]
    assert digits(events) == ["4"]


def test_a_dead_wire_has_no_polarity() -> None:
    """Reversed from the start; without a battery the sign is meaningless, and a reversal would be an answer."""
    hook = bits((OFF, 5000))
    polarity = bits((1, 2000), (0, 150), (1, 2850))
    line = volts((800, 2000), (DEAD, 150), (800, 2850))
    assert told(named(follow(hook, polarity=polarity, line_volts=line), "polarity")) == [("polarity", 0)]
    polarity = bits((1, 2000), (0, 3000))
    line = volts((800, 2000), (DEAD, 150), (SPEAKING, 2850))
    assert told(named(follow(hook, polarity=polarity, line_volts=line), "polarity"))[1:] == [("polarity", 2150)]
