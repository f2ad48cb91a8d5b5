# SPDX-License-Identifier: Apache-2.0
"""The cadence of a recorded tone: its bursts to the millisecond, and their repetition."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from linetap.commission.tones.spectrum import F64, Hz, Lines, fine, sines
from linetap.ring import RATE_HZ

_WINDOW, _STEP, _BATCH = 320, 20, 4096  # 40 ms: a whole beat period of 440 and 480 Hz
_BRIDGE_MS, _SHORTEST_MS = 45, 60  # a click interrupts a burst for less; a shorter burst is a click
_EDGE_MS = 30  # edges found in 40 ms windows are more accurate than this
_TRIM_MS = 15  # cut from each side of a burst before its frequency is measured
_FIT_MS = 200  # length of the fit from a burst's edge, extrapolated beyond it
_PURE = 0.7  # the tone's share of a burst's power, reduced by speech
_LEVEL_DB = 6.0  # bursts of one tone differ by less
_UNEQUAL, _UNEQUAL_MS = 0.06, 15.0  # maximum difference of an element between two periods
_MOST_BURSTS = 4  # in one period
_LEAST_MS = 500  # in total; a sung syllable is shorter
_COVERED = 0.7  # share of consecutive elements that belong to the cadence


class Burst(NamedTuple):
    """A burst of frames [start, end) with refined edges; `whole`: both edges are in the recording."""

    start: int
    end: int
    whole: bool
    lines: Lines

    @property
    def ms(self) -> float:
        return frames_ms(self.end - self.start)


class Cadence(NamedTuple):
    """Median lengths, starting with the burst after the longest pause; `spread_ms`: the largest deviation from them."""

    elements_ms: tuple[float, ...]
    spread_ms: float
    periods: float
    start: int
    end: int


def frames_ms(frames: float) -> float:
    return frames * 1000 / RATE_HZ


def bursts(wave: F64, about: Hz) -> list[list[Burst]]:
    """The bursts of the tone, in runs without interruption."""
    amplitude, share = _follow(wave, about)
    steady = amplitude[share >= _PURE]
    if not len(steady):
        return []
    level = float(np.median(steady))
    runs: list[list[Burst]] = [[]]
    for first, last in _stretches(amplitude >= level / 2):
        burst = _burst(wave, about, first, last, level)
        if burst is not None:
            runs[-1].append(burst)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def cadence(run: list[Burst]) -> Cadence | None:
    """The shortest pattern that a run repeats completely at least once; None if there is none."""
    edges = [edge for burst in run for edge in (burst.start, burst.end)]
    first, last = (0 if run[0].whole else 1), len(edges) - (1 if run[-1].whole else 2)
    lengths = np.diff(edges)[first:last] * 1000 / RATE_HZ  # bursts and pauses alternate, each with both edges
    best: tuple[int, int, int] | None = None  # elements covered, elements of the period, first element
    for elements in range(2, 2 * _MOST_BURSTS + 1, 2):
        place, count = _longest(_same(lengths[:-elements], lengths[elements:]))
        if count >= elements and (best is None or count + elements > best[0]):
            best = count + elements, elements, place
    if best is None or best[0] < _COVERED * len(lengths):
        return None
    covered, elements, place = best
    if lengths[place : place + covered].sum() < _LEAST_MS:
        return None
    columns = [lengths[place + k : place + covered : elements] for k in range(elements)]
    middles = [float(np.median(column)) for column in columns]  # a click at an edge changes one value, not the median
    spread = max(float(np.abs(column - middle).max()) for column, middle in zip(columns, middles, strict=True))
    begins_off = (first + place) % 2  # 1: the first of these is a pause
    pauses = [k for k in range(elements) if (k + begins_off) % 2]
    turn = (max(pauses, key=middles.__getitem__) + 1) % elements
    return Cadence(
        (*middles[turn:], *middles[:turn]),
        spread,
        covered / elements,
        edges[first + place],
        edges[first + place + covered],
    )


def _follow(wave: F64, hz: Hz) -> tuple[F64, F64]:
    """The tone's rms and its share of the power, every 2.5 ms in windows of 40 ms."""
    base = np.linalg.qr(sines(hz, _WINDOW))[0]
    windows = sliding_window_view(wave, _WINDOW)[::_STEP]
    own: list[F64] = []
    whole: list[F64] = []
    for first in range(0, len(windows), _BATCH):  # all windows at once would need sixteen times the recording's memory
        batch = windows[first : first + _BATCH]
        own.append(((batch @ base) ** 2).sum(axis=1))
        whole.append(np.einsum("ij,ij->i", batch, batch))
    tone = np.concatenate(own)
    return np.sqrt(tone / _WINDOW), tone / np.maximum(np.concatenate(whole), 1e-6)


