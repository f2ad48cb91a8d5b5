# SPDX-License-Identifier: Apache-2.0
"""A hush in music, and what is heard behind it: whoever answers takes the song away first, and speaks then.

The ears need a second of a voice to be sure that it is no singer's. Behind a hush such as the music never had, half a
second that keeps no notes is enough.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from linetap.config.numbers import AnswerNumbers
from linetap.recorder.calls.evidence.look import HALF, Window, dbm0
from linetap.ring import RATE_HZ

_PER_MS = RATE_HZ // 1000
_WINDOW_MS = HALF // _PER_MS
_MEMORY = 100  # windows of which the music's level is a mean
_KNOWN = 25  # windows: a second of it


class Behind(NamedTuple):
    """What is to be weighed: frames of a stretch of sound, and where the music before it ended."""

    start: int
    end: int
    hush: int


class Hush(msgspec.Struct):
    """State only. Frames are middles of windows."""

    power: float = 0.0  # mean of the music, 0 dBm0 is 1
    windows: int = 0  # of it
    since: int = 0
    quiet: int = 0  # windows in a row
    at: int | None = None  # where the hush began
    start: int | None = None  # where sound began behind it
    last: int = 0
    weighed_at: int = 0
    word: int | None = None  # a sound in it that was too short to be weighed
    least_ms: int = 0  # shorter ones belong to the music: it went on behind them

    def follow(self, window: Window, numbers: AnswerNumbers) -> bool:
        """Whether the music has fallen silent with this window."""
        if self.windows >= _KNOWN and window.dbm0 <= dbm0(self.power) - numbers.hush_db:
            self.since = self.since if self.quiet else window.at
            self.quiet += 1
            hushed = self.quiet * _WINDOW_MS >= max(self.least_ms, numbers.hush_ms)
            if self.at is None and hushed:
                self.at = self.since
                return True
            return False
        self.quiet = 0
        if self.at is None:
            self.windows += 1
            self.power += (float(10 ** (window.dbm0 / 10)) - self.power) / min(self.windows, _MEMORY)
            return False
        self.start = window.at if self.start is None else self.start
        self.last = window.at
        return False

    def behind(self, now: int, numbers: AnswerNumbers) -> Behind | None:
        """What has been heard behind the hush, each time it is long enough to be weighed, or over."""
        if self.start is None or self.at is None:
            return None
        ended = now - self.last >= numbers.stretch_pause_ms * _PER_MS
        due = max(self.start + numbers.hush_voice_ms * _PER_MS, self.weighed_at + 2 * HALF)
        if not ended and self.last < due:
            return None
        found = Behind(self.start - HALF, self.last + HALF, self.at)
        self.weighed_at = self.last
        if ended:
            self.start = None
        return found if found.end - found.start >= numbers.stretch_min_ms * _PER_MS else None

    def weigh(self, behind: Behind, notes: float | None, sung: bool, numbers: AnswerNumbers) -> bool:
        """Whether it is a voice. `notes`: how well it keeps them, None: too short to say. What is `sung` keeps them no
        better, but does not fall silent again."""
        if notes is None:
            self.word = behind.start if self.start is None else self.word
        elif notes < numbers.hush_notes:
            return not sung or self.start is None
        elif behind.end - behind.start >= 2 * numbers.hush_voice_ms * _PER_MS:
            self.least_ms = 2 * max(numbers.hush_ms, (behind.start - behind.hush) // _PER_MS)
            self.at = self.start = self.word = None  # the music goes on
        return False

    def spoken(self, now: int, numbers: AnswerNumbers) -> int | None:
        """Where a short word began, behind which it is silent again for longer than music pauses for effect."""
        if self.word is None or self.at is None or self.start is not None:
            return None
        return self.word if now - self.at >= numbers.hush_word_ms * _PER_MS else None
