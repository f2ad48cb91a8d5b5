# SPDX-License-Identifier: Apache-2.0
"""Finds tones in a stretch of captured audio: fax tones, one tone of the profile, V.8's ANSam.

The replay examines fax tones ahead; the call table examines past audio for dial tone and for the kind of an answer
tone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linetap.config.numbers import CadenceNumbers
from linetap.config.profile import Profile
from linetap.recorder.signals.tones.bank import HOP, WINDOW
from linetap.recorder.signals.tones.detector import bank_of, tone_pairs
from linetap.ring import I16, RATE_HZ

_TONE_HZ, _SWELL_HZ = 2100.0, 15.0  # V.8 clause 3.2
_BLOCK = 80  # 10 ms: 21 cycles of the tone, short enough for its swells
_LEAST = 30  # blocks: four swells and a half


def fax_windows(audio: I16, profile: Profile) -> NDArray[np.bool_]:
    """Whether a fax or modem tone fills each window of audio (n,), one each HOP from the first frame on."""
    if len(audio) < WINDOW:
        return np.zeros(0, np.bool_)
    hops = audio[: len(audio) // HOP * HOP].reshape(-1, 1, HOP).astype(np.float32)
    codes, _ = bank_of(profile).classify(hops)
    found: NDArray[np.bool_] = codes[:, 0] > len(tone_pairs(profile))
    return found


def tone_windows(audio: I16, profile: Profile, name: str) -> NDArray[np.bool_]:
    """Whether the profile's tone `name` fills each window of audio (n,); one window each HOP, the last at the end."""
    hops = len(audio) // HOP
    if hops * HOP < WINDOW:
        return np.zeros(0, np.bool_)
    frames = audio[len(audio) - hops * HOP :].reshape(-1, 1, HOP).astype(np.float32)
    codes, _ = bank_of(profile).classify(frames)
    wanted = [1 + tone_pairs(profile).index(shape.hz) for shape in profile.tone if shape.name == name]
    found: NDArray[np.bool_] = np.isin(codes[:, 0], wanted)
    return found


def is_ansam(samples: I16, numbers: CadenceNumbers) -> bool:
    """Whether a tone of 2100 Hz, `samples` int16 (n,), is V.8's ANSam. Phase reversals do not affect the result."""
    blocks = samples[: len(samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).astype(np.float64)
    if len(blocks) < _LEAST:
        return False
    at = np.arange(_BLOCK) / RATE_HZ
    level = np.abs(blocks @ np.exp(-2j * np.pi * _TONE_HZ * at))
    level = level[level > level.max() / 2]  # without its beginning and the blocks in which the phase turns
    if len(level) < _LEAST:
        return False
    turn = np.exp(-2j * np.pi * _SWELL_HZ * np.arange(len(level)) * _BLOCK / RATE_HZ)
    shape = np.hanning(len(level))
    depth = 2 * abs((level - level.mean()) @ (turn * shape)) / (shape.sum() * level.mean())
    return bool(numbers.ansam_depth[0] <= depth <= numbers.ansam_depth[1])
