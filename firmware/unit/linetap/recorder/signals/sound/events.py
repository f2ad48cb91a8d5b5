# SPDX-License-Identifier: Apache-2.0
"""What is said of a line's sound. `line`: row of the audio; `known`: the frame at which it became certain."""

from __future__ import annotations

from typing import Literal

import msgspec

# `cadence`: a burst of a tone nobody learnt, which comes back regularly; `cadence_over`: the next burst did not come.
# `sit`: the special information tone before a network's announcement; `sit_part`: two of its three tones.
SoundName = Literal[
    "silence", "noise", "tone", "music", "speech", "announcement", "sit", "sit_part", "modem", "cadence", "cadence_over"
]


class SoundHeard(msgspec.Struct, frozen=True):
    """From `at` on the line carries another sound. `level_dbm0`: of what is heard, 0 of silence; `period_ms` and
    `on_ms` are a cadence's."""

    line: int
    known: int
    at: int
    sound: SoundName
    level_dbm0: float = 0.0
    period_ms: int = 0
    on_ms: int = 0


class ChannelChanged(msgspec.Struct, frozen=True):
    """The noise between sounds is another since `at`: another network, another telephone, another room."""

    line: int
    known: int
    at: int


SoundEvent = SoundHeard | ChannelChanged
