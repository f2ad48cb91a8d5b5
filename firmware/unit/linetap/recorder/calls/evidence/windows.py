# SPDX-License-Identifier: Apache-2.0
"""Windows of 80 ms of one line, each with its level and its strongest frequencies, and runs of windows with one tone.

Windows overlap by half and are computed in pairs. Only lines that await an answer are examined, each by itself.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from linetap.config.numbers import AnswerNumbers
from linetap.ring import I16, RATE_HZ
from linetap_core.codecs.g711 import FULL_SCALE_DBM0

F32 = npt.NDArray[np.float32]

STEP = RATE_HZ * 80 // 1000  # frames from one pair of windows to the next
HALF = STEP // 2
SPAN = STEP + HALF  # frames of a pair: two windows that overlap by half
BIN_HZ = RATE_HZ / STEP  # 12.5 Hz
_LOW, _HIGH = 16, 272  # bins: 200 to 3400 Hz, the line's band without mains hum
_SHAPE = np.hanning(STEP + 1)[:-1].astype(np.float32)
_SCALE = 2 / (STEP * float((_SHAPE**2).sum())) / (32767.0**2 / 2)  # squares of a transform to full scale = 1
_TINY = 1e-12


# Frames before the state that are examined too: a second party's state may begin after its first burst.
_BEFORE = {"off_hook": 0, "new_party": 5 * RATE_HZ // 2}


def first_window(state: str, frame: int) -> int | None:
    """The end of the first pair of windows of a line that enters `state` at `frame`; None: no answer is awaited
    there.
    """
    if state not in _BEFORE:
        return None
    begin = max(0, frame - _BEFORE[state])
    return -(-(begin + SPAN) // STEP) * STEP


class Window(NamedTuple):
    """A window. `at`: the frame in its middle.

    `power`: power of each bin from 0 on, full scale 1. `lines`: the strongest bins; empty: no tone.
    """

    at: int
    dbm0: float
    power: F32
    lines: tuple[int, ...]


def windows_of(audio: I16, end: int, numbers: AnswerNumbers) -> list[Window]:
    """The two windows of `audio` (SPAN,), which ends at the frame `end`."""
    pieces = np.stack([audio[:STEP], audio[HALF:]]).astype(np.float32)
    cells = np.fft.rfft(pieces * _SHAPE)
    power = ((np.square(cells.real) + np.square(cells.imag)) * np.float32(_SCALE)).astype(np.float32)
    power[:, :_LOW], power[:, _HIGH:] = 0, 0
    return [
        Window(end - HALF - HALF + n * HALF, dbm0(float(row.sum())), row, _lines(row, numbers))
        for n, row in enumerate(power)
    ]


def dbm0(power: float) -> float:
    return float(10 * np.log10(power + _TINY) + FULL_SCALE_DBM0)


def level_in_bins(window: Window, bins: list[int]) -> float:
    """Level in dBm0 of the power in these bins."""
    return dbm0(float(window.power[bins].sum()))


def widened(lines: list[int]) -> list[int]:
    """The bins and their neighbours."""
    return sorted({line + side for line in lines for side in (-1, 0, 1)})


def fits(lines: list[int], hz: tuple[float, ...], numbers: AnswerNumbers) -> bool:
    """Whether these lines are those of a tone: each is near one of its frequencies, and no frequency is missing."""
    if not lines:
        return False
    off = [[abs(line * BIN_HZ - f) - f * numbers.hz_tolerance for line in lines] for f in hz]
    none_missing = all(min(row) <= BIN_HZ / 2 for row in off)
    return none_missing and all(min(column) <= 1.5 * BIN_HZ for column in zip(*off, strict=True))


def lines_of(hz: tuple[float, ...]) -> list[int]:
    """The strongest lines of a tone of these frequencies."""
    return sorted({line for f in hz for line in (int(f / BIN_HZ), int(f / BIN_HZ) + 1)})


def _lines(power: F32, numbers: AnswerNumbers) -> tuple[int, ...]:
    total = float(power.sum())
    if dbm0(total) < numbers.tone_min_dbm0:
        return ()
    strong = np.flatnonzero(power >= total * numbers.line_share).tolist()
    if not strong or len(strong) > numbers.lines_max:
        return ()
    share = float(power[widened(strong)].sum()) / total
    return tuple(strong) if share >= numbers.tone_share else ()


class Burst(msgspec.Struct, frozen=True, array_like=True):
    """Frames [start, end) of one burst of a tone."""

    start: int
    end: int


class Missing(NamedTuple):
    """A burst that is missing or was cut off.

    The far end answered between `after` and `at`.
    """

    how: Literal["burst_missing", "burst_cut"]
    after: int
    at: int


class Run(msgspec.Struct):
    """Consecutive windows that hold a tone, dropouts bridged. Frames are the middles of windows."""

    start: int
    last: int
    dbm0: float  # mean level in its lines
    lines: list[int]
    windows: int = 1
    pure: int = 1  # windows that hold only the tone
    missed: int = 0
    from_quiet: bool = False  # there was silence before the tone, and ...
    to_quiet: bool = False  # ... after it


def goes_on(run: Run, window: Window, numbers: AnswerNumbers) -> bool:
    """Whether the window continues the run: the same lines at the same level."""
    near = set(widened(run.lines))
    alike = all(line in near for line in window.lines)
    return alike and abs(level_in_bins(window, widened(run.lines)) - run.dbm0) <= numbers.steady_db
