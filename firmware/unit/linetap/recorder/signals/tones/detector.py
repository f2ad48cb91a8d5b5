# SPDX-License-Identifier: Apache-2.0
"""Detects call-progress tones, fax tones and voice on all lines of a card at once.

Audio is examined in chunks of 80 ms at multiples of 80 ms, so that the result does not depend on the batches. An event
is `known` at the end of its chunk.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linetap.config.numbers import BankNumbers
from linetap.config.profile import KR_PSTN, Profile
from linetap.recorder.signals.events import (
    FaxGone,
    FaxHeard,
    FaxMaybe,
    TalkHeard,
    ToneEvent,
    ToneGone,
    ToneHeard,
    VoiceHeard,
)
from linetap.recorder.signals.tones.bank import F32, HOP, U8, WINDOW, Bank, Hz
from linetap.recorder.signals.tones.cadence import NEVER, Fit, Plan, ToneChange, ToneLine
from linetap.recorder.signals.tones.voice import CHUNK_WINDOWS, VoiceLines
from linetap.ring import I16, RATE_HZ

CHUNK = CHUNK_WINDOWS * HOP
# Tones of faxes (ITU-T T.30; 2100 Hz also of modems by V.25 and V.8), then of modems only. 2225 Hz is Bell 103's answer
# tone, 2250 Hz are V.22's unscrambled ones, with or without a guard tone of 1800 Hz: one band. 1300 Hz is the calling
# tone of V.25.
CARRIERS: dict[str, tuple[Hz, ...]] = {
    "calling": ((1100.0,),),
    "answer": ((2100.0,),),
    "modem_answer": ((2237.5,), (1800.0, 2237.5)),
    "modem_calling": ((1300.0,),),
}
# T.30: +-38 Hz, +-15 Hz; Bell 103 and V.22: +-10 Hz and less for each of the two; V.22: +-20 Hz; V.25: +-15 Hz
CARRIER_TOLERANCE = {1100.0: 0.036, 2100.0: 0.01, 2237.5: 0.01, 1800.0: 0.011, 1300.0: 0.0115}
_NEAR = 3  # windows before a batch: the last accepted one and its neighbours
_CHANGE, _SUSPECT, _VOICE = range(3)  # in the order of handling within a chunk; waiting comes before voice
_WHOLE = 0.9  # a window with less of its neighbour's energy is an edge


class _Todo(NamedTuple):
    """A finding in a line's windows of a chunk.

    For a change: `at` is the end of the tone before, `began` the start of the next tone.
    """

    chunk: int
    kind: int
    row: int
    at: int = 0
    began: int = 0
    code: int = 0
    talk: bool = False


@lru_cache(maxsize=8)
def _bank(tones: tuple[Hz, ...], numbers: BankNumbers, quiet_dbm0: float) -> Bank:
    """The bank for all lines of a profile, cached: its construction needs 8 ms."""
    return Bank(tones, numbers, quiet_dbm0, CARRIER_TOLERANCE)


def bank_of(profile: Profile) -> Bank:
    """The bank of the profile's tones and the carriers, shared by all lines of the profile.

    Windows below the voice's lowest floor are not classified.
    """
    return _bank(_tones(profile), profile.tones, profile.voice.floor_min_dbm0)


def tone_pairs(profile: Profile) -> list[Hz]:
    """The frequencies of the profile's tones without repetition: the bank's code of each is 1 + its place here."""
    return list(dict.fromkeys(shape.hz for shape in profile.tone))


def _tones(profile: Profile) -> tuple[Hz, ...]:
    """All tones of the bank; the carriers of faxes and modems come last."""
    return (*tone_pairs(profile), *(hz for kinds in CARRIERS.values() for hz in kinds))


class ToneDetector:
    """The tone detector of all lines of a card, each a row of the audio."""

    def __init__(self, lines: int, profile: Profile = KR_PSTN) -> None:
        self._shapes = profile.tone
        pairs, tones = tone_pairs(profile), _tones(profile)
        cadence = profile.cadence
        least_ms = {
            "calling": cadence.fax_calling_ms,
            "answer": cadence.fax_answer_ms,
            "modem_answer": cadence.modem_ms,
            "modem_calling": cadence.modem_ms,
        }
        self._plan = Plan(
            self._shapes,
            tuple(1 + pairs.index(shape.hz) for shape in self._shapes),
            {
                1 + tones.index(hz): (name, least_ms[name] * RATE_HZ // 1000)
                for name, kinds in CARRIERS.items()
                for hz in kinds
            },
            cadence,
        )
        self._bank = bank_of(profile)
        self._is_fax = np.array([code in self._plan.fax for code in range(1 + len(tones))])
        self._lines = [ToneLine([Fit() for _ in self._shapes]) for _ in range(lines)]
        self._voice = VoiceLines(lines, profile.voice)
        self._held: I16 = np.zeros((lines, 0), dtype=np.int16)
        self._held_at = -1  # -1: nothing held, the next audio is the beginning
        fax_windows = 1 + (cadence.fax_maybe_ms * RATE_HZ // 1000 - WINDOW) // HOP
        self._fax_windows = max(2, fax_windows)
        self._codes: U8 = np.zeros((max(_NEAR, self._fax_windows - 1), lines), dtype=np.uint8)
        self._energy: F32 = np.zeros((_NEAR, lines), dtype=np.float32)
        self._soonest = NEVER  # the first frame at which elapsed time alone changes a line's state

    def follow(self, audio: I16, frame: int) -> list[ToneEvent]:
        """The events in order of `audio` int16 (lines, n) from `frame` on, contiguous with the previous audio."""
        if self._held_at < 0:
            self._begin(frame)
        self._held = np.concatenate([self._held, audio], axis=1)
        # Audio before the first chunk (and the window that overlaps it) is not examined.
        first = -(-(self._held_at + HOP) // CHUNK) * CHUNK
        chunks = (self._held_at + self._held.shape[1] - first) // CHUNK
        if chunks < 1:
            return []
        skip = first - HOP - self._held_at
        stretch = self._held[:, skip : skip + HOP + chunks * CHUNK]
        self._held = self._held[:, skip + chunks * CHUNK :]
        self._held_at = first - HOP + chunks * CHUNK
        hops = stretch.reshape(len(stretch), -1, HOP).transpose(1, 0, 2)
        return self._analyse(hops.astype(np.float32, order="C"), first)

    def reset_at_gap(self) -> None:
        """Discards partial bursts at a gap; a tone that was on must reappear within one cadence."""
        for line in self._lines:
            line.reset_at_gap()
        self._voice.reset_at_gap()
        self._held, self._held_at = self._held[:, :0], -1
        self._codes, self._energy = np.zeros_like(self._codes), np.zeros_like(self._energy)

    def _begin(self, frame: int) -> None:
        self._held_at = frame
        for line in self._lines:
            line.resume(frame, self._plan)
        self._soonest = min(line.due for line in self._lines)

    def _analyse(self, hops: F32, first: int) -> list[ToneEvent]:
        """The events of whole chunks (hops, lines, HOP), the first at `first`; the audio begins one hop earlier."""
        fresh, fresh_energy = self._bank.classify(hops)
        codes: U8 = np.concatenate([self._codes, fresh])
        energy: F32 = np.concatenate([self._energy, fresh_energy])
        self._codes, self._energy = codes[-len(self._codes) :], energy[-_NEAR:]
        windows = len(fresh)
        # A window's tone is accepted once the next window is known; a tone unlike both neighbours is chance.
        # The first window here precedes the first chunk's first window: it begins two hops before the chunk.
        begin = first - 2 * HOP
        steady: U8 = np.zeros(fresh.shape, dtype=np.uint8)
        todo: list[_Todo] = []
        if codes.any():
            near = codes[-windows - _NEAR :]
            mid = near[1:-1]
            believed: U8 = np.where((mid == near[:-2]) | (mid == near[2:]), mid, np.uint8(0))
            steady = believed[1:]
            todo += self._changes(steady, steady != believed[:-1], energy, begin)
            todo += self._suspects(codes)
        for spoken in self._voice.follow(energy[1:], steady != 0, begin):
            todo.append(_Todo(spoken.chunk, _VOICE, spoken.line, spoken.at, talk=spoken.talk))
        return self._events(sorted(todo), windows // CHUNK_WINDOWS, first)

    def _changes(self, steady: U8, changed: NDArray[np.bool_], energy: F32, begin: int) -> list[_Todo]:
        """The places at which a line's tone changes; `energy` begins two windows earlier."""
        todo = []
        for window, row in zip(*(found.tolist() for found in np.nonzero(changed)), strict=True):
            at = begin + window * HOP
            e = energy[window : window + 4, row].tolist()  # two windows before, the changed one, the next
            ended, began = at + _reach(e[0], e[1], e[2]), at + HOP - _reach(e[3], e[2], e[1])
            todo.append(_Todo(window // CHUNK_WINDOWS, _CHANGE, row, ended, began, int(steady[window, row])))
        return todo

    def _suspects(self, codes: U8) -> list[_Todo]:
        """The places at which a fax tone fills the last windows of a chunk; reported at once, since a notice may be
        due."""
        ends = codes[len(self._codes) + CHUNK_WINDOWS - 1 :: CHUNK_WINDOWS]
        fax = self._is_fax[ends]
        if not fax.any():
            return []
        todo = []
        for chunk, row in zip(*(found.tolist() for found in np.nonzero(fax)), strict=True):
            end = len(self._codes) + (chunk + 1) * CHUNK_WINDOWS
            if (codes[end - self._fax_windows : end, row] == ends[chunk, row]).all():
                todo.append(_Todo(chunk, _SUSPECT, row))
        return todo

    def _events(self, todo: list[_Todo], chunks: int, first: int) -> list[ToneEvent]:
        """The events, chunk by chunk: changes, then events of elapsed time, then voices."""
        events: list[ToneEvent] = []
        place = 0
        for chunk in range(chunks):
            known = first + (chunk + 1) * CHUNK
            while place < len(todo) and todo[place].chunk == chunk and todo[place].kind < _VOICE:
                self._process(todo[place], known, events)
                place += 1
            # The next window may still show a tone that began up to a hop earlier.
            until = known - 3 * HOP
            if self._soonest <= until:
                for row, line in enumerate(self._lines):
                    if line.due <= until:
                        self._report(row, known, line.wait(until, self._plan), events)
                self._soonest = min(line.due for line in self._lines)
            while place < len(todo) and todo[place].chunk == chunk:
                self._process(todo[place], known, events)
                place += 1
        return events

    def _process(self, todo: _Todo, known: int, events: list[ToneEvent]) -> None:
        row, line, at = todo.row, self._lines[todo.row], todo.at
        if todo.kind == _CHANGE:
            self._report(row, known, line.turn(todo.code, at, todo.began, self._plan), events)
        elif todo.kind == _SUSPECT:
            self._report(row, known, line.suspect(self._plan), events)
        elif todo.talk:
            events.append(TalkHeard(row, known, at))
        else:
            self._report(row, known, line.voice(self._plan), events)
            events.append(VoiceHeard(row, known, at))
        self._soonest = min(self._soonest, line.due)

    @staticmethod
    def _report(row: int, known: int, changes: list[ToneChange], events: list[ToneEvent]) -> None:
        for what, name, at in changes:
            match what:
                case "heard":
                    events.append(ToneHeard(row, known, at, name))
                case "gone":
                    events.append(ToneGone(row, known, at, name))
                case "maybe":
                    events.append(FaxMaybe(row, known, at, name))
                case "no_fax":
                    events.append(FaxGone(row, known, at))
                case "fax":
                    events.append(FaxHeard(row, known, at, name))


def _reach(whole: float, edge: float, beyond: float) -> int:
    """The reach of a tone beyond its last window, in frames; below 0 if it does not fill that window.

    The energies are those of windows that overlap by half: one within the tone, the last classified as the tone, and
    the next. The filled share of a window follows from its energy, not from its purity.
    """
    if edge < _WHOLE * whole:
        return round(WINDOW * edge / whole) - HOP
    return round(WINDOW * min(beyond / max(edge, whole, 1.0), 1.0))
