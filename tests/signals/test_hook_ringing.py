# SPDX-License-Identifier: Apache-2.0
"""Ringing: its cadence, the missed call, and its effect on the comparator; answers in the middle of a burst."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook_rig import MS, bits, comparator, follow, named, ringing_volts, told
from linetap.config.profile import KR_PSTN
from linetap.recorder.signals.events import Event
from linetap.ring import Bits

BURST_MS, PAUSE_MS = 1000, 2000
LEAD_MS = 200  # on-hook before the first burst
DETECTOR_MS = 180  # latest response of the ring detector

hz = st.floats(15.3, 68)
rms = st.floats(40, 150)
phase = st.floats(0, 1)
battery = st.floats(-56, -42)
threshold = st.sampled_from([16.0, 21.0, 25.0])


def shaken(hz: float, rms: float, phase: float = 0.0, threshold: float = 21.0, battery: float = -48.0) -> Bits:
    """Two bursts with a pause, as seen by a comparator without a filter; then 9 s of rest."""
    rest = np.full(LEAD_MS, battery)
    burst = ringing_volts(BURST_MS, hz, rms, phase, battery)
    pause, end = np.full(PAUSE_MS, battery), np.full(9000, battery)
    return comparator(np.concatenate([rest, burst, pause, burst, end]), threshold)


def detector(late_ms: int = 0) -> Bits:
    burst = ((0, late_ms), (1, BURST_MS - late_ms))
    return bits((0, LEAD_MS), *burst, (0, PAUSE_MS), *burst, (0, 9000))


def test_ringing_is_given_up_eight_seconds_after_the_last_burst() -> None:
    ring = bits((0, 500), (1, 1000), (0, 2000), (1, 1000), (0, 9000))
    events = follow(np.zeros(len(ring), np.bool_), ring)
    assert told(events) == [("ringing", 500), ("ringing", 3500), ("ring_gone", 4500)]
    assert events[-1].known == 12_500 * MS


def test_a_click_on_the_ring_detector_is_no_ringing() -> None:
    ring = bits((0, 500), (1, 100), (0, 3000))
    assert told(follow(np.zeros(len(ring), np.bool_), ring)) == []


def test_a_ring_detector_that_drops_out_within_a_burst_gives_one_ringing() -> None:
    ring = bits((0, 500), (1, 100), (0, 30), (1, 400), (0, 30), (1, 300), (0, 1000))
    assert told(follow(np.zeros(len(ring), np.bool_), ring)) == [("ringing", 500)]


def test_the_shaking_is_as_it_was_computed() -> None:
    """75 Vrms at 20 Hz on -48 V against 21 V: two pulses of 3.6 ms in every 50 ms."""
    fine = np.abs(-48 + 75 * np.sqrt(2) * np.sin(2 * np.pi * np.arange(500) / 500)) < 21  # a tenth of a millisecond
    assert np.count_nonzero(np.diff(fine.astype(np.int8)) == 1) == 2
    assert np.count_nonzero(fine) / 10 == pytest.approx(2 * 3.6, abs=0.2)


@pytest.mark.parametrize(("hz", "rms"), [(20.0, 75.0), (20.03, 75.0), (15.3, 49.0), (15.3, 75.0), (68.0, 150.0)])
def test_a_shaken_hook_still_tells_the_cadence_and_the_missed_call(hz: float, rms: float) -> None:
    hook = shaken(hz, rms)
    assert np.count_nonzero(hook[1:] != hook[:-1]) > 40
    second = LEAD_MS + BURST_MS + PAUSE_MS
    wanted = [("ringing", LEAD_MS), ("ringing", second), ("ring_gone", second + BURST_MS)]
    assert told(follow(hook, detector())) == wanted


@settings(max_examples=500, deadline=None)
@given(hz=hz, rms=rms, phase=phase, battery=battery, threshold=threshold, late=st.integers(0, DETECTOR_MS))
def test_no_ringing_whatever_is_an_answer(
    hz: float, rms: float, phase: float, battery: float, threshold: float, late: int
) -> None:
    events = follow(shaken(hz, rms, phase, threshold, battery), detector(late))
    assert [event.name for event in events] == ["ringing", "ringing", "ring_gone"]


def answered(
    hz: float, rms: float, phase: float, answer_ms: int, trip_ms: int, bounce: list[int], through: float = 0.0
) -> tuple[list[Event], int, int]:
    """A burst answered `answer_ms` after its begin and tripped `trip_ms` later: events, the closing, the trip.

    `through`: the share of the ringing left across the closed loop. Then a conversation of two seconds, on-hook.
    """
    closing = LEAD_MS + answer_ms
    line = np.concatenate([np.full(LEAD_MS, -48.0), ringing_volts(BURST_MS, hz, rms, phase), np.full(4000, -48.0)])
    hook = comparator(line)
    ringing = ringing_volts(trip_ms, hz, rms, phase) + 48
    hook[closing : closing + trip_ms] = comparator(-8 + through * ringing)
    hook[closing + trip_ms : closing + 2000] = True
    at, level = closing, True
    for ms in bounce:
        hook[at : at + ms] = level
        at, level = at + ms, not level
    return follow(hook, bits((0, LEAD_MS), (1, answer_ms + trip_ms))), closing, closing + trip_ms


SIMPLE = ["ringing", "off_hook", "on_hook"]


@settings(max_examples=300, deadline=None)
@given(phase=phase, answer_ms=st.integers(160, 700), trip_ms=st.integers(20, 200))
def test_an_answer_in_mid_burst_is_dated_within_one_pulse_of_the_shaking(
    phase: float, answer_ms: int, trip_ms: int
) -> None:
    events, closing, _ = answered(20.0, 75.0, phase, answer_ms, trip_ms, [])
    assert [event.name for event in events] == SIMPLE
    assert -4 <= events[1].at // MS - closing <= 0
    assert events[1].known == events[1].at + KR_PSTN.lift_debounce_ms * MS


@settings(max_examples=300, deadline=None)
@given(
    hz=hz, rms=rms, phase=phase, answer_ms=st.integers(160, 700), trip_ms=st.integers(20, 200),
    bounce=st.lists(st.integers(1, 5), max_size=6).filter(lambda b: sum(b) <= 15 and len(b) % 2 == 0),
)  # fmt: skip
def test_at_any_ringing_an_answer_with_bounce_is_dated_within_half_a_cycle_and_the_bounce(
    hz: float, rms: float, phase: float, answer_ms: int, trip_ms: int, bounce: list[int]
) -> None:
    events, closing, _ = answered(hz, rms, phase, answer_ms, trip_ms, bounce)
    assert [event.name for event in events] == SIMPLE
    assert -500 / hz - 1 <= events[1].at // MS - closing <= 15


@settings(max_examples=300, deadline=None)
@given(
    hz=hz, rms=rms, phase=phase, answer_ms=st.integers(160, 700), trip_ms=st.integers(20, 200),
    through=st.floats(0, 0.25),
)  # fmt: skip
def test_ringing_that_shakes_the_closed_loop_too_delays_the_answer_no_further_than_its_end(
    hz: float, rms: float, phase: float, answer_ms: int, trip_ms: int, through: float
) -> None:
    events, closing, trip = answered(hz, rms, phase, answer_ms, trip_ms, [], through)
    assert [event.name for event in events if event.name != "digit"] == SIMPLE
    assert all(event.text == "" for event in named(events, "digit"))
    assert closing - 500 / hz - 1 <= named(events, "off_hook")[0].at // MS <= trip


def test_an_answered_call_is_not_given_up_and_dial_pulses_on_the_ring_detector_are_no_ringing() -> None:
    ring = bits((0, 100), (1, 600), (0, 1000), (1, 500), (0, 20_000))
    hook = bits((0, 600), (1, 12_000), (0, 9600))
    assert told(follow(hook, ring)) == [("ringing", 100), ("off_hook", 600), ("on_hook", 12_600)]


def test_a_line_that_rings_again_right_after_on_hook_is_heard() -> None:
    ring = bits((0, 2500), (1, 1000), (0, 1000))
    hook = bits((1, 2000), (0, 2500))
    known = 2000 + KR_PSTN.flash_max_ms + KR_PSTN.lift_debounce_ms
    assert told(follow(hook, ring)) == [("off_hook", 0), ("on_hook", 2000), ("ringing", known)]
