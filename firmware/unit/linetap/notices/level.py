# SPDX-License-Identifier: Apache-2.0
"""How loud speech is: the active speech level, which pauses do not lower."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from linetap_core.evidence.calls.g711 import FULL_SCALE_DBM0

F64 = npt.NDArray[np.float64]

BLOCK_MS = 20
MARGIN_DB = 15.9  # ITU-T P.56: what lies further below the active level is a pause
SILENCE_DBM0 = -100.0  # said of a signal that has no power at all
_FULL_SCALE_SINE_POWER = 0.5  # samples from -1 to 1
_ROUNDS = 50


def active_level_dbm0(samples: F64, rate_hz: int) -> float:
    """The active speech level of `samples` (from -1 to 1) in dBm0; a full-scale sine is +3.14 dBm0.

    The mean power of the 20 ms blocks that are no more than 15.9 dB below that mean: the margin of ITU-T P.56, with
    blocks in place of its envelope. It starts from all blocks and leaves out pauses until none is left.
    """
    size = rate_hz * BLOCK_MS // 1000
    whole = len(samples) // size * size
    blocks = samples[:whole].reshape(-1, size) if whole else samples.reshape(1, -1)
    powers = np.square(blocks).mean(axis=1) if samples.size else np.zeros(1)
    mean = float(powers.mean())
    for _ in range(_ROUNDS):
        active = powers[powers >= mean * 10 ** (-MARGIN_DB / 10)]
        if active.mean() == mean:
            break
        mean = float(active.mean())
    if mean <= 0:
        return SILENCE_DBM0
    return max(SILENCE_DBM0, float(10 * np.log10(mean / _FULL_SCALE_SINE_POWER)) + FULL_SCALE_DBM0)


def level_of(samples: npt.NDArray[np.int16], rate_hz: int) -> float:
    """The same of 16-bit samples."""
    return active_level_dbm0(samples.astype(np.float64) / 32768, rate_hz)
