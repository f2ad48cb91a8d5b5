# SPDX-License-Identifier: Apache-2.0
"""Half a second of a card: voltages, levels, hum and clipping of all lines at once. No judgement here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linetap.ring import I16, NO_VOLTS, RATE_HZ, SLOT_FRAMES, Bits
from linetap_core.evidence.calls.g711 import FULL_SCALE_DBM0

SLOTS = 50
FRAMES = SLOTS * SLOT_FRAMES
SECONDS = FRAMES / RATE_HZ
HUM_TURNS = 8  # each line's hum is measured in one of so many blocks: hum is constant
HUM_SECONDS = HUM_TURNS * SECONDS
HARMONICS = 4
MAINS_HZ = (50.0, 60.0)
NOTHING_DBM0 = -120.0

F32 = NDArray[np.float32]
Lines = NDArray[np.bool_]
_FULL_SCALE_DB = 20 * np.log10(32767) - 10 * np.log10(2) - FULL_SCALE_DBM0


@dataclass(slots=True)
class Block:
    """Arrays (lines,). The masks say what is unknown; its number is then meaningless."""

    metered: Lines  # the voltage is known throughout
    still: Lines  # it is known and constant: no ringing, no pulse, no flash
    calm: Lines  # without noise from hook or ringing
    volts: F32  # its sign is the polarity
    level_dbm0: F32  # of all but DC
    clipped: F32  # share of the samples
    hum_dbm0: F32  # as last measured
    hum_known: Lines  # it was measured in this block


def dbm0(power: F32) -> F32:
    """Mean squares of int16 samples in dBm0."""
    level: F32 = 10 * np.log10(np.maximum(power, 1e-9), dtype=np.float32) - np.float32(_FULL_SCALE_DB)
    return level


class Meter:
    """Keeps no audio, only each line's hum and the line that is due."""

    def __init__(self, lines: int) -> None:
        window = np.hanning(FRAMES + 1)[:-1]
        hz = np.array([mains * k for mains in MAINS_HZ for k in range(1, HARMONICS + 1)])
        phase = np.arange(FRAMES)[:, None] * (2 * np.pi / RATE_HZ) * hz
        waves = np.hstack([np.cos(phase), np.sin(phase)]) * (window / window.sum())[:, None]
        self._waves: F32 = (waves * np.sqrt(2)).astype(np.float32)  # a sine's projection squared is its power
        self._mean: F32 = np.full(FRAMES, 1 / FRAMES, np.float32)
        self._hum_dbm0: F32 = np.full(lines, NOTHING_DBM0, np.float32)
        self._turn = 0

    def read(self, audio: I16, volts: I16, hook: Bits, ring: Bits, still_v: F32, clip_at: NDArray[np.int32]) -> Block:
        """audio int16 (lines, FRAMES), volts int16 0.01 V (lines, SLOTS), hook and ring bool (lines, milliseconds)."""
        lines = len(audio)
        rings = ring.any(axis=1)
        lowest = volts.min(axis=1)
        low, high = lowest.astype(np.float32) / 100, volts.max(axis=1).astype(np.float32) / 100
        metered = lowest != NO_VOLTS
        # Relative to the first sample: a codec stuck at any value is exactly silent.
        samples = np.subtract(audio, audio[:, :1], dtype=np.float32)
        mean = samples @ self._mean
        power: F32 = (np.einsum("ls,ls->l", samples, samples) / FRAMES - mean * mean).astype(np.float32)
        clipped = np.zeros(lines, np.float32)
        for line in np.flatnonzero((audio.max(axis=1) >= clip_at) | (audio.min(axis=1) <= -clip_at)):
            clipped[line] = np.count_nonzero(np.abs(audio[line].astype(np.int32)) >= clip_at[line]) / FRAMES
        # Clipping adds components at all sums and differences of its tones, ringing at multiples of 20 Hz.
        calm = ~rings & (hook.all(axis=1) | ~hook.any(axis=1))
        plain = calm & (clipped == 0)
        known = np.zeros(lines, np.bool_)
        known[self._turn :: HUM_TURNS] = plain[self._turn :: HUM_TURNS]
        self._turn = (self._turn + 1) % HUM_TURNS
        self._hum_dbm0[known] = dbm0(self._hum(samples[known] - mean[known, None]))
        still = metered & (high - low <= still_v) & ~rings
        middle: F32 = ((low + high) / 2).astype(np.float32)
        return Block(metered, still, calm, middle, dbm0(power), clipped, self._hum_dbm0, known)

    def _hum(self, samples: F32) -> F32:
        """Power in the harmonics of either mains frequency; the louder counts."""
        parts = samples @ self._waves
        half = parts.shape[1] // 2
        power = parts[:, :half] ** 2 + parts[:, half:] ** 2
        mains: F32 = power.reshape(len(samples), len(MAINS_HZ), HARMONICS).sum(axis=2).max(axis=1)
        return mains
