# SPDX-License-Identifier: Apache-2.0
"""Counters of commands: none is accepted twice in any order, and no new one is refused because of the order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from linetap_core.evidence.authorization.counters import (
    AHEAD_MS,
    LATEST_MS,
    MOST_FAR,
    MOST_SEEN,
    SOON_MS,
    Bound,
    Counters,
    Window,
    bound,
)

ANY = st.integers(1, 1 << 61)


@given(st.lists(ANY, max_size=60).flatmap(lambda used: st.permutations(used * 2)))
def test_in_whatever_order_each_is_taken_once(order: list[int]) -> None:
    """Fewer than the window holds: then no new one is refused either."""
    window, done = Window(), list[int]()
    for counter in order:
        if not window.is_used(counter):
            window = window.using(counter)
            done.append(counter)
    assert sorted(done) == sorted(set(order))


@given(st.lists(st.integers(1, 2000), max_size=1200))
def test_no_counter_is_taken_twice_however_many_there_are(order: list[int]) -> None:
    window, done = Window(), list[int]()
    for counter in order:
        if not window.is_used(counter):
            window = window.using(counter)
            done.append(counter)
    assert len(done) == len(set(done))
    assert len(window.seen) <= MOST_SEEN


NOW_MS = 1_800_000_000_000
BOUND = Bound(NOW_MS + AHEAD_MS, NOW_MS + SOON_MS)


@given(st.lists(st.integers(NOW_MS + SOON_MS + 1, 1 << 61), max_size=600, unique=True))
def test_counters_far_ahead_keep_none_of_today_from_being_taken(far: list[int]) -> None:
    """A temporary thief of the key may have used any counters: its owner's are based on the time."""
    counters, keys = Counters(), ["a"]
    for counter in [*far, *range(NOW_MS, NOW_MS + 40)]:
        if counters.is_used(keys, counter) or counters.is_too_far(keys, counter, False, BOUND):
            assert counter > NOW_MS + 40
            continue
        counters = counters.using(keys, counter)
    assert sum(counter > BOUND.soon for counter in counters.keys["a"].seen) <= MOST_FAR


@given(st.lists(st.integers(1, 2000), max_size=MOST_SEEN * 3, unique=True), st.data())
def test_with_some_of_their_own_joined_they_stay_the_same(used: list[int], data: st.DataObject) -> None:
    """So that a difference shows an older copy: the log has no counter that the file of its time lacks."""
    some, whole, part = data.draw(st.sets(st.sampled_from(used or [1]))), Window(), Window()
    for counter in used:
        whole = whole.using(counter)
        part = part.using(counter) if counter in some else part
    assert whole.joined(part) == whole
    assert all(part.joined(whole).is_used(counter) for counter in used)


def test_each_key_has_counters_of_its_own() -> None:
    counters = Counters().using(["a"], 150)
    assert counters.is_used(["a"], 150)
    assert not counters.is_used(["a"], 140)
    assert not counters.is_used(["b"], 150), "another person's key"


def test_each_signer_uses_it_up() -> None:
    counters = Counters().using(["a", "b"], 7)
    assert counters.is_used(["b"], 7)
    assert counters.is_used(["b", "a"], 7)


def test_how_far_ahead_one_may_be() -> None:
    assert bound(None, 0) == Bound(LATEST_MS, LATEST_MS)
    assert bound(5_000_000, 0) == Bound(5 + AHEAD_MS, 5 + SOON_MS, 5 + SOON_MS)
    assert bound(5_000_000, 0, is_dated=False) == Bound(5 + AHEAD_MS, 5 + SOON_MS, 5 + AHEAD_MS)
    assert bound(0, 0) == Bound(), "it has forgotten the time"
    assert bound(5_000_000, 9_000_000).latest == 9 + AHEAD_MS
