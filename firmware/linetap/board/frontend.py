# SPDX-License-Identifier: Apache-2.0
"""What the front end does, by its simulation. Written by tools/hardware_numbers.py, never by hand."""

from math import inf
from typing import NamedTuple


class Figure(NamedTuple):
    """Worst found, from `low` to `high`, and what is asked: from `least` to `most`."""

    low: float
    high: float
    least: float
    most: float


HOOK_OFF_BELOW_V = Figure(16.2, 18.9, 16, 25)  # HOOK pin: off-hook below
HOOK_ON_ABOVE_V = Figure(22, 24.9, 16, 25)  # HOOK pin: on-hook above
HOOK_OFF_AFTER_MS = Figure(38.9, 67.8, 35, 75)  # HOOK pin: off-hook after
RING_SEEN_MS = Figure(23.2, 85.4, -inf, 150)  # Ringing seen after
RING_OVER_MS = Figure(113, 241, -inf, 500)  # Ringing over, seen after
NEIGHBOUR_DB = Figure(173, 173, 60, inf)  # A notice in the neighbour's RX, below its own (model only)
