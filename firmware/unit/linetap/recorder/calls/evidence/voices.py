# SPDX-License-Identifier: Apache-2.0
"""Voices on the line: stretches loud enough to be more than room noise, turns of two ends, and a voice after music.

At the answer, the music ends before the far end speaks. The sound detector needs a second of voice to exclude a singer.
After a silence longer than any in the music, half a second without steady notes is enough.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

from linetap.config.numbers import AnswerNumbers
from linetap.recorder.calls.evidence.windows import HALF, Window, dbm0
from linetap.ring import RATE_HZ

_PER_MS = RATE_HZ // 1000
_WINDOW_MS = HALF // _PER_MS
_LOWEST_DBM0 = -60.0
_MEMORY = 100  # windows in the mean of the music's level
_KNOWN = 25  # windows: a second of music


class Stretch(msgspec.Struct):
    """Loud windows without a longer pause between them. `power`: their sum; 0 dBm0 is 1."""

    start: int
    last: int
    windows: int = 1
    power: float = 0.0


class Speech(msgspec.Struct):
    """State only: the voices since the last digit, tone or music."""

    floor: float | None = None
    current: Stretch | None = None
    before: Stretch | None = None
    loud_ms: int = 0  # since the last digit, tone or music
    first: int | None = None  # first frame of the first stretch since then
    turn: int | None = None  # frame at which the second of two ends began to speak
    far_turn: int | None = None  # the same, with a change of level that no single announcer makes

    def follow(self, window: Window, numbers: AnswerNumbers, toned: bool) -> None:
        """Adds a window. `toned`: a tone is on, which hides other sounds."""
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
        """Discards all voices so far, which prove nothing for the following audio."""
        self.current = self.before = self.first = self.turn = self.far_turn = None
        self.loud_ms = 0

    def _count(self, current: Stretch, numbers: AnswerNumbers) -> None:
        """Counts a whole stretch once it is longer than a click or a cough."""
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


class SoundAfterSilence(NamedTuple):
    """The sound to be judged: its frames, and the end of the music before it."""

    start: int
    end: int
    hush: int


class Hush(msgspec.Struct):
    """A silence in music and the sound after it. State only. Frames are middles of windows."""

    power: float = 0.0  # mean of the music, 0 dBm0 is 1
    windows: int = 0  # of music
    since: int = 0
    quiet: int = 0  # windows in a row
    at: int | None = None  # start of the silence
    start: int | None = None  # start of the sound after it
    last: int = 0
    weighed_at: int = 0
    word: int | None = None  # start of a sound in the silence that was too short to be judged
    least_ms: int = 0  # shorter silences belong to the music, which continued after them

    def follow(self, window: Window, numbers: AnswerNumbers) -> bool:
        """Adds a window; returns whether the music has fallen silent with it."""
        if self.windows >= _KNOWN and window.dbm0 <= dbm0(self.power) - numbers.hush_db:
            self.since = self.since if self.quiet else window.at
            self.quiet += 1
            quiet_spans = self.quiet * _WINDOW_MS >= max(self.least_ms, numbers.hush_ms)
            if self.at is None and quiet_spans:
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

    def sound_after(self, now: int, numbers: AnswerNumbers) -> SoundAfterSilence | None:
        """The sound after the silence, once it is long enough to be judged, or over."""
        if self.start is None or self.at is None:
            return None
        ended = now - self.last >= numbers.stretch_pause_ms * _PER_MS
        due = max(self.start + numbers.hush_voice_ms * _PER_MS, self.weighed_at + 2 * HALF)
        if not ended and self.last < due:
            return None
        found = SoundAfterSilence(self.start - HALF, self.last + HALF, self.at)
        self.weighed_at = self.last
        if ended:
            self.start = None
        return found if found.end - found.start >= numbers.stretch_min_ms * _PER_MS else None

    def judge_sound(self, behind: SoundAfterSilence, notes: float | None, sung: bool, numbers: AnswerNumbers) -> bool:
        """Whether the sound is a voice.

        `notes`: the steadiness of its notes; None: too short to judge. `sung`: the music's own notes are no steadier,
        but the music does not fall silent again.
        """
        if notes is None:
            self.word = behind.start if self.start is None else self.word
        elif notes < numbers.hush_notes:
            return not sung or self.start is None
        elif behind.end - behind.start >= 2 * numbers.hush_voice_ms * _PER_MS:
            self.least_ms = 2 * max(numbers.hush_ms, (behind.start - behind.hush) // _PER_MS)
            self.at = self.start = self.word = None  # the music continues
        return False

    def spoken(self, now: int, numbers: AnswerNumbers) -> int | None:
        """The start of a short word, if the silence after it is longer than any pause for effect in music."""
        if self.word is None or self.at is None or self.start is not None:
            return None
        return self.word if now - self.at >= numbers.hush_word_ms * _PER_MS else None


class Faint(msgspec.Struct):
    """Quiet music with its mean power over a second; 0 dBm0 is 1. `at`: its first frame."""

    at: int
    windows: int = 0
    power: float = 0.0

    def follow(self, window: Window, numbers: AnswerNumbers) -> bool:
        """Adds a window; returns whether the music was as loud as a far end for a second: then it was the quiet
        beginning of a song, not a radio in the room.
        """
        self.windows, self.power = self.windows + 1, self.power + float(10 ** (window.dbm0 / 10))
        if self.windows * HALF < RATE_HZ:
            return False
        if self.power >= self.windows * 10 ** (numbers.loud_dbm0 / 10):
            return True
        self.windows, self.power = 0, 0.0
        return False
