# SPDX-License-Identifier: Apache-2.0
"""Finds the end of the greeting after an answer, so that the notice does not overlap it.

Unlike hum and noise, speech varies by 20 dB and more: the criterion is the level of a block of 10 ms above the quiet
blocks of the same stretch. Pauses within a greeting ("네, 민원실입니다") are shorter than `pause_ms`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from linetap.config.numbers import GreetingNumbers
from linetap.ring import I16, RATE_HZ
from linetap_core.codecs.g711 import POWER_0DBM0

BLOCK_MS = 10
_BLOCK = RATE_HZ * BLOCK_MS // 1000


def has_ended(audio: I16, numbers: GreetingNumbers) -> bool:
    """Whether the notice may follow: the greeting is over, or no greeting began in time."""
    silent = len(audio) >= numbers.begins_ms * RATE_HZ // 1000 and not has_speech(audio, numbers)
    return silent or greeting_end(audio, numbers) is not None


def greeting_end(audio: I16, numbers: GreetingNumbers) -> int | None:
    """The end of the first utterance, a frame; None: there was no speech yet, or it continues.

    audio: int16 (n,), from the answer up to now.
    """
    active = _active(audio, numbers)
    pause, least = numbers.pause_ms // BLOCK_MS, numbers.spurt_min_ms // BLOCK_MS
    count, last = 0, -1
    for block in np.flatnonzero(active):
        if count >= least and block - last > pause:
            break
        count = count + 1 if block - last <= pause or last < 0 else 1  # before a long pause it was a click
        last = int(block)
    return (last + 1) * _BLOCK if count >= least and len(active) - 1 - last >= pause else None


def has_speech(audio: I16, numbers: GreetingNumbers) -> bool:
    """Whether `audio` contains speech, or its possible beginning."""
    return int(_active(audio, numbers).sum()) >= numbers.click_ms // BLOCK_MS


def _active(audio: I16, numbers: GreetingNumbers) -> npt.NDArray[np.bool_]:
    """Whether each block contains speech."""
    blocks = audio[: len(audio) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).astype(np.float32)
    if not len(blocks):
        return np.zeros(0, np.bool_)
    blocks -= blocks.mean(axis=1, keepdims=True)  # hum is slow
    dbm0 = 10 * np.log10(np.square(blocks).mean(axis=1) / POWER_0DBM0 + 1e-12)
    floor = np.percentile(dbm0, numbers.floor_percent)
    active: npt.NDArray[np.bool_] = dbm0 >= max(numbers.min_dbm0, float(floor) + numbers.above_floor_db)
    return active
