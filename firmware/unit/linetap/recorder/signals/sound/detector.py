# SPDX-License-Identifier: Apache-2.0
"""What all lines of a card carry, listened to in chunks of 256 ms at multiples of that, so that nothing depends on how
the audio comes in. What is said is `known` at the end of its chunk."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from linetap.config.profile import KR_PSTN, Profile
from linetap.recorder.signals.sound.channel import Channels
from linetap.recorder.signals.sound.classes import Classes
from linetap.recorder.signals.sound.events import ChannelChanged, SoundEvent, SoundHeard
from linetap.recorder.signals.sound.recent import CHUNK_WINDOWS, Recent
from linetap.recorder.signals.sound.runs import RunLine
from linetap.recorder.signals.sound.windows import F32, HIGH, LOW, SIZE, Look, look
from linetap.ring import I16

CHUNK = CHUNK_WINDOWS * SIZE
_TOGETHER = 8  # chunks: what is worked on stays in the cache


class SoundDetector:
    def __init__(self, lines: int, profile: Profile = KR_PSTN) -> None:
        self._numbers = profile.sound
        self._lines = lines
        self.lose_sight()

    def lose_sight(self) -> None:
        """A gap: what was heard before it says nothing of what comes behind."""
        lines, numbers = self._lines, self._numbers
        self._held: I16 = np.zeros((lines, 0), dtype=np.int16)
        self._held_at = -1  # -1: nothing held, whatever comes is the beginning
        self._before: F32 = np.zeros((lines, HIGH - LOW), dtype=np.float32)
        self._last_centre: F32 = np.full(lines, -100, dtype=np.float32)
        self._recent = Recent(lines)
        self._runs = [RunLine(numbers) for _ in range(lines)]
        self._classes = Classes(lines, numbers)
        self._channels = Channels(lines, numbers)
        self._digits: list[tuple[int, int]] = []

    def follow(self, audio: I16, frame: int, digits: Iterable[tuple[int, int]] = ()) -> list[SoundEvent]:
        """Audio int16 (lines, n) from `frame` on, contiguous with what came before, to events in order. `digits`: the
        frame at which each that became certain in it did, and its row. Digits in a row are a melody by their pitches:
        what a line carries is judged anew behind each."""
        self._digits = [*self._digits, *digits]
        if self._held_at < 0:
            self._held_at = frame
        self._held = np.concatenate([self._held, audio], axis=1)
        first = -(-self._held_at // CHUNK) * CHUNK
        chunks = (self._held_at + self._held.shape[1] - first) // CHUNK
        if chunks < 1:
            return []
        skip = first - self._held_at
        stretch = self._held[:, skip : skip + chunks * CHUNK]
        self._held = self._held[:, skip + chunks * CHUNK :]
        self._held_at = first + chunks * CHUNK
        events: list[SoundEvent] = []
        for done in range(0, chunks, _TOGETHER):
            some = stretch[:, done * CHUNK : (done + _TOGETHER) * CHUNK]
            hops = some.reshape(self._lines, -1, SIZE).transpose(1, 0, 2).astype(np.float32, order="C")
            seen, self._before = look(hops, self._before)
            for chunk in range(len(hops) // CHUNK_WINDOWS):
                part = slice(chunk * CHUNK_WINDOWS, (chunk + 1) * CHUNK_WINDOWS)
                events += self._chunk(Look(*(of[part] for of in seen)), first + (done + chunk) * CHUNK)
        return events

    def _chunk(self, seen: Look, frame: int) -> list[SoundEvent]:
        numbers, known = self._numbers, frame + CHUNK
        loud = seen.level_dbm0 >= numbers.sound_min_dbm0
        moved = np.abs(np.diff(seen.centre, axis=0, prepend=self._last_centre[None]))
        self._last_centre = seen.centre[-1]
        steady = (
            loud
            & (seen.flux < numbers.steady_flux_max)
            & (seen.pair > numbers.steady_share_min)
            & (moved < numbers.run_bins)
        )
        above = seen.level_dbm0 > self._recent.quietest() + np.float32(numbers.active_above_db)
        self._recent.add(seen, loud & above & ~steady, numbers.sound_min_dbm0)
        events: list[SoundEvent] = []
        busy = steady.any(axis=0)
        for row, runs in enumerate(self._runs):
            if busy[row] or runs.busy:
                for n in range(CHUNK_WINDOWS):
                    at = frame + n * SIZE
                    values = (
                        bool(loud[n, row]),
                        bool(steady[n, row]),
                        float(seen.centre[n, row]),
                        float(seen.level_dbm0[n, row]),
                    )
                    for told in runs.window(at, *values):
                        ms = told.period // 8, told.on // 8
                        events.append(SoundHeard(row, known, told.at, told.sound, round(told.level_dbm0, 1), *ms))
        events += self._classes.chunk(self._recent, loud, seen.flat, self._runs, frame)
        if dialled := {row for at, row in self._digits if at <= known}:
            self._digits = [(at, row) for at, row in self._digits if at > known]
            events = [event for event in events if event.line not in dialled]
            self._begin_anew(dialled)
        changed = self._channels.chunk(seen.level_dbm0, seen.centre, loud, frame)
        events += [ChannelChanged(row, known, at) for row, at in changed]
        return events

    def _begin_anew(self, rows: Iterable[int]) -> None:
        for row in rows:
            self._runs[row] = RunLine(self._numbers)
            self._recent.forget(row)
            self._classes.forget(row)
