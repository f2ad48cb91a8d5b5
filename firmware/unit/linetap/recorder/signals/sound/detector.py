# SPDX-License-Identifier: Apache-2.0
"""Detects the sound classes of all lines of a card in chunks of 256 ms, and changes of their far channel.

Chunks begin at multiples of 256 ms, so the result does not depend on the batches. An event is `known` at the end of its
chunk.

The noise between sounds is the exchange's while the line rings, and that of a room, a mobile network or a codec after
the answer. The far channel has changed when this noise has another level or another band that lasts. Only windows
without sound count, so that no voice has an influence.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from linetap.config.numbers import SoundNumbers
from linetap.config.profile import KR_PSTN, Profile
from linetap.recorder.signals.events import ChannelChanged, SoundEvent, SoundHeard
from linetap.recorder.signals.sound.classes import Classes
from linetap.recorder.signals.sound.runs import RunLine
from linetap.recorder.signals.sound.windows import CHUNK_WINDOWS, F32, HIGH, LOW, SIZE, Recent, Windows, measure
from linetap.ring import I16, RATE_HZ

Bools = npt.NDArray[np.bool_]

_NONE = np.float32(np.nan)
CHUNK = CHUNK_WINDOWS * SIZE
_TOGETHER = 8  # chunks at once: their data fits into the cache


class Channels:
    """The noise of all lines' far channels."""

    def __init__(self, lines: int, numbers: SoundNumbers) -> None:
        self._change = np.array([[numbers.channel_change_db], [numbers.channel_change_bins]], dtype=np.float32)
        self._chunks = max(1, round(numbers.channel_ms * RATE_HZ / 1000 / (CHUNK_WINDOWS * SIZE)))
        self._quiet = numbers.channel_quiet_windows
        self._least = np.float32(numbers.channel_least_dbm0)
        # Level and centre of the noise: the accepted values, and those of the last chunks with quiet windows.
        self._known: F32 = np.full((2, lines), _NONE, dtype=np.float32)
        self._other: F32 = np.full((self._chunks, 2, lines), _NONE, dtype=np.float32)
        self._since = np.zeros((self._chunks, lines), dtype=np.int64)

    def chunk(self, level_dbm0: F32, centre: F32, loud: Bools, frame: int) -> list[tuple[int, int]]:
        """The changes of channel, as (line, first frame), from windows (windows, lines)."""
        seen = (~loud).sum(axis=0) >= self._quiet
        if not seen.any():
            return []
        level = np.maximum(np.sort(level_dbm0, axis=0)[self._quiet // 2], self._least)
        quiet = np.where(loud, np.float32(0), centre).sum(axis=0) / np.maximum((~loud).sum(axis=0), 1)
        now = np.stack([level, quiet]).astype(np.float32)
        self._other[:, :, seen] = np.concatenate([self._other[1:, :, seen], now[None, :, seen]])
        self._since[:, seen] = np.concatenate([self._since[1:, seen], np.full((1, int(seen.sum())), frame)])
        low, high = self._other.min(axis=0), self._other.max(axis=0)
        middle = (low + high) / 2
        settled = seen & (high - low < self._change / 2).all(axis=0)
        new = settled & np.isnan(self._known[0])
        moved = settled & (np.abs(middle - self._known) >= self._change).any(axis=0)
        self._known = np.where(new | moved, middle, self._known)
        return [(row, int(self._since[0, row])) for row in np.flatnonzero(moved).tolist()]


class SoundDetector:
    """The sound detector of all lines of a card, each a row of the audio."""

    def __init__(self, lines: int, profile: Profile = KR_PSTN) -> None:
        self._numbers = profile.sound
        self._lines = lines
        self.reset_at_gap()

    def reset_at_gap(self) -> None:
        """Discards the sound before a gap."""
        lines, numbers = self._lines, self._numbers
        self._held: I16 = np.zeros((lines, 0), dtype=np.int16)
        self._held_at = -1  # -1: nothing held, the next audio is the beginning
        self._before: F32 = np.zeros((lines, HIGH - LOW), dtype=np.float32)
        self._last_centre: F32 = np.full(lines, -100, dtype=np.float32)
        self._recent = Recent(lines)
        self._runs = [RunLine(numbers) for _ in range(lines)]
        self._classes = Classes(lines, numbers)
        self._channels = Channels(lines, numbers)
        self._digits: list[tuple[int, int]] = []

    def follow(self, audio: I16, frame: int, digits: Iterable[tuple[int, int]] = ()) -> list[SoundEvent]:
        """The events in order of `audio` int16 (lines, n) from `frame` on, contiguous with the previous audio.

        `digits`: (frame, row) of each digit that became certain in this audio. Consecutive digits have the pitches of a
        melody, so after each digit the line is classified anew.
        """
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
            seen, self._before = measure(hops, self._before)
            for chunk in range(len(hops) // CHUNK_WINDOWS):
                part = slice(chunk * CHUNK_WINDOWS, (chunk + 1) * CHUNK_WINDOWS)
                events += self._chunk(Windows(*(of[part] for of in seen)), first + (done + chunk) * CHUNK)
        return events

    def _chunk(self, seen: Windows, frame: int) -> list[SoundEvent]:
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
                    for change in runs.window(at, *values):
                        ms = change.period // 8, change.on // 8
                        events.append(SoundHeard(row, known, change.at, change.sound, round(change.level_dbm0, 1), *ms))
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
