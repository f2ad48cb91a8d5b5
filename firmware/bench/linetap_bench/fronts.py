# SPDX-License-Identifier: Apache-2.0
"""What a card's front ends make of the sound of their lines, by the drawing's own table (board/frontend.py)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from linetap.board.frontend import CAPTURED_DB, ECHO_DB, NEIGHBOUR_DB, RINGING_DBM0

LEAK = 10 ** (-NEIGHBOUR_DB.low / 20)  # of what a line has into each line beside it


class Front(NamedTuple):
    """Of one line: how much of its level is captured, how much of a notice comes back, how loud ringing would be."""

    captured_db: float
    echo_db: float
    ringing_dbm0: float


def fronts(lines: int) -> list[Front]:
    """No line is like another: the first has the lowest levels that its parts may give, and the last the highest."""
    figures = (CAPTURED_DB, ECHO_DB, RINGING_DBM0)
    columns = [np.linspace(each.low, each.high, lines).tolist() for each in figures]
    return [Front(*levels) for levels in zip(*columns, strict=True)]


def beside(lines: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For each line, (lines, n), what its two neighbours have."""
    sums = np.zeros_like(lines)
    sums[1:] += lines[:-1]
    sums[:-1] += lines[1:]
    return sums
