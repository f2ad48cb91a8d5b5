# SPDX-License-Identifier: Apache-2.0
"""The codec's drift, measured by the fit; late wake-ups do not affect it."""

from __future__ import annotations

import numpy as np
import pytest

from linetap.capture.timeline import Drift, Timeline

RATE_HZ, PERIOD, PERIOD_NS = 48000, 480, 10_000_000
MINUTE = 6000  # periods


def measured(ppm: float, minutes: float, late_ms: float) -> float | None:
    rng = np.random.default_rng(2)
    line, drift = Timeline(RATE_HZ), Drift()
    periods = np.arange(1, round(minutes * MINUTE) + 1)
    seen = periods * PERIOD_NS * (1 + ppm * 1e-6) + rng.exponential(late_ms * 1e6, len(periods))
    for n, now_ns in zip(periods.tolist(), seen.tolist(), strict=True):
        line.observe(round(now_ns), n * PERIOD)
        drift.observe(round(now_ns), line.origin_ns)
    return drift.ppm


@pytest.mark.parametrize("ppm", [-80.0, 0.0, 35.0])
def test_ten_minutes_tell_it_to_a_few_ppm(ppm: float) -> None:
    assert measured(ppm, 10.1, 0.3) == pytest.approx(ppm, abs=3.0)


def test_less_than_ten_minutes_tell_nothing() -> None:
    assert measured(35.0, 9.5, 0.3) is None


def test_only_the_last_hour_counts_and_a_new_run_begins_anew() -> None:
    drift = Drift()
    for minute in range(200):
        drift.observe(minute * 60_000_000_000, minute * 60_000_000_000 * (50e-6 if minute > 100 else 0.0))
    assert drift.ppm == pytest.approx(50.0)
    drift.begin()
    assert drift.ppm is None
