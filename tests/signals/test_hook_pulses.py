# SPDX-License-Identifier: Apache-2.0
"""Dial pulses: counted pulses, digits, and probable faults."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook_rig import DEAD, MS, OFF, ON, SPEAKING, bits, digits, follow, meter, named, told, volts
from linetap.recorder.signals.events import Event
from linetap.ring import NO_VOLTS

Run = tuple[int, int]


def pulses(count: int, break_ms: int = 60, make_ms: int = 40) -> list[Run]:
    return [(ON, break_ms), (OFF, make_ms)] * count


def dialled(*runs: Run, before_ms: int = 1500, after_ms: int = 2000) -> list[Event]:
    hook = bits((ON, 100), (OFF, before_ms), *runs, (OFF, after_ms))
    return follow(hook, line_volts=meter(hook[: len(hook) // 10 * 10]))


def only_off_hook(events: list[Event]) -> bool:
    return told(named(events, "off_hook", "flash", "on_hook", "loop_break")) == [("off_hook", 100)]


@pytest.mark.parametrize(("make_share", "pps"), [(m, p) for m in (0.4, 0.5) for p in (8, 9, 10, 11, 12, 20)])
@pytest.mark.parametrize("count", range(1, 11))
def test_every_digit_at_every_rate_and_ratio(make_share: float, pps: int, count: int) -> None:
    make_ms = round(1000 / pps * make_share)
    events = dialled(*pulses(count, round(1000 / pps) - make_ms, make_ms))
    assert digits(events) == [str(count % 10)]
    assert only_off_hook(events)


def test_a_digit_is_dated_by_its_first_break_and_known_when_the_gap_has_passed() -> None:
    events = dialled(*pulses(3), before_ms=1500)
    last_make = 1600 + 2 * 100 + 60
    assert events[1:] == [Event((last_make + 250) * MS, "digit", 1600 * MS, "3", 0.0)]


def test_a_number_with_pauses_of_300_ms_between_its_digits() -> None:
    runs: list[Run] = []
    for digit in "0104219":
        runs += [*pulses(int(digit) or 10), (OFF, 300 - 40)]
    assert digits(dialled(*runs)) == list("0104219")


@pytest.mark.parametrize(("make_ms", "texts"), [(249, ["5"]), (250, ["2", "3"])])
def test_what_closes_a_digit(make_ms: int, texts: list[str]) -> None:
    first = [*pulses(1), (ON, 60), (OFF, make_ms)]
    got = dialled(*first, *pulses(3))
    assert [event.at // MS for event in named(got, "digit")] == [1600, 1600 + 160 + make_ms][: len(texts)]
    if len(texts) == 2:
        assert digits(got) == texts
    else:  # all five are one train, but uneven and so no digit
        assert digits(got) == [""]


@pytest.mark.parametrize(("break_ms", "seen"), [(24, 0), (25, 1), (30, 1), (200, 1), (201, 0), (299, 0)])
def test_the_shortest_and_the_longest_break_that_is_a_pulse(break_ms: int, seen: int) -> None:
    """15 ms would do, but the hook's debounce removes anything shorter than 25."""
    events = dialled((ON, break_ms), (OFF, 100))
    assert len(digits(events)) == seen
    assert only_off_hook(events)


def test_pulses_that_bounce_are_counted_once() -> None:
    bouncing: list[Run] = [(ON, 5), (OFF, 2), (ON, 50), (OFF, 2), (ON, 1), (OFF, 40)]
    assert digits(dialled(*bouncing * 7)) == ["7"]


def test_more_than_ten_pulses_are_no_digit() -> None:
    assert digits(dialled(*pulses(11))) == [""]
    assert digits(dialled(*pulses(40))) == [""]


@pytest.mark.parametrize("odd", [(ON, 250), (ON, 150)])
def test_a_break_of_another_kind_between_the_pulses_makes_them_no_digit(odd: Run) -> None:
    assert digits(dialled(*pulses(2), odd, (OFF, 40), *pulses(2))) == [""]