def _stretches(on: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The first and last window of each stretch; short breaks are bridged, short stretches dropped."""
    steps = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(np.int8), [0]])))
    joined: list[list[int]] = []
    for first, end in zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True):
        if joined and frames_ms((first - joined[-1][1]) * _STEP) < _BRIDGE_MS:
            joined[-1][1] = end
        else:
            joined.append([first, end])
    return [(first, end - 1) for first, end in joined if frames_ms((end - first) * _STEP) >= _SHORTEST_MS]


def _burst(wave: F64, about: Hz, first: int, last: int, level: float) -> Burst | None:
    """The burst with refined edges; None if it has more than the tone."""
    start, end = first * _STEP + _WINDOW // 2, last * _STEP + _WINDOW // 2
    opened, closed = first > 0, (last + 1) * _STEP + _WINDOW <= len(wave)
    start, end = (start if opened else 0), (end if closed else len(wave))
    trim = _frames(_TRIM_MS)
    inner = wave[start + trim : end - trim]
    if len(inner) < _frames(_SHORTEST_MS) // 2:
        return None
    lines = fine(inner, about)
    if _share(inner, lines.hz) < _PURE:
        return None
    if abs(20 * np.log10(np.sqrt(np.mean(inner**2)) / level)) > _LEVEL_DB:
        return None
    if opened:
        start = _edge(wave, lines.hz, start, min(end - trim, start + _frames(_FIT_MS)), 1)
    if closed:
        end = _edge(wave, lines.hz, end, max(start + trim, end - _frames(_FIT_MS)), -1)
    return Burst(start, end, opened and closed, lines)


def _share(inner: F64, hz: Hz) -> float:
    """The tone's share of the power, as the median over pieces of 100 ms, so that a click changes only one."""
    size = min(len(inner), RATE_HZ // 10)
    base = np.linalg.qr(sines(hz, size))[0]
    pieces = inner[: len(inner) // size * size].reshape(-1, size)
    own = ((pieces @ base) ** 2).sum(axis=1)
    return float(np.median(own / np.maximum((pieces**2).sum(axis=1), 1e-6)))


def _edge(wave: F64, hz: Hz, about: int, inside: int, direction: int) -> int:
    """The frame at which the tone, extrapolated from the burst, begins (direction 1) or ends (-1), by least squares."""
    reach, trim = _frames(_EDGE_MS), _frames(_TRIM_MS)
    low, high = max(0, about - reach), min(len(wave), about + reach)
    a, b = sorted((about + direction * trim, inside))
    base = sines(hz, max(b, high) - min(a, low))
    origin = min(a, low)
    parts = np.linalg.lstsq(base[a - origin : b - origin], wave[a:b], rcond=None)[0]
    tone = base[low - origin : high - origin] @ parts
    piece = wave[low:high]
    gain = piece**2 - (piece - tone) ** 2  # gain from counting a sample as tone
    after = np.concatenate([[0.0], np.cumsum(gain)])
    return low + int(after.argmin() if direction > 0 else after.argmax())


def _same(a: F64, b: F64) -> NDArray[np.bool_]:
    return np.asarray(np.abs(a - b) <= np.maximum(_UNEQUAL_MS, _UNEQUAL * np.maximum(a, b)))


def _longest(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """The start and the length of the longest run of true values."""
    steps = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    rows = [(int(end - first), int(first)) for first, end in zip(steps[::2], steps[1::2], strict=True)]
    count, place = max(rows, key=lambda row: row[0], default=(0, 0))
    return place, count


def _frames(ms: float) -> int:
    return round(ms * RATE_HZ / 1000)
