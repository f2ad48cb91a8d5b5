# SPDX-License-Identifier: Apache-2.0
"""The clock fit: it ignores late wake-ups, follows drift, and distinguishes a hole from both."""

from __future__ import annotations

import numpy as np
import pytest

from linetap.capture.timeline import JUMP_NS, Timeline, frames_between

RATE_HZ = 48000
PERIOD = 480
MS = 1_000_000


def run(periods: int, ppm: float = 0.0, late_ms: float = 0.0, seed: int = 1) -> tuple[Timeline, float]:
    """A timeline after this number of periods of a codec `ppm` slow, and the largest error in ms of the last half."""
    rng = np.random.default_rng(seed)
    line = Timeline(RATE_HZ)
    worst = 0.0
    for n in range(1, periods + 1):
        truth = n * 10 * MS * (1 + ppm * 1e-6)
        assert not line.observe(round(truth + rng.exponential(late_ms) * MS), n * PERIOD)
        if n > periods // 2:
            worst = max(worst, abs(line.ns_at(n * PERIOD) - truth) / MS)
    return line, worst


@pytest.mark.parametrize("ppm", [-200, 0, 200])
def test_follows_drift(ppm: float) -> None:
    assert run(3000, ppm)[1] < 1


def test_late_wake_ups_leave_it_where_it_is() -> None:
    assert run(3000, late_ms=3)[1] < 3


def test_one_late_wake_up_is_no_jump_and_a_hole_is() -> None:
    line, _ = run(500)
    now = 501 * 10 * MS
    assert not line.observe(now + JUMP_NS // 2, 501 * PERIOD)
    assert line.observe(now + 2 * JUMP_NS, 502 * PERIOD)
    before = line.ns_at(501 * PERIOD)
    assert abs(before - now) < MS  # a jump does not move the fit


def test_begins_anew() -> None:
    line, _ = run(50)
    line.begin()
    assert not line.observe(9_000 * MS, PERIOD)
    assert line.ns_at(0) == 8_990 * MS
    line.begin()
    with pytest.raises(AssertionError):
        line.ns_at(0)


def test_frames_between() -> None:
    assert frames_between(0, 700 * MS, 125_000) == 5600
    assert frames_between(0, 62_499, 125_000) == 0
    assert frames_between(0, 62_600, 125_000) == 1
    assert frames_between(5 * MS, 0, 125_000) == 0
