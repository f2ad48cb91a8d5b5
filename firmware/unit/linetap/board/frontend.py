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


HOOK_OFF_BELOW_V = Figure(16.1, 18.9, 16, 25)  # HOOK pin: off-hook below
HOOK_ON_ABOVE_V = Figure(22, 24.8, 16, 25)  # HOOK pin: on-hook above
HOOK_OFF_AFTER_MS = Figure(38.9, 68.1, 35, 75)  # HOOK pin: off-hook after
RING_SEEN_MS = Figure(36.2, 110, -inf, 150)  # Ringing seen after
RING_OVER_MS = Figure(113, 241, -inf, 500)  # Ringing over, seen after
CAPTURED_DB = Figure(-1.14, -0.155, -3, 0)  # Captured level, against the line's
ECHO_DB = Figure(-13.7, -11.5, -20, 0)  # Notice in what is captured, against as it is played
RINGING_DBM0 = Figure(23.1, 27.2, -inf, inf)  # Ringing of 75 V at 20 Hz in what is captured, before it is cut off
NEIGHBOUR_DB = Figure(69.9, 69.9, 60, inf)  # A notice in the neighbour's RX, below its own (model only)
