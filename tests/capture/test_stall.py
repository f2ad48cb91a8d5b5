# SPDX-License-Identifier: Apache-2.0
"""Capture ends with a reason when its codec stalls; it hangs neither in a read nor at its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from capture_rig import LIMIT_S, Unit, laid_cable, unit
from overrun_rig import Codec, on_codec

from linetap.capture.loop import STALL_MS, STUCK_MS, Loop
from linetap.ring import SLOT_FRAMES, SLOT_MS, UNDERRUN, RingReader
from linetap_core.errors import DeviceFault


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_a_silent_codec_ends_capture(run_dir: Path, how: signal.Signals) -> None:
    with laid_cable(run_dir / "cable", 8, 8000, survives=False) as cable:
        with Unit(unit(run_dir / "run", cable), cable) as capture:
            capture.captured(30)
            os.kill(cable.pid, how)
            assert capture.process.wait(LIMIT_S) == 2
            state = capture.state()
            said = capture.said()
        os.kill(cable.pid, signal.SIGKILL)
    assert state is not None
    assert state.fault is not None
    assert state.fault.code == "codec_stalled"
    assert said.rstrip().splitlines()[-1].startswith("linetap: codec_stalled: unit_capture (card 1): no period")
    assert "Traceback" not in said


def test_one_that_is_asked_to_end_while_its_codec_dies_waits_for_nothing(run_dir: Path) -> None:
    """At close ALSA plays its queue to the end, and polls a dead server for ever without a pause."""
    with (
        laid_cable(run_dir / "cable", 8, 8000, survives=False) as cable,
        Unit(unit(run_dir / "run", cable), cable) as capture,
    ):
        capture.captured(30)
        os.kill(cable.pid, signal.SIGKILL)
        capture.process.terminate()
        assert capture.process.wait(LIMIT_S) in (0, 2), capture.said()


@pytest.fixture
def playing(tmp_path: Path, run_dir: Path) -> Iterator[tuple[Loop, Codec]]:
    """A notice of a second, of which a part is on the line."""
    with on_codec(tmp_path, run_dir) as (loop, codec, _):
        loop.start()
        _turn(loop, 500)
        assert loop._player.play(1, "ko", loop._ring.next_frame) is None
        _turn(loop, 500)
        yield loop, codec


def _turn(loop: Loop, ms: int) -> None:
    for _ in range(ms // SLOT_MS):
        loop.turn()


def _slots_of_the_notice(run_dir: Path) -> list[tuple[int, bool]]:
    """Position and disturbance of each slot in which the ring has the notice."""
    with closing(RingReader(run_dir, 1)) as reader:
        reader.rewind(reader._ring.head)
        batches = iter(lambda: reader._next(reader._ring.head, 25), None)
        return [
            (int(batch.notice_frame[slot, 0]), bool(batch.flags[slot] & UNDERRUN))
            for batch in batches
            for slot in range(len(batch.flags))
            if batch.notice[slot, 0]
        ]


def test_playback_that_stands_still_ends_capture(playing: tuple[Loop, Codec], run_dir: Path) -> None:
    """A USB codec may stop playing without an underrun: a notice in its queue is not on the line."""
    loop, codec = playing
    codec.stuck_ns = codec.clock.monotonic_ns()
    with pytest.raises(DeviceFault, match="nothing is played for 1 s"):
        _turn(loop, 2 * STALL_MS)
    assert any(disturbed for _, disturbed in _slots_of_the_notice(run_dir))


def test_a_notice_that_stood_still_for_a_moment_counts_as_disturbed(playing: tuple[Loop, Codec], run_dir: Path) -> None:
    loop, codec = playing
    codec.stuck_ns = codec.clock.monotonic_ns()
    _turn(loop, STUCK_MS + 100)
    codec.plays_from_ns, codec.stuck_ns = codec.plays_from_ns + codec.clock.monotonic_ns() - codec.stuck_ns, None
    _turn(loop, 1000)
    slots = _slots_of_the_notice(run_dir)
    assert any(disturbed for _, disturbed in slots)
    assert slots[-1][0] // SLOT_FRAMES == 8000 // SLOT_FRAMES - 1, "the rest has its original place"
