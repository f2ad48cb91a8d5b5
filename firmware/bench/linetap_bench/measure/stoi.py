# SPDX-License-Identifier: Apache-2.0
"""How intelligible speech is behind a line: the short-time objective intelligibility measure (STOI).

C. H. Taal, R. C. Hendriks, R. Heusdens, J. Jensen, "An Algorithm for Intelligibility Prediction of Time-Frequency
Weighted Noisy Speech", IEEE Transactions on Audio, Speech and Language Processing 19 (2011). From 0 to 1; above 0.9
listeners understand nearly every word.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import resample_poly

F64 = npt.NDArray[np.float64]

RATE_HZ = 10_000
FRAME, HOP, LENGTH = 256, 128, 512
BANDS, LOWEST_HZ = 15, 150.0
SEGMENT = 30  # frames: 384 ms
SILENT_BELOW_DB = 40.0
WORST_SDR_DB = -15.0  # what is worse in a cell counts as so bad
_WINDOW = np.hanning(FRAME + 2)[1:-1]
_TINY = np.finfo(np.float64).eps


def stoi(clean: F64, heard: F64, rate_hz: int) -> float:
    """Of two signals (n,) of the same length, aligned. At least SEGMENT frames of speech; ValueError otherwise."""
    if rate_hz != RATE_HZ:
        common = int(np.gcd(rate_hz, RATE_HZ))
        clean, heard = (resample_poly(x, RATE_HZ // common, rate_hz // common) for x in (clean, heard))
    clean, heard = _spoken(clean, heard)
    x, y = _bands(clean), _bands(heard)
    if x.shape[1] < SEGMENT:
        raise ValueError(f"{x.shape[1]} frames of speech; at least {SEGMENT} are needed")
    # (bands, segments, SEGMENT)
    x, y = (sliding_window_view(each, SEGMENT, axis=1) for each in (x, y))
    y = y * np.sqrt(np.square(x).sum(-1, keepdims=True) / (np.square(y).sum(-1, keepdims=True) + _TINY))
    y = np.minimum(y, x * (1 + 10 ** (-WORST_SDR_DB / 20)))
    x, y = (each - each.mean(-1, keepdims=True) for each in (x, y))
    like = (x * y).sum(-1) / (np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1) + _TINY)
    return float(like.mean())


def _spoken(clean: F64, heard: F64) -> tuple[F64, F64]:
    """Both without the frames in which the first is silent."""
    frames = [sliding_window_view(each, FRAME)[: len(each) - FRAME : HOP] * _WINDOW for each in (clean, heard)]
    level_db = 20 * np.log10(np.linalg.norm(frames[0], axis=1) + _TINY)
    kept = level_db > level_db.max() - SILENT_BELOW_DB
    joined = []
    for each in frames:
        sound = np.zeros((int(kept.sum()) - 1) * HOP + FRAME)
        for place, frame in enumerate(each[kept]):
            sound[place * HOP : place * HOP + FRAME] += frame
        joined.append(sound)
    return joined[0], joined[1]


def _bands(sound: F64) -> F64:
    """Amplitude in each third of an octave, (BANDS, frames)."""
    frames = sliding_window_view(sound, FRAME)[: len(sound) - FRAME : HOP] * _WINDOW
    power = np.square(np.abs(np.fft.rfft(frames, LENGTH)))
    hz = np.fft.rfftfreq(LENGTH, 1 / RATE_HZ)
    centres = LOWEST_HZ * 2 ** (np.arange(BANDS) / 3)
    edges = [
        (int(np.argmin(np.abs(hz - c * 2 ** (-1 / 6)))), int(np.argmin(np.abs(hz - c * 2 ** (1 / 6))))) for c in centres
    ]
    amplitudes: F64 = np.sqrt(np.stack([power[:, low:high].sum(axis=1) for low, high in edges]))
    return amplitudes
