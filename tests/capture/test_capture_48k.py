# SPDX-License-Identifier: Apache-2.0
"""Capture at 48 kHz, where it decimates and notices are upsampled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from capture_rig import Unit, cable_in_ram, main_thread_frozen, notice_noise, ring_of, unit
from far_end import NOISE_FRAMES, band_noise
from played_rig import heard_start, reported_start

from linetap.notices import tag_of
from linetap.ring import I16, RATE_HZ, SLOT_FRAMES
from linetap_bench.stage.jack import JackCable
from linetap_core.clock import SYSTEM
from linetap_core.records import PlayNotice

FRAMES = 8000
EXEMPT = 7
AT = 300 * SLOT_FRAMES  # three seconds: a busy machine may send the command late


@pytest.fixture(scope="module")
def cable() -> Iterator[JackCable]:
    with cable_in_ram(48000) as laid:
        yield laid


def place_in_noise(audio: I16) -> tuple[int, float]:
    """The place of a piece in the far end's noise (8 kHz frames), and the ratio of signal to difference in dB."""
    noise = band_noise(8000).astype(np.float64)
    piece = np.zeros(NOISE_FRAMES)
    piece[: len(audio)] = audio
    fit = np.fft.irfft(np.fft.rfft(noise) * np.conj(np.fft.rfft(piece)))
    at = int(np.argmax(fit))
    wanted = np.take(noise, np.arange(at, at + len(audio)), mode="wrap")
    difference = np.mean((wanted - audio) ** 2)
    return at, float(10 * np.log10(np.mean(wanted**2) / max(difference, 1e-9)))


def test_decimated_audio_is_what_was_played_and_overrun_is_placed(cable: JackCable, run_dir: Path) -> None:
    with Unit(unit(run_dir, cable, rate_hz=48000), cable) as capture:
        before = capture.captured(80).progress
        with main_thread_frozen(capture.process.pid):
            SYSTEM.sleep(0.7)
        capture.captured(before + 80)
    batches = ring_of(run_dir)
    (gap,) = [batch for batch in batches if batch.gap]
    assert gap.gap == "overrun"
    distances = []
    for batch in (b for b in batches if b.gap is None and b.frames >= 20 * SLOT_FRAMES):
        settled = 10 * SLOT_FRAMES  # after the filter's transient
        at, quality_db = place_in_noise(batch.audio[3, settled:])
        assert quality_db > 45
        assert (batch.audio[3] == batch.audio[0]).all()
        assert not batch.audio[EXEMPT].any()
        distances.append((at - batch.frame - settled) % NOISE_FRAMES)
    assert len(distances) >= 2
    assert max(distances) - min(distances) <= SLOT_FRAMES + RATE_HZ / 1000 * cable.held_up_ms


def test_notices_on_both_widths(cable: JackCable, run_dir: Path) -> None:
    for width in ("S16_LE", "S32_LE"):
        folder = run_dir / width
        with Unit(unit(folder, cable, capture_pcm=cable.unit_loop, rate_hz=48000, format=width), cable) as capture:
            capture.captured(40)
            for line in (11, 12, 15):
                capture.send(PlayNotice(line, "two", AT + line))
            capture.captured(AT // SLOT_FRAMES + FRAMES // SLOT_FRAMES + 10)
        batches = ring_of(folder)
        samples = notice_noise(1, FRAMES)
        for line in (11, 12, 15):
            reported = reported_start(batches, line - 11, tag_of(samples))
            assert reported == AT + line
            heard, score = heard_start(batches, line - 11, samples, reported)
            assert abs(heard - reported) <= SLOT_FRAMES
            assert score > 0.99