def test_a_long_break_right_behind_the_pulses_makes_them_no_digit() -> None:
    assert digits(dialled(*pulses(3), (ON, 250))) == [""]


def test_pulses_at_two_rates_are_no_digit() -> None:
    assert digits(dialled(*pulses(2, 30, 30), *pulses(3, 60, 60))) == [""]
    assert digits(dialled(*pulses(2, 50, 30), *pulses(3, 55, 40))) == ["5"]


def test_a_contact_that_breaks_at_random_is_no_digit() -> None:
    rng = np.random.default_rng(7)
    runs: list[Run] = []
    for _ in range(5):
        runs += [(ON, int(rng.integers(30, 200))), (OFF, int(rng.integers(20, 220)))]
    assert digits(dialled(*runs)) == [""]


@pytest.mark.parametrize(
    ("before_ms", "break_ms", "text"),
    [
        (1500, 60, "1"), (1500, 100, "1"), (1500, 101, ""),  # longer than a dial's break
        (299, 60, ""), (300, 60, "1"),  # a hookswitch still at rest?
        (20_000, 60, "1"), (20_010, 60, ""),  # the time for digits is over
    ],
)  # fmt: skip
def test_a_lone_break_is_a_one_only_where_somebody_can_be_dialling(before_ms: int, break_ms: int, text: str) -> None:
    assert digits(dialled((ON, break_ms), before_ms=before_ms)) == [text]


def test_a_lone_break_after_an_answer_is_trouble_and_after_a_flash_or_a_digit_a_one() -> None:
    ring = bits((0, 100), (1, 1000))
    hook = bits((ON, 1500), (OFF, 5000), *pulses(1), (OFF, 5000), (ON, 500), (OFF, 2000), *pulses(1), (OFF, 15_000),
                *pulses(1), (OFF, 2000))  # fmt: skip
    events = follow(hook, ring)
    assert digits(events) == ["", "1", "1"]
    assert [event.name for event in events] == ["ringing", "off_hook", "digit", "flash", "digit", "digit"]


def test_two_lone_breaks_in_one_conversation_are_two_troubles() -> None:
    events = dialled((ON, 60), (OFF, 3000), (ON, 40), before_ms=60_000)
    assert digits(events) == ["", ""]
    assert only_off_hook(events)


def test_pulses_that_end_in_a_flash_or_in_on_hook_are_no_digit() -> None:
    events = dialled(*pulses(2), (ON, 500), (OFF, 1000), *pulses(4), (ON, 1500))
    assert [event.name for event in events] == ["off_hook", "flash", "on_hook", "off_hook"]


def test_a_battery_that_fails_for_a_moment_is_no_pulse() -> None:
    hook = bits((OFF, 2000), (ON, 60), (OFF, 2000))
    line = volts((SPEAKING, 2000), (DEAD, 60), (SPEAKING, 2000))
    assert digits(follow(hook, line_volts=line)) == []
    assert digits(follow(hook)) == ["1"]


@settings(max_examples=200, deadline=None)
@given(
    number=st.text("0123456789", min_size=1, max_size=8),
    pps=st.floats(8, 12),
    make=st.floats(0.38, 0.5),
    gap_ms=st.integers(260, 900),
    cuts=st.lists(st.integers(1, 2000), max_size=8),
    metered=st.booleans(),
)
def test_any_number_however_it_is_cut(
    number: str, pps: float, make: float, gap_ms: int, cuts: list[int], metered: bool
) -> None:
    runs: list[Run] = [(ON, 100), (OFF, 1000)]
    for digit in number:
        period, make_ms = round(1000 / pps), round(1000 / pps * make)
        runs += [*pulses(int(digit) or 10, period - make_ms, make_ms), (OFF, gap_ms - make_ms)]
    hook = bits(*runs, (OFF, 500))
    hook = np.pad(hook, (0, -len(hook) % 10), "edge")
    line = meter(hook) if metered else np.full(len(hook) // 10, NO_VOLTS, np.int16)
    events = follow(hook, line_volts=line, cuts=[cut for cut in cuts if cut < len(line)])
    assert "".join(digits(events)) == number
    assert only_off_hook(events)
