# SPDX-License-Identifier: Apache-2.0
"""Capture at 8 kHz over a real cable: the ring holds the line's audio at the right times."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from capture_rig import LIMIT_S, Unit, cable_in_ram, end, main_thread_frozen, positions, ring_of, unit, until
from far_end import numbered

from linetap.ring import RATE_HZ, SLOT_FRAMES, SLOT_MS, UNDERRUN, Batch
from linetap.ring.layout import ring_path
from linetap_bench.stage.jack import JackCable
from linetap_core.clock import NS_PER_MS, SYSTEM

EXEMPT = 7
HOLE_MS = 700


@pytest.fixture(scope="module")
def cable() -> Iterator[JackCable]:
    with cable_in_ram(8000) as laid:
        yield laid


@pytest.fixture(scope="module")
def impatient_cable() -> Iterator[JackCable]:
    """A cable whose server does not wait for a process that a test stops or kills."""
    with cable_in_ram(8000, patient=False) as laid:
        yield laid


def check_true_to_time(batches: list[Batch], cable: JackCable) -> list[Batch]:
    """Checks that each frame has the far end's number, with an offset constant to a period; returns the gaps."""
    reached, distances = 0, []
    for batch in batches:
        assert batch.frame == reached
        reached += batch.frames
        if batch.gap is None:
            numbers = positions(batch)
            expected = numbered(int(numbers[0]), 1, 8)[0, 2:EXEMPT]
            assert (batch.audio[2:EXEMPT, 0] == expected).all()
            distances.append(numbers - np.arange(batch.frame, reached))
    spread = np.concatenate(distances)
    assert spread.max() - spread.min() <= SLOT_FRAMES + RATE_HZ / 1000 * cable.held_up_ms
    return [batch for batch in batches if batch.gap]


def test_audio_is_bit_exact_and_frames_are_continuous(cable: JackCable, run_dir: Path) -> None:
    with Unit(unit(run_dir, cable), cable) as capture:
        state = capture.captured(150)
    assert state.fault is None
    batches = ring_of(run_dir)
    audio = np.concatenate([batch.audio for batch in batches], axis=1)
    first = int(positions(batches[0])[0])
    sent = numbered(first, audio.shape[1], 8).T
    assert (audio[:EXEMPT] == sent[:EXEMPT]).all()
    assert not audio[EXEMPT].any(), "an exempt line's audio left the codec"
    assert sent[EXEMPT].any()
    assert all(batch.gap is None for batch in batches)
    mono = np.array([batch.mono_ns - batch.frame * 125_000 for batch in batches])
    assert np.ptp(mono) < (SLOT_MS + cable.held_up_ms) * NS_PER_MS


def test_s32_is_the_same_audio(cable: JackCable, run_dir: Path) -> None:
    with Unit(unit(run_dir, cable, format="S32_LE"), cable) as capture:
        capture.captured(40)
    for batch in ring_of(run_dir):
        sent = numbered(int(positions(batch)[0]), batch.frames, 8).T
        assert (batch.audio[:EXEMPT] == sent[:EXEMPT]).all()


def test_overrun_is_a_gap_where_it_was_and_as_long_as_it_was(cable: JackCable, run_dir: Path) -> None:
    """Capture's loop stops while the device continues: ALSA reports -EPIPE, and its buffer of 200 ms is lost too."""
    with Unit(unit(run_dir, cable), cable) as capture:
        before = capture.captured(60).progress
        with main_thread_frozen(capture.process.pid):
            SYSTEM.sleep(HOLE_MS / 1000)
        state = capture.captured(before + 60)
    assert (state.overruns, state.overruns_lately, state.underruns) == (1, 1, 1)
    batches = ring_of(run_dir)
    (gap,) = check_true_to_time(batches, cable)
    assert gap.gap == "overrun"
    assert gap.frames >= HOLE_MS * 8 - 8 * SLOT_FRAMES  # check_true_to_time has checked the exact length
    flags = np.concatenate([batch.flags for batch in batches])
    assert (flags & UNDERRUN).any()


