# SPDX-License-Identifier: Apache-2.0
"""DTMF receiver to ITU-T Q.24, for all lines of a card at once.

A fast gate (gate.py) examines every window of 20 ms of every line. Two consecutive windows that may contain the same
key open a run; only runs are examined closely (press.py), line by line, in pieces on a grid of absolute frames. A digit
is reported once, after its end, when no break can be bridged any more.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from linetap.config.numbers import DtmfNumbers
from linetap.recorder.signals.dtmf.gate import BLOCK, CYCLE, FRAMES_PER_MS, KEYS, NOTHING, WINDOW, Gate, HumFit
from linetap.recorder.signals.dtmf.press import HOP, REACH, PressMeasure, Stretch

# The longest history needed: a run's beginning or an incomplete piece, then the longest piece and a window's reach.
_HISTORY = 1440
_PIECE = 960  # frames of a held key judged at once
_BEFORE = 2 * BLOCK  # a tone may begin this long before the first window that passed the gate
_AFTER = 2 * BLOCK
_MISSES = 5 * BLOCK  # a run ends when no window has passed the gate for this long


class Digit(msgspec.Struct, frozen=True, order=True):
    """A digit on the line in the frames [at, end). `level_dbm0`: mean level of its two tones."""

    known: int
    line: int
    at: int
    end: int
    digit: str
    level_dbm0: float


class Press(msgspec.Struct):
    """A press of a key; breaks are bridged."""

    at: int
    end: int
    sounded: int = 0
    proven: int = 0  # frames of `sounded` in stretches that were proven; the others were too short or no digit
    level_dbm0: float = 0.0


class Run(msgspec.Struct):
    """The state of a line while the gate passes one key."""

    key: int
    last: int  # first frame of the last window that passed
    done: int  # frame up to which the run is judged, on the grid of hops
    reference: tuple[float, float] = (0.0, 0.0)  # amplitudes that the tones were compared with
    press: Press | None = None


@lru_cache(maxsize=8)
def _press_measure(numbers: DtmfNumbers) -> PressMeasure:
    """The stateless part, shared by all lines of a profile; gate and hum fit are shared too."""
    return PressMeasure(numbers)


@lru_cache(maxsize=8)
def _gate(numbers: DtmfNumbers) -> Gate:
    return Gate(numbers)


@lru_cache(maxsize=8)
def _hum(numbers: DtmfNumbers) -> HumFit:
    return HumFit(numbers)


class DtmfDetector:
    """The detector of `lines` lines; for the rules of all detectors see the package."""

    def __init__(self, lines: int, numbers: DtmfNumbers | None = None) -> None:
        self._lines = lines
        self._numbers = numbers or DtmfNumbers()
        self._gate, self._press_measure, self._hum = (
            _gate(self._numbers),
            _press_measure(self._numbers),
            _hum(self._numbers),
        )
        self._tone_min = self._numbers.tone_min_ms * FRAMES_PER_MS
        self._bridge = self._numbers.bridge_ms * FRAMES_PER_MS
        self.reset_at_gap()

    def reset_at_gap(self) -> None:
        """Discards an incomplete digit at a gap; a key still held after the gap counts as a new press."""
        # The history before `_frame`, then samples that are no whole block yet.
        self._held = np.zeros((self._lines, _HISTORY), np.int16)
        self._frame: int | None = None
        self._previous = [NOTHING] * self._lines
        self._runs: dict[int, Run] = {}

    def follow(self, audio: NDArray[np.int16], frame: int) -> list[Digit]:
        """The digits that became certain in `audio` (lines, n). `frame`: of its first sample."""
        if self._frame is None:
            skip = -frame % BLOCK  # blocks lie on absolute frames
            if audio.shape[1] < skip:
                return []
            audio, self._frame = audio[:, skip:], frame + skip
        else:
            assert frame == self._frame + self._held.shape[1] - _HISTORY, "batches are contiguous"
        samples = np.concatenate([self._held, audio], axis=1)
        count = (samples.shape[1] - _HISTORY) // BLOCK
        self._held = samples[:, count * BLOCK :]
        if count == 0:
            return []
        start, self._frame = self._frame, self._frame + count * BLOCK
        fresh = samples[:, _HISTORY - BLOCK : _HISTORY + count * BLOCK].reshape(self._lines, count + 1, BLOCK)
        keys = self._gate.keys(fresh.transpose(1, 0, 2).astype(np.float32, order="C"))
        digits: list[Digit] = []
        for line, own in self._candidates(keys, count):
            self._line(line, own, samples[line], start, digits)
        return sorted(digits)

    def _candidates(self, keys: NDArray[np.int8] | None, count: int) -> list[tuple[int, list[int]]]:
        """The lines with a run or the beginning of one, and their keys; the key before this batch comes first."""
        previous = self._previous
        if keys is None:
            self._previous = [NOTHING] * self._lines
            return [(line, [previous[line]] + [NOTHING] * count) for line in sorted(self._runs)]
        self._previous = keys[-1].tolist()
        own = np.vstack([np.array(previous, np.int8), keys])
        opens = ((own[1:] == own[:-1]) & (own[1:] != NOTHING)).any(axis=0)
        return [(line, own[:, line].tolist()) for line in sorted({*opens.nonzero()[0].tolist(), *self._runs})]

    def _line(self, line: int, keys: list[int], samples: NDArray[np.int16], start: int, digits: list[Digit]) -> None:
        """Follows one line's windows. keys[0] is the window before this batch; `samples` ends with the batch."""
        begin = start - _HISTORY
        run = self._runs.pop(line, None)
        for index, (before, key) in enumerate(pairwise(keys)):
            window = start + (index - 1) * BLOCK
            now = window + WINDOW
            opens = key != NOTHING and key == before
            if run is not None:
                if run.key == key:
                    run.last = window
                over = (opens and run.key != key) or window - run.last >= _MISSES
                if over or now - REACH - run.done >= _PIECE:
                    until = min(run.last + WINDOW + _AFTER, now - REACH) if over else now - REACH
                    for stretch in self._examine(run, until, samples, begin, more=not over):
                        self._add(run, stretch, line, now, digits)
                    if over or (run.press is not None and run.done - run.press.end > self._bridge):
                        self._add_digit(run, line, now, digits)
                run = None if over else run
            if run is None and opens:
                run = Run(key=key, last=window, done=window - BLOCK - _BEFORE)
        if run is not None:
            self._runs[line] = run

    def _examine(self, run: Run, until: int, samples: NDArray[np.int16], begin: int, more: bool) -> list[Stretch]:
        """Judges the run from its frame `done` on; with `more` audio to come, a stretch that has just begun waits for
        the rest.
        """
        if until <= run.done:
            return []
        until -= (until - run.done) % HOP
        first, end = run.done - REACH - begin, until + REACH - begin
        piece = self._hum.remove_hum(samples[min(first, end - CYCLE) : end], end - first)
        stretches, run.reference = self._press_measure.examine(piece, run.done - REACH, run.key, run.reference)
        run.done = until + HOP
        if more and stretches and stretches[-1].end >= until and until - stretches[-1].start < _PIECE // 3:
            run.done = stretches.pop().start + HOP // 2
        return stretches

    def _add(self, run: Run, stretch: Stretch, line: int, known: int, digits: list[Digit]) -> None:
        press = run.press
        if press is not None and stretch.start - press.end > self._bridge:
            self._add_digit(run, line, known, digits)
            press = None
        if press is None:
            press = run.press = Press(stretch.start, stretch.end)
        press.end = stretch.end
        length = stretch.end - stretch.start
        press.sounded += length
        if stretch.level_dbm0 is not None:
            press.proven += length
            press.level_dbm0 += (stretch.level_dbm0 - press.level_dbm0) * length / press.proven

    def _add_digit(self, run: Run, line: int, known: int, digits: list[Digit]) -> None:
        press, run.press = run.press, None
        share = self._numbers.proven_min
        if press is not None and press.sounded >= self._tone_min and press.proven >= share * (press.end - press.at):
            digits.append(Digit(known, line, press.at, press.end, KEYS[run.key], press.level_dbm0))
