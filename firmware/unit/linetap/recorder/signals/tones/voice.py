# SPDX-License-Identifier: Apache-2.0
"""Detects voice: energy that is no tone and rises above the line's usual level.

A noise floor follows each line's quietest moments, so that a noisy line does not count as voice. Two seconds of voice
in total are talk: a stretch of voice ends with a pause between words, talk does not.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from linetap.config.numbers import VoiceNumbers
from linetap.recorder.signals.tones.bank import F32, energy_of
from linetap.recorder.signals.tones.bank import HOP as WINDOW_STEP
from linetap.ring import RATE_HZ

CHUNK_WINDOWS = 4  # windows, 80 ms: few calls into numpy, and a fax is still found in time

_UNSEEN = np.float32(np.inf)


class Spoken(NamedTuple):
    """A detected voice or talk. `at`: its start."""

    chunk: int
    line: int
    talk: bool
    at: int


class Speaker(msgspec.Struct):
    """The voice on one line. Numbers count windows."""

    count: int = 0  # windows of voice in this stretch, up to `enough`
    quiet: int = 0  # consecutive windows without voice
    since: int = 0
    reported: bool = False
    talk: int = 0  # windows of silence until the talk has decayed
    talk_since: int = 0
    talk_reported: bool = False


class Lengths(NamedTuple):
    """VoiceNumbers in windows; `talk_enough` in windows of silence."""

    enough: int
    pause: int
    tone_weighs: int
    steady_weighs: int
    talk_outlasts: int
    talk_enough: int

    def add(self, speaker: Speaker, voice: int, tones: int, steady: int) -> tuple[bool, bool]:
        """Adds a chunk's windows of voice (of which `steady`) and of tones; returns whether voice, and whether talk, is
        reported.
        """
        count = min(speaker.count + voice, self.enough) - self.tone_weighs * tones
        speaker.quiet = 0 if voice else speaker.quiet + CHUNK_WINDOWS
        speaker.count = 0 if speaker.quiet >= self.pause else max(count, 0)
        speaker.reported = speaker.reported and speaker.count > 0
        # Only whole stretches of voice count as talk: no clicks, no edges of tones, but every pause within a word.
        more = CHUNK_WINDOWS - tones if speaker.reported else 0
        fresh = speaker.count >= self.enough and not speaker.reported
        if fresh:
            speaker.reported, more = True, self.enough
        if more and speaker.talk == 0:
            speaker.talk_since = speaker.since
        talk = min(speaker.talk + more * self.talk_outlasts, self.talk_enough)
        talking = talk >= self.talk_enough and not speaker.talk_reported
        less = (tones * self.tone_weighs + steady * self.steady_weighs) * self.talk_outlasts
        if not speaker.reported:
            less += CHUNK_WINDOWS - voice - tones
        speaker.talk = max(talk - less, 0)
        speaker.talk_reported = (speaker.talk_reported or talking) and speaker.talk > 0
        return fresh, talking

    def full(self, speaker: Speaker) -> bool:
        """Whether more voice changes nothing."""
        reported_all = speaker.reported and speaker.talk_reported and speaker.quiet == 0
        return reported_all and speaker.count == self.enough and speaker.talk == self.talk_enough


def _count(windows: NDArray[np.bool_]) -> NDArray[np.int8]:
    """The number of windows in each chunk, (chunks, CHUNK_WINDOWS, lines) to (chunks, lines); int8 needs no buffer."""
    count: NDArray[np.int8] = np.add.reduce(windows.view(np.int8), axis=1, dtype=np.int8)
    return count


class VoiceLines:
    """The voices on all lines of a card."""

    def __init__(self, lines: int, numbers: VoiceNumbers) -> None:
        enough, pause, talk = (
            ms * RATE_HZ // 1000 // WINDOW_STEP for ms in (numbers.min_ms, numbers.pause_ms, numbers.talk_ms)
        )
        outlasts = numbers.talk_outlasts
        weights = numbers.tone_weighs, numbers.steady_weighs
        self._lengths = Lengths(enough, pause, *weights, outlasts, talk * outlasts)
        self._steady = np.float32(1 + numbers.steady_share)
        self._least = np.float32(energy_of(numbers.min_dbm0))
        self._lowest = np.float32(energy_of(numbers.floor_min_dbm0))
        self._above = np.float32(10 ** (numbers.above_floor_db / 10))
        self._rise = np.float32(10 ** (numbers.floor_rise_db_s * CHUNK_WINDOWS * WINDOW_STEP / RATE_HZ / 10))
        self._floor: NDArray[np.float32] = np.full(lines, _UNSEEN, dtype=np.float32)
        self.reset_at_gap()

    def reset_at_gap(self) -> None:
        lines = len(self._floor)
        self._lines = [Speaker() for _ in range(lines)]
        # Most lines are silent or in the middle of talk: their state changes only with a window of another kind.
        self._at_rest: NDArray[np.bool_] = np.ones(lines, dtype=np.bool_)
        self._full: NDArray[np.bool_] = np.zeros(lines, dtype=np.bool_)

    def follow(self, energy: F32, tone: NDArray[np.bool_], frame: int) -> list[Spoken]:
        """The voices and talks that began, in order, in windows (w, lines) of whole chunks from `frame` on.

        `energy` has one more window before and after; 0 marks a window that was not captured.
        """
        around, energy = energy, energy[1:-1]
        shape = (len(energy) // CHUNK_WINDOWS, CHUNK_WINDOWS, energy.shape[1])
        lowest = np.where(tone | (energy <= 0), _UNSEEN, energy).reshape(shape).min(axis=1)
        threshold = np.maximum(self._floors(lowest) * self._above, self._least)
        toned = tone.reshape(shape)
        active = (energy.reshape(shape) > threshold[:, None]) & ~toned
        voiced = _count(active)
        same = np.where(self._full, (voiced == CHUNK_WINDOWS).all(axis=0), self._at_rest & ~voiced.any(axis=0))
        spoken: list[Spoken] = []
        changing = np.flatnonzero(~same)
        if not len(changing):
            return spoken
        steady = _count(self._steady_ones(around).reshape(shape) & active)
        counts = (count[:, changing].T.tolist() for count in (voiced, _count(toned), steady))
        for line, *own in zip(changing.tolist(), *counts, strict=True):
            speaker = self._lines[line]
            full = bool(self._full[line])
            for chunk, (voice, tones, still) in enumerate(zip(*own, strict=True)):
                if full and voice == CHUNK_WINDOWS:
                    continue
                if voice and speaker.count == 0:
                    # A voice first detected in a window begins in its second half, as the window before has the first.
                    first = chunk * CHUNK_WINDOWS + int(active[chunk, :, line].argmax()) + 1
                    speaker.since = frame + first * WINDOW_STEP
                voice_now, talk_now = self._lengths.add(speaker, voice, tones, still)
                full = self._lengths.full(speaker)
                if voice_now:
                    spoken.append(Spoken(chunk, line, False, speaker.since))
                if talk_now:
                    spoken.append(Spoken(chunk, line, True, speaker.talk_since))
            self._at_rest[line] = speaker.count == 0 and speaker.talk == 0
            self._full[line] = full
        return sorted(spoken)

    def _steady_ones(self, energy: F32) -> NDArray[np.bool_]:
        """The windows that are as loud as both neighbours."""
        high, low = np.maximum(energy[1:], energy[:-1]), np.minimum(energy[1:], energy[:-1])
        steady: NDArray[np.bool_] = np.maximum(high[1:], high[:-1]) < np.minimum(low[1:], low[:-1]) * self._steady
        return steady

    def _floors(self, lowest: F32) -> F32:
        """The noise floor of each chunk (chunks, lines), from its quietest window."""
        floors = np.empty_like(lowest)
        seen = lowest < _UNSEEN  # a tone hides the floor
        always = seen.all(axis=1).tolist()
        lowest = np.maximum(lowest, self._lowest)
        for chunk in range(len(lowest)):
            floor = np.minimum(self._floor * self._rise, lowest[chunk])
            floors[chunk] = self._floor = floor if always[chunk] else np.where(seen[chunk], floor, self._floor)
        return floors
