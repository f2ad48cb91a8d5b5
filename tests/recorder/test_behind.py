# SPDX-License-Identifier: Apache-2.0
"""A recorder that lags behind its rings: on a machine that is too slow, or after a start over a full ring."""

from __future__ import annotations

from pathlib import Path

from walk_rig import Walked, Wire

from linetap.recorder.cards import BATCH_SLOTS
from linetap.ring import SLOT_MS
from linetap_core.clock import NS_PER_S
from linetap_core.records import RecorderState
from linetap_core.service import read_state
from unit_rig import make_unit

BEHIND = 20 * BATCH_SLOTS


def test_who_is_behind_tells_how_far_after_every_batch(tmp_path: Path, run_dir: Path) -> None:
    """Otherwise its watchdog would end it during its work, which it would then have to repeat."""
    with Walked(make_unit(tmp_path, run_dir, lines=2).config, [Wire(), Wire()]) as unit:
        unit.turn()
        for _ in range(BEHIND):
            unit._slot()
        told = []
        for _ in range(3):
            unit.clock.advance(NS_PER_S)  # the duration of the batch
            unit.service.turn()
            state = read_state(run_dir, "recorder", RecorderState)
            assert state is not None
            told.append((state.progress, state.ring_lag_ms))
        steps = [progress - told[0][0] for progress, _ in told]
        assert steps == [0, 1, 2]
        assert [lag for _, lag in told] == [(BEHIND - n * BATCH_SLOTS) * SLOT_MS for n in (1, 2, 3)]
