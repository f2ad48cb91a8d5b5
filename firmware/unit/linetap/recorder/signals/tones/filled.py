# SPDX-License-Identifier: Apache-2.0
"""Which windows of a stretch of audio one tone of the profile fills. For whoever asks about a moment that is past."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linetap.config.profile import Profile
from linetap.recorder.signals.tones.bank import HOP, WINDOW
from linetap.recorder.signals.tones.detector import _bank, _pairs, _tones
from linetap.ring import I16


def filled_by(audio: I16, profile: Profile, name: str) -> NDArray[np.bool_]:
    """Of audio (n,), a window each HOP from its end backwards, the last one last."""
    hops = len(audio) // HOP
    if hops * HOP < WINDOW:
        return np.zeros(0, np.bool_)
    frames = audio[len(audio) - hops * HOP :].reshape(-1, 1, HOP).astype(np.float32)
    codes, _ = _bank(_tones(profile), profile.tones, profile.voice.floor_min_dbm0).classify(frames)
    wanted = [1 + _pairs(profile).index(shape.hz) for shape in profile.tone if shape.name == name]
    found: NDArray[np.bool_] = np.isin(codes[:, 0], wanted)
    return found
