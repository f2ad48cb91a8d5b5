# SPDX-License-Identifier: Apache-2.0
"""An overrun while available audio is read: on a processor that is almost too slow, and on one that is too slow."""

from __future__ import annotations

from pathlib import Path

import pytest
from overrun_rig import BUFFER_PERIODS, on_codec

from linetap.capture.loop import MOST_OVERRUNS
from linetap.ring import SLOT_MS
from linetap_core.clock import NS_PER_MS, NS_PER_S
from linetap_core.errors import DeviceFault


def test_what_is_lost_is_what_the_codec_held_and_not_a_second_more(tmp_path: Path, run_dir: Path) -> None:
    with on_codec(tmp_path, run_dir) as (loop, codec, state):
        loop.start()
        for _ in range(50):
            loop.turn()
        codec.slow_read_ms = BUFFER_PERIODS * SLOT_MS + 5
        for _ in range(50):
            loop.turn()
    assert state.overruns == 1
    assert BUFFER_PERIODS * SLOT_MS <= state.gap_ms <= (BUFFER_PERIODS + 5) * SLOT_MS


def test_a_period_that_an_overrun_has_cut_off_ends_nothing(tmp_path: Path, run_dir: Path) -> None:
    with on_codec(tmp_path, run_dir) as (loop, codec, state):
        loop.start()
        for _ in range(50):
            loop.turn()
        codec.cuts_off = True
        for _ in range(50):
            loop.turn()
        began = state.progress
        for _ in range(50):
            loop.turn()
    assert state.overruns == 1
    assert state.progress - began >= 48


def test_a_processor_that_does_not_keep_up_is_left_to_the_others_half_of_the_time(
    tmp_path: Path, run_dir: Path
) -> None:
    """Capture has priority over panel and reporter: without a pause they never run, and the fault is not reported."""
    with on_codec(tmp_path, run_dir) as (loop, codec, state):
        loop.start()
        codec.work_ns = 15 * NS_PER_MS
        began_ns = codec.clock.monotonic_ns()
        while codec.clock.monotonic_ns() - began_ns < 60 * NS_PER_S:
            loop.turn()
        worked_ns = codec.reads * codec.work_ns
    assert state.overruns > 20
    assert worked_ns < 0.6 * 60 * NS_PER_S
    assert worked_ns > 0.3 * 60 * NS_PER_S, "what can be recorded is"


@pytest.mark.parametrize("what_comes", ["", "audio"])
def test_a_codec_that_only_overruns_is_said_to_be_dead(tmp_path: Path, run_dir: Path, what_comes: str) -> None:
    """The number of reads is bounded for every result of the read after an overrun."""
    with on_codec(tmp_path, run_dir) as (loop, codec, _):
        loop.start()
        codec.is_dead, codec.never_reports = True, bool(what_comes)
        for _ in range(MOST_OVERRUNS):
            loop.turn()
        with pytest.raises(DeviceFault, match="overruns and not a period"):
            loop.turn()
        assert codec.reads <= (MOST_OVERRUNS + 1) * (BUFFER_PERIODS + 3)