@pytest.mark.parametrize("late_ms", [0, 40], ids=["woken at once", "woken late"])
def test_frames_lost_without_a_word_are_a_gap_too(impatient_cable: JackCable, run_dir: Path, late_ms: int) -> None:
    """The whole process is stopped, including JACK's thread: ALSA reports no overrun, only the clock shows the loss.
    Audio after the hole must not be dated before it.
    """
    with Unit(unit(run_dir, impatient_cable), impatient_cable) as capture:
        before = capture.captured(60).progress
        stopped_ns = SYSTEM.monotonic_ns()
        capture.process.send_signal(signal.SIGSTOP)
        SYSTEM.sleep(HOLE_MS / 1000)
        with main_thread_frozen(capture.process.pid):
            capture.process.send_signal(signal.SIGCONT)
            SYSTEM.sleep(late_ms / 1000)
        held_ms = (SYSTEM.monotonic_ns() - stopped_ns) / NS_PER_MS
        state = capture.captured(before + 60)
    assert state.overruns == 1
    (gap,) = check_true_to_time(ring_of(run_dir), impatient_cable)
    assert gap.gap == "overrun"
    assert (HOLE_MS + late_ms) * 8 - 8 * SLOT_FRAMES <= gap.frames <= held_ms * 8 + 8 * SLOT_FRAMES


def test_killed_capture_goes_on_in_the_same_ring(impatient_cable: JackCable, run_dir: Path) -> None:
    config = unit(run_dir, impatient_cable)
    with Unit(config, impatient_cable) as first:
        first.captured(60)
        first.process.kill()
        first.process.wait(LIMIT_S)
    inode = ring_path(run_dir, 1).stat().st_ino
    with Unit(config, impatient_cable) as second:
        second.captured(60)
    assert ring_path(run_dir, 1).stat().st_ino == inode
    (gap,) = check_true_to_time(ring_of(run_dir), impatient_cable)
    assert gap.gap == "capture_restart"
    assert gap.frames > 0


def test_second_instance_says_who_holds_it(cable: JackCable, run_dir: Path) -> None:
    config = unit(run_dir, cable)
    with Unit(config, cable) as first:
        first.captured(10)
        with Unit(config, cable) as second:
            assert second.process.wait(LIMIT_S) == 2
            assert f"already running, held by pid {first.process.pid}" in second.said()


def test_a_device_that_is_not_as_configured_is_refused(cable: JackCable, run_dir: Path) -> None:
    """The bare JACK device is FLOAT_LE whatever is requested; pyalsaaudio opens it nevertheless."""
    with Unit(unit(run_dir, cable, capture_pcm="unit_capture_jack"), cable) as capture:
        assert capture.process.wait(LIMIT_S) == 2
        assert "codec_mismatch: unit_capture_jack (card 1): format S16_LE asked, FLOAT_LE given" in capture.said()
        state = capture.state()
    assert state is not None
    assert state.fault is not None
    assert state.fault.code == "codec_mismatch"


def test_a_device_that_is_not_there_is_refused(cable: JackCable, run_dir: Path) -> None:
    with Unit(unit(run_dir, cable, playback_pcm="nowhere"), cable) as capture:
        assert capture.process.wait(LIMIT_S) == 2
        assert "codec_absent: nowhere (card 1): cannot be opened" in capture.said()
        assert "Traceback" not in capture.said()


def test_stop_opens_every_relay(cable: JackCable, run_dir: Path) -> None:
    from linetap_core.records import PlayNotice

    with Unit(unit(run_dir, cable), cable) as capture:
        capture.captured(30)
        capture.send(PlayNotice(12, "one", 0))
        until(lambda: capture.relays()[1] == 1, "the relay closes")
        end(capture.process)
        assert capture.process.returncode == 0
        assert capture.relays() == [0] * 8
