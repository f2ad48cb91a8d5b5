# SPDX-License-Identifier: Apache-2.0
"""Sounds of a line for the stories: float64 at 8 kHz."""

from __future__ import annotations

import numpy as np

from linetap_bench.sounds.synth import (
    BUSY_DBM0,
    BUSY_HZ,
    BUSY_MS,
    DTMF_COLUMNS_HZ,
    DTMF_KEYS,
    DTMF_ROWS_HZ,
    F64,
    RINGBACK_DBM0,
    RINGBACK_HZ,
    Tones,
    pair,
)
from linetap_bench.sounds.voices import MADE_DBM0, Voices, default_folder
from linetap_core.codecs.codec import RATE_HZ

NEAR_DBM0, FAR_DBM0 = -8.0, -20.0
TEXT = "여보세요, 시청 민원실입니다. 어제 문의하신 건으로 전화드렸습니다. 잠시 통화 가능하신지요."


def frames(seconds: float) -> int:
    return round(seconds * RATE_HZ)


def busy(seconds: float) -> F64:
    return pair(BUSY_HZ, BUSY_DBM0, frames(seconds), BUSY_MS).render(0, frames(seconds))


def ringback(bursts: int) -> F64:
    n = frames(3 * bursts - 2)
    return pair(RINGBACK_HZ, RINGBACK_DBM0, n, (1000, 2000)).render(0, n)


def dial(seconds: float) -> F64:
    return pair((350.0, 440.0), -13.0, frames(seconds)).render(0, frames(seconds))


def call_waiting() -> F64:
    """Two bursts, of the length required for certain detection."""
    burst, gap = pair((350.0, 440.0), -16.0, frames(0.25)).render(0, frames(0.25)), np.zeros(frames(0.25))
    return np.concatenate([burst, gap, burst])


def digits(text: str, dbm0: float = NEAR_DBM0) -> F64:
    """90 ms each, 100 ms between."""
    parts = []
    for digit in text:
        row, column = divmod(DTMF_KEYS.index(digit), 4)
        tones = [(DTMF_ROWS_HZ[row], dbm0), (DTMF_COLUMNS_HZ[column], dbm0)]
        parts += [Tones(tones, frames(0.09)).render(0, frames(0.09)), np.zeros(frames(0.1))]
    return np.concatenate(parts)


def fax(hz: float, seconds: float) -> F64:
    return Tones([(hz, -14.0)], frames(seconds)).render(0, frames(seconds))


def talk(seconds: float, dbm0: float = -16.0) -> F64:
    said = Voices(default_folder()).say(TEXT, "ko", "caller") * 10 ** ((dbm0 - MADE_DBM0) / 20)
    return np.tile(said, -(-frames(seconds) // len(said)))[: frames(seconds)]


def music(seconds: float) -> F64:
    """A PBX's hold music: three notes at a time, with their harmonics, a new chord each half second."""
    chords = [(262, 330, 392), (294, 370, 440), (330, 415, 494), (349, 440, 523)]
    parts = []
    for n in range(round(seconds * 2)):
        tones = [(float(hz * k), -24.0 - 6 * k) for hz in chords[n % 4] for k in (1, 2, 3)]
        parts.append(Tones(tones, frames(0.5)).render(0, frames(0.5)))
    return np.concatenate(parts)
