# SPDX-License-Identifier: Apache-2.0
"""The pause between two attempts to connect."""

from __future__ import annotations

from linetap_core.broker.link import Backoff, Patience
from linetap_core.clock import NS_PER_MS

PATIENCE = Patience(first_ms=100, longest_ms=1000, steady_ms=500)


def pauses_ms(backoff: Backoff, count: int, stood_ms: int = 0) -> list[float]:
    found = []
    for _ in range(count):
        backoff.ended(0, stood_ms * NS_PER_MS)
        found.append(backoff.due_ns / NS_PER_MS)
    return found


def test_the_pause_doubles_up_to_the_longest() -> None:
    for pause, most in zip(pauses_ms(Backoff(PATIENCE), 6), (100, 200, 400, 800, 1000, 1000), strict=True):
        assert 0.2 * most <= pause <= most


def test_a_floor_does_not_come_back_together() -> None:
    assert len({round(pauses_ms(Backoff(PATIENCE), 1)[0]) for _ in range(150)}) > 30


def test_only_what_stood_begins_anew() -> None:
    backoff = Backoff(PATIENCE)
    pauses_ms(backoff, 6)
    assert pauses_ms(backoff, 1, stood_ms=499)[0] >= 200
    assert pauses_ms(backoff, 1, stood_ms=500)[0] <= 100
