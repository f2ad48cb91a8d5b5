# SPDX-License-Identifier: Apache-2.0
"""By what a telephone's digits are known: level, twist and pitch of the two tones, and what else is under them. An
oscillator keeps its pitch within a few hundredths of a percent (memory), two telephones differ by tenths; a far end
that comes through a codec brings the codec's noise along (G.711: 38 dB below the tones)."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from linetap.evidence.g711 import FULL_SCALE_DBM0, RATE_HZ
from linetap.recorder.signals.dtmf.keys import COLUMNS_HZ, FRAMES_PER_MS, KEYS, ROWS_HZ

LEAD_MS, LONGEST_MS = 6, 40  # behind the digit's first frame: it is a digit for 40 ms at least (Q.24), mostly for more
ROUNDS = 4
_FULL_SCALE = 32767 * 10 ** (-FULL_SCALE_DBM0 / 20)  # the peak of 0 dBm0


class Signature(msgspec.Struct, frozen=True, array_like=True):
    """`level_dbm0`: mean of both tones; `twist_db`: column above row; pitches in percent off nominal; `rest_db`: all
    else, against both together."""

    level_dbm0: float
    twist_db: float
    row_percent: float
    column_percent: float
    rest_db: float


def signature_of(audio: NDArray[np.int16], digit: str) -> Signature | None:
    """Of a digit's audio from its first frame on. None: too little of it is there."""
    x = audio[LEAD_MS * FRAMES_PER_MS : LONGEST_MS * FRAMES_PER_MS].astype(np.float64)
    if len(x) < (LONGEST_MS - LEAD_MS) * FRAMES_PER_MS // 2:
        return None
    row, column = divmod(KEYS.index(digit), 4)
    nominal = np.array([ROWS_HZ[row], COLUMNS_HZ[column]])
    hz, at = nominal.copy(), np.arange(len(x)) - (len(x) - 1) / 2
    for _ in range(ROUNDS):  # Gauss and Newton: a tone's derivative by its frequency is its own quadrature times t
        phase = 2 * np.pi / RATE_HZ * np.outer(at, hz)
        waves = np.hstack([np.cos(phase), np.sin(phase)])
        found = np.linalg.lstsq(waves, x, rcond=None)[0]
        a, b = found[:2], found[2:]
        slope = (2 * np.pi / RATE_HZ) * at[:, None] * (b * np.cos(phase) - a * np.sin(phase))
        step = np.linalg.lstsq(np.hstack([waves, slope]), x, rcond=None)[0][4:]
        hz += np.clip(step, -5.0, 5.0)
    phase = 2 * np.pi / RATE_HZ * np.outer(at, hz)
    waves = np.hstack([np.cos(phase), np.sin(phase)])
    found = np.linalg.lstsq(waves, x, rcond=None)[0]
    peaks = np.maximum(np.hypot(found[:2], found[2:]), 1e-3)
    low, high = (20 * np.log10(peaks / _FULL_SCALE)).tolist()
    rest = float(np.mean((x - waves @ found) ** 2))
    off = ((hz / nominal - 1) * 100).tolist()
    rest_db = 10 * np.log10(max(rest, 1e-3) / float((peaks**2).sum() / 2))
    return Signature((low + high) / 2, high - low, off[0], off[1], float(rest_db))
