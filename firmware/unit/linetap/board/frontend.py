# SPDX-License-Identifier: Apache-2.0
"""The front end's figures, from its simulation. Written by tools/hardware_numbers.py, never by hand."""

from math import inf
from typing import NamedTuple


class Figure(NamedTuple):
    """The simulated extremes, `low` to `high`, and the required range, `least` to `most`."""

    low: float
    high: float
    least: float
    most: float


CAPTURED_DB = Figure(-1.29, -0.305, -3, 0)  # Captured level, against the line's
ECHO_DB = Figure(-8.26, -5.81, -20, 0)  # Notice in what is captured, against as it is played
RINGING_DBM0 = Figure(24.7, 28.8, -inf, inf)  # Ringing of 75 V at 20 Hz in what is captured, before it is cut off
NEIGHBOUR_DB = Figure(69.9, 69.9, 60, inf)  # A notice in the neighbour's RX, below its own (model only)
