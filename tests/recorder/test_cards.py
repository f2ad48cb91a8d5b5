# SPDX-License-Identifier: Apache-2.0
"""A recorder slower than the ring is long: it continues, and reports when audio was last lost unread."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from linetap.recorder.cards import Cards
from linetap.ring import NS_PER_FRAME, SLOT_FRAMES, RingWriter
from linetap_core.clock import NS_PER_S, ManualClock
from state_files import unit

LINES = 2


def write(ring: RingWriter, slots: int) -> None:
    bits, levels = np.zeros((LINES, 10), np.bool_), np.zeros(LINES, np.int16)
    for _ in range(slots):
        at_ns = ring.next_frame * NS_PER_FRAME
        ring.write(
            np.zeros((LINES, SLOT_FRAMES), np.int16), bits, bits, bits, levels, levels.astype(np.uint32),
            levels.astype(np.int32), at_ns, at_ns, 0,
        )  # fmt: skip


def test_what_went_before_it_was_read_is_dated(run_dir: Path) -> None:
    clock = ManualClock(monotonic_ns=100 * NS_PER_S)
    with closing(RingWriter(run_dir, 1, [1, 2], 1, 8000)) as ring:
        cards = Cards(unit(run_dir, LINES), clock, {})
        cards.wait(0)
        follower = cards.followers[1]
        write(ring, 50)
        assert follower.read() is not None
        assert cards.overtaken_ns is None
        clock.advance(NS_PER_S)
        write(ring, 200)
        found = follower.read()
        assert found is not None
        assert found[0].gap == "ring_overtaken"
        assert cards.overtaken_ns == 101 * NS_PER_S


def test_audio_that_the_vault_fetches_too_late_is_reported(run_dir: Path) -> None:
    clock = ManualClock(monotonic_ns=100 * NS_PER_S)
    with closing(RingWriter(run_dir, 1, [1, 2], 1, 8000)) as ring:
        cards = Cards(unit(run_dir, LINES), clock, {})
        cards.wait(0)
        write(ring, 50)
        assert cards.stretch(2, 0, 50 * SLOT_FRAMES).gaps == []
        assert cards.overtaken_ns is None
        write(ring, 200)
        assert cards.stretch(2, 0, 50 * SLOT_FRAMES).gaps == [(0, 50 * SLOT_FRAMES, "ring_overtaken")]
        assert cards.overtaken_ns == 100 * NS_PER_S


def test_a_capture_that_has_gone_wakes_it_once_and_not_for_ever(run_dir: Path) -> None:
    cards = Cards(unit(run_dir, LINES), ManualClock(monotonic_ns=100 * NS_PER_S), {})
    with closing(RingWriter(run_dir, 1, [1, 2], 1, 8000)) as ring:
        cards.wait(0)
        write(ring, 4)
        cards.wait(1000)
    cards.wait(0)
    assert cards._bells.poll(0) == []
    with closing(RingWriter(run_dir, 1, [1, 2], 1, 8000)) as ring:
        assert ring.resumed
        for _ in range(2):
            write(ring, 4)
            assert cards._bells.poll(1) != []
            cards.wait(0)
