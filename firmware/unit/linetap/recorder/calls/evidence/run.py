# SPDX-License-Identifier: Apache-2.0
"""A stretch in which one tone is heard; and what it is of a ringback: a burst, or the one that is missing."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from linetap.config.numbers import AnswerNumbers
from linetap.recorder.calls.evidence.look import Window, widened, within


class Burst(msgspec.Struct, frozen=True, array_like=True):
    start: int
    end: int


class Missing(NamedTuple):
    """The burst that did not come, or was cut off. `at`: the far end had answered by then; `after`: not before."""

    how: Literal["burst_missing", "burst_cut"]
    after: int
    at: int


class Run(msgspec.Struct):
    """Windows in which a tone is there, a dropout bridged. Frames are the middles of windows."""

    start: int
    last: int
    dbm0: float  # mean of what is in its lines
    lines: list[int]
    windows: int = 1
    pure: int = 1  # windows with nothing else in them
    missed: int = 0
    from_quiet: bool = False  # nothing was heard before it, nor ...
    to_quiet: bool = False  # ... since


def goes_on(run: Run, window: Window, numbers: AnswerNumbers) -> bool:
    near = set(widened(run.lines))
    alike = all(line in near for line in window.lines)
    return alike and abs(within(window, widened(run.lines)) - run.dbm0) <= numbers.steady_db
