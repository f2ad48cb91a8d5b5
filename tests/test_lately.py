# SPDX-License-Identifier: Apache-2.0
"""Counting of recent events, with bounded memory in a storm."""

from __future__ import annotations

from linetap_core.clock import MOST, NS_PER_S, WINDOW_S, Lately

END_NS = WINDOW_S * NS_PER_S


def test_what_is_older_than_the_window_is_not_counted() -> None:
    lately = Lately()
    assert lately.count(0) == 0
    for second in (0, 10, 20):
        lately.note(second * NS_PER_S)
    assert lately.count(END_NS - 1) == 3
    assert lately.count(END_NS) == 2
    assert lately.count(END_NS + 20 * NS_PER_S) == 0


def test_a_storm_is_counted_up_to_its_bound() -> None:
    lately = Lately()
    for moment in range(10 * MOST):
        lately.note(moment)
    assert lately.count(10 * MOST) == MOST
