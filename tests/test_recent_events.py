# SPDX-License-Identifier: Apache-2.0
"""Counting of recent events, with bounded memory in a storm."""

from __future__ import annotations

from linetap_core.clock import MOST_RECENT, NS_PER_S, RECENT_S, RecentEvents

END_NS = RECENT_S * NS_PER_S


def test_what_is_older_than_the_window_is_not_counted() -> None:
    events = RecentEvents()
    assert events.count(0) == 0
    for second in (0, 10, 20):
        events.add(second * NS_PER_S)
    assert events.count(END_NS - 1) == 3
    assert events.count(END_NS) == 2
    assert events.count(END_NS + 20 * NS_PER_S) == 0


def test_a_storm_is_counted_up_to_its_bound() -> None:
    events = RecentEvents()
    for moment in range(10 * MOST_RECENT):
        events.add(moment)
    assert events.count(10 * MOST_RECENT) == MOST_RECENT
