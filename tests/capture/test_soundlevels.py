# SPDX-License-Identifier: Apache-2.0
"""Hook and ringing from the sound alone: ringing after the drawing's front end, speech, and exchange signals."""

from __future__ import annotations

from math import pi
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from linetap.capture.soundlevels import LIFT_AFTER_RINGING_MS, LIFT_MS, RING_MS, SILENT_MS, SoundLevels
from linetap.ring import NO_VOLTS, RATE_HZ, SLOT_FRAMES, Bits
from linetap_bench.sounds.voices import Voices
from linetap_core.codecs.g711 import FULL_SCALE_DBM0

F64 = npt.NDArray[np.float64]


def tone(dbm0: float, seconds: float, *hertz: float) -> F64:
    """The given frequencies, each at this level."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    peak = 32767 * 10 ** ((dbm0 - FULL_SCALE_DBM0) / 20)
    total: F64 = sum((peak * np.sin(2 * pi * hz * t) for hz in hertz), np.zeros(len(t)))
    return total


def silence(seconds: float) -> F64:
    """The noise of a good line, -65 dBm0."""
    rng = np.random.default_rng(1)
    return rng.normal(0, 32767 / 2**0.5 * 10 ** ((-65 - FULL_SCALE_DBM0) / 20), round(seconds * RATE_HZ))


def ringing(hertz: float, seconds: float, beyond_db: float = 15.0) -> F64:
    """Ringing as converted: a sine beyond full scale (hardware/README.md: 23 to 27 dBm0 at 75 V, 20 Hz)."""
    return tone(FULL_SCALE_DBM0 + beyond_db, seconds, hertz)


def said(folder: Path, text: str) -> F64:
    return Voices(folder / "voices").say(text, "ko", "staff").astype(np.float64)


def seen(*pieces: F64, lifted: bool = False) -> tuple[Bits, Bits]:
    """Hook and ring of each period of one line."""
    line = np.clip(np.concatenate(pieces), -32768, 32767).astype(np.int16)
    levels = SoundLevels(np.array([lifted]))
    found = [
        levels.levels(line[None, at : at + SLOT_FRAMES]) for at in range(0, len(line) - SLOT_FRAMES + 1, SLOT_FRAMES)
    ]
    assert all(each.volts.tolist() == [NO_VOLTS] for each in found)
    return tuple(np.array([bool(getattr(each, name)[0, -1]) for each in found]) for name in ("hook", "ring"))  # type: ignore[return-value]


def first_ms(bits: Bits) -> int:
    return int(np.argmax(bits)) * 10


@pytest.mark.parametrize("hertz", [15.3, 20.0, 25.0, 68.0])
def test_ringing_rings_and_lifts_nothing(hertz: float) -> None:
    hook, ring = seen(silence(1), ringing(hertz, 1), silence(2), ringing(hertz, 1), silence(2))
    assert not hook.any()
    assert RING_MS - 10 <= first_ms(ring) - 1000 <= RING_MS + 60
    edges = np.flatnonzero(np.diff(ring.astype(np.int8)))
    assert len(edges) == 4
    assert (edges[1] + 1) * 10 - 2000 <= 80


def test_a_call_goes_on_through_pauses_and_ends_after_a_minute_of_silence(tmp_path: Path) -> None:
    speech = said(tmp_path, "네, 시청 민원실입니다.")
    hook, _ = seen(speech, silence(SILENT_MS / 1000 - 2), speech, silence(SILENT_MS / 1000 + 1), lifted=True)
    ends = np.flatnonzero(~hook)
    assert len(ends)
    assert hook[: ends[0]].all()
    assert not hook[ends[0] :].any()
    loud_until_ms = (len(hook) * 10) - SILENT_MS - 1000
    assert SILENT_MS - 2000 <= ends[0] * 10 - loud_until_ms <= SILENT_MS + 100


@pytest.mark.parametrize("sound", [tone(-20, 1, 350, 440), tone(-10, 1, 697, 1209)], ids=["dial tone", "a digit"])
def test_an_idle_line_that_sounds_is_in_use(sound: F64) -> None:
    hook, ring = seen(silence(2), sound)
    assert LIFT_MS - 20 <= first_ms(hook) - 2000 <= LIFT_MS + 20
    assert not ring.any()


def test_caller_id_after_a_burst_is_nobody_who_answers_and_a_greeting_is(tmp_path: Path) -> None:
    identity = tone(-14, 1.2, 1200, 2200)
    greeting = said(tmp_path, "네, 시청 민원실입니다. 무엇을 도와드릴까요?")
    before = [silence(1), ringing(20, 1), silence(0.5), identity, silence(0.5), ringing(20, 1), silence(0.5)]
    hook, _ = seen(*before, greeting)
    start_ms = sum(map(len, before)) * 1000 // RATE_HZ
    assert not hook[: start_ms // 10].any()
    assert hook[-1]
    assert first_ms(hook) - start_ms >= LIFT_AFTER_RINGING_MS - 20


def test_a_ringing_line_is_on_hook_whatever_it_was() -> None:
    hook, _ = seen(tone(-20, 1, 400), ringing(20, 1), silence(1), lifted=True)
    assert hook[:100].all()
    assert not hook[120:].any()


def test_a_click_is_no_ringing() -> None:
    click = np.full(round(0.03 * RATE_HZ), 30_000.0)
    hook, ring = seen(tone(-20, 1, 400), click, tone(-20, 1, 400), lifted=True)
    assert hook.all()
    assert not ring.any()
