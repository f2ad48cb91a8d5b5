# SPDX-License-Identifier: Apache-2.0
"""What is said on the line in stretches: loud enough to be more than the room, and where two ends of it take turns."""

from __future__ import annotations

import math

import msgspec

from linetap.config.numbers import AnswerNumbers
from linetap.recorder.calls.evidence.look import HALF, Window
from linetap.ring import RATE_HZ

_PER_MS = RATE_HZ // 1000
_WINDOW_MS = HALF // _PER_MS
_LOWEST_DBM0 = -60.0


class Stretch(msgspec.Struct):
    """Loud windows without a longer pause. `power`: their sum, 0 dBm0 is 1."""

    start: int
    last: int
    windows: int = 1
    power: float = 0.0


class Speech(msgspec.Struct):
    floor: float | None = None
    current: Stretch | None = None
    before: Stretch | None = None
    loud_ms: int = 0  # since the last digit, tone or music
    first: int | None = None  # frame of the first stretch since then
    turn: int | None = None  # frame at which the second of two ends began
    far_turn: int | None = None  # the same, so much louder or fainter that no announcer goes on so

    def follow(self, window: Window, numbers: AnswerNumbers, toned: bool) -> None:
        """`toned`: a tone is on, and nothing is known of what else is."""
        if toned:
            return
        level = max(window.dbm0, _LOWEST_DBM0)
        rise = numbers.floor_rise_db_s * _WINDOW_MS / 1000
        self.floor = level if self.floor is None else min(self.floor + rise, level)
        current = self.current
        if level >= max(numbers.loud_dbm0, self.floor + numbers.loud_above_floor_db):
            if current is None:
                current = self.current = Stretch(window.at, window.at, 0)
            current.last, current.windows = window.at, current.windows + 1
            current.power += float(10 ** (level / 10))
            self._count(current, numbers)
        elif current is not None and window.at - current.last >= numbers.stretch_pause_ms * _PER_MS:
            if _counts(current, numbers):
                self.before = current
            self.current = None

    def forget(self) -> None:
        """What was said so far says nothing of what comes."""
        self.current = self.before = self.first = self.turn = self.far_turn = None
        self.loud_ms = 0

    def _count(self, current: Stretch, numbers: AnswerNumbers) -> None:
        """A stretch counts once it is longer than a click or a cough, and then whole."""
        if not _counts(current, numbers):
            return
        least = -(-numbers.stretch_min_ms // _WINDOW_MS)
        self.loud_ms += _WINDOW_MS * (current.windows if current.windows == least else 1)
        self.first = current.start if self.first is None else self.first
        if (before := self.before) is None or self.far_turn is not None:
            return
        soon = current.start - before.last <= numbers.turn_pause_ms * _PER_MS
        ratio = current.power / current.windows / (before.power / before.windows)
        apart = abs(10 * math.log10(ratio))
        if soon and apart > numbers.turn_db:
            self.turn = current.start if self.turn is None else self.turn
        if soon and apart > numbers.turn_alone_db:
            self.far_turn = current.start


def _counts(stretch: Stretch, numbers: AnswerNumbers) -> bool:
    return stretch.windows * _WINDOW_MS >= numbers.stretch_min_ms
