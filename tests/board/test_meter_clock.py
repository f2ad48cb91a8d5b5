# SPDX-License-Identifier: Apache-2.0
"""The meter's clock converted to this machine's."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap.board.meter.clockmap import STRETCH_NS, ClockMap
from linetap_core.clock import NS_PER_MS, NS_PER_S

START_NS = 77_000 * NS_PER_S
BEAT_NS = 100 * NS_PER_MS


def us_at(mono_ns: int, ppm: float, zero_us: int) -> int:
    return zero_us + int((mono_ns - START_NS) * (1 + ppm / 1e6)) // 1000


@settings(max_examples=40)
@given(ppm=st.floats(-100, 100), late_ms=st.floats(0, 6), zero_us=st.integers(0, 1 << 50), seed=st.integers(0, 999))
def test_drift_and_delay_leave_less_than_a_millisecond(ppm: float, late_ms: float, zero_us: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    clock = ClockMap()
    worst = 0
    for beat in range(600):
        sent = START_NS + beat * BEAT_NS
        late = 300_000 + int(random.random() ** 2 * late_ms * NS_PER_MS)
        assert clock.add_beat(sent, us_at(sent + late, ppm, zero_us))
        if beat > 10:
            worst = max(worst, abs(clock.meter_us(sent) - us_at(sent, ppm, zero_us)))
    assert worst < 1700
    final = abs(clock.meter_us(sent + NS_PER_S) - us_at(sent + NS_PER_S, ppm, zero_us))
    assert final < 900
    assert abs(clock.drift * 1e6 - ppm) < 12 + 6 * late_ms


def test_one_beat_is_enough_to_begin_with() -> None:
    clock = ClockMap()
    assert not clock.known
    clock.add_beat(START_NS, 5_000_000)
    assert clock.known
    assert clock.meter_us(START_NS + 3 * NS_PER_MS) == 5_003_000


def test_a_late_beat_moves_nothing() -> None:
    clock = ClockMap()
    clock.add_beat(START_NS, 5_000_000)
    clock.add_beat(START_NS + BEAT_NS, 5_100_000 + 80_000)
    assert clock.meter_us(START_NS + BEAT_NS) == 5_100_000


def test_another_zero_is_reported_and_believed_once_the_old_one_is_forgotten() -> None:
    clock = ClockMap()
    clock.add_beat(START_NS, 500_000_000)
    assert not clock.add_beat(START_NS + BEAT_NS, 10_000)
    assert clock.meter_us(START_NS) == 500_000_000
    clock.forget()
    assert clock.add_beat(START_NS + 2 * BEAT_NS, 110_000)
    assert clock.meter_us(START_NS + 2 * BEAT_NS) == 110_000


def test_an_old_least_delay_does_not_hold_the_clock_for_ever() -> None:
    """Temperature changes the drift; a straight line over hours would be wrong by then."""
    clock, us = ClockMap(), 0.0
    for beat in range(3000):
        ppm = 60 if beat < 1500 else -60
        us += BEAT_NS / 1000 * (1 + ppm / 1e6)
        clock.add_beat(START_NS + beat * BEAT_NS, int(us))
    assert abs(clock.drift * 1e6 + 60) < 3
    assert abs(clock.meter_us(START_NS + 2999 * BEAT_NS) - us) < 100
    assert STRETCH_NS < 10 * NS_PER_S
