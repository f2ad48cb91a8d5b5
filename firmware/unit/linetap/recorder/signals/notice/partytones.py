# SPDX-License-Identifier: Apache-2.0
"""Tones of another party under our own notice: call waiting, or ringback.

The ordinary detector hears a tone only while nothing else is as loud, and the notice's echo is. It listens once more,
to the same audio without that echo.
"""

from __future__ import annotations

import numpy as np

from linetap.config.numbers import ProofNumbers
from linetap.config.profile import Profile
from linetap.recorder.signals.events import ToneHeard
from linetap.recorder.signals.notice.proof import without_echo
from linetap.recorder.signals.tones.detector import CHUNK, ToneDetector
from linetap.ring import I16

ANOTHER_PARTY = frozenset({"call_waiting", "ringback"})


def another_party_beneath(captured: I16, notice: I16, numbers: ProofNumbers, profile: Profile) -> bool:
    """`captured`, `notice`, `numbers`: as for `prove`."""
    rest = without_echo(captured, notice, numbers)
    heard = np.concatenate([np.zeros(CHUNK, np.int16), rest, np.zeros(4 * CHUNK, np.int16)])[None, :]
    found = ToneDetector(1, profile).follow(heard, 0)
    return any(isinstance(event, ToneHeard) and event.tone in ANOTHER_PARTY for event in found)
