# SPDX-License-Identifier: Apache-2.0
"""What identifies a telephone's digits: level, twist and pitch of the two tones, and the noise beneath them.

An oscillator keeps its pitch within a few hundredths of a percent (memory); two telephones differ by tenths. A far end
that comes through a codec has the codec's noise (G.711: 38 dB below the tones).
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from linetap.recorder.signals.dtmf.gate import COLUMNS_HZ, FRAMES_PER_MS, KEYS, ROWS_HZ
from linetap_core.evidence.calls.g711 import FULL_SCALE_DBM0, RATE_HZ

LEAD_MS, LONGEST_MS = 6, 40  # after the digit's first frame: a digit lasts at least 40 ms (Q.24), usually more
ROUNDS = 4
TAPS = 16  # 2 ms: the length of the hybrid's echo (memory: most of it within 1 ms)
_FULL_SCALE = 32767 * 10 ** (-FULL_SCALE_DBM0 / 20)  # the peak of 0 dBm0


class Signature(msgspec.Struct, frozen=True, array_like=True):
    """`level_dbm0`: mean of both tones; `twist_db`: column above row; pitches in percent off nominal.

    `rest_db`: everything else, against both tones together.
    """

    level_dbm0: float
    twist_db: float
    row_percent: float
    column_percent: float
    rest_db: float


def signature_of(audio: NDArray[np.int16], digit: str, played: NDArray[np.int16] | None = None) -> Signature | None:
    """The signature of a digit's audio from its first frame on; None: too little of it.

    `played`: our own sound while it could return in this audio, longer than the audio by its possible delays: it is
    taken out.
    """
    x = audio[LEAD_MS * FRAMES_PER_MS : LONGEST_MS * FRAMES_PER_MS].astype(np.float64)
    if len(x) < (LONGEST_MS - LEAD_MS) * FRAMES_PER_MS // 2:
        return None
    row, column = divmod(KEYS.index(digit), 4)
    nominal = np.array([ROWS_HZ[row], COLUMNS_HZ[column]])
    hz, at = nominal.copy(), np.arange(len(x)) - (len(x) - 1) / 2
    if played is not None:
        x = x - _returned(x, played, nominal)
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


def _returned(x: NDArray[np.float64], played: NDArray[np.int16], hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of `x` that is the line's echo of `played`: at the delay that fits best, with a few taps around it.

    The tones are fitted together with it, so that they are not taken for echo.
    """
    at = np.arange(len(x)) - (len(x) - 1) / 2
    # a tone that is off by up to 1.8 % (Q.24) still lies within three neighbouring frequencies
    phase = 2 * np.pi / RATE_HZ * np.outer(at, np.concatenate([hz * off for off in (0.99, 1.0, 1.01)]))
    tones = np.linalg.qr(np.hstack([np.cos(phase), np.sin(phase)]))[0]
    late = np.lib.stride_tricks.sliding_window_view(played.astype(np.float64), len(x))[::-1].T  # one column a delay
    rest = x - tones @ (tones.T @ x)
    others = late - tones @ (tones.T @ late)
    power = (others**2).sum(axis=0)
    if not power.max() > 0:
        return np.zeros_like(x)
    fits = (rest @ others) ** 2 / np.maximum(power, power.max() * 1e-3)
    middle = int(fits.argmax())
    taps = slice(max(0, middle - TAPS // 2), middle + TAPS // 2)
    return np.asarray(late[:, taps] @ np.linalg.lstsq(others[:, taps], rest, rcond=1e-4)[0])
