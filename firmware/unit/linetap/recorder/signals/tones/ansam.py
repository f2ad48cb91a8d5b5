# SPDX-License-Identifier: Apache-2.0
"""Whether an answer tone of 2100 Hz swells 15 times a second: ITU-T V.8's ANSam. Whoever sends it is a modem, or a fax
that begins as one (V.34); a plain fax answers with a tone that does not (T.30)."""

from __future__ import annotations

import numpy as np

from linetap.config.numbers import CadenceNumbers
from linetap.ring import I16, RATE_HZ

_TONE_HZ, _SWELL_HZ = 2100.0, 15.0  # V.8 clause 3.2
_BLOCK = 80  # 10 ms: 21 cycles of the tone, and swells are still seen
_LEAST = 30  # blocks: four swells and a half


def is_ansam(samples: I16, numbers: CadenceNumbers) -> bool:
    """`samples` of a tone of 2100 Hz, int16 (n,); a reversal of its phase in them does no harm."""
    blocks = samples[: len(samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).astype(np.float64)
    if len(blocks) < _LEAST:
        return False
    at = np.arange(_BLOCK) / RATE_HZ
    level = np.abs(blocks @ np.exp(-2j * np.pi * _TONE_HZ * at))
    level = level[level > level.max() / 2]  # its beginning, and the blocks in which the phase turns
    if len(level) < _LEAST:
        return False
    turn = np.exp(-2j * np.pi * _SWELL_HZ * np.arange(len(level)) * _BLOCK / RATE_HZ)
    shape = np.hanning(len(level))
    depth = 2 * abs((level - level.mean()) @ (turn * shape)) / (shape.sum() * level.mean())
    return bool(numbers.ansam_depth[0] <= depth <= numbers.ansam_depth[1])
