# SPDX-License-Identifier: Apache-2.0
"""The figures of a sound card, from its simulation. Written by tools/hardware_numbers.py, never by hand."""

from math import inf

from linetap.board.frontend import Figure

METER_ERROR_V = Figure(-1.2, 1.18, -3, 3)  # Meter: error from -56 to 56 V, nothing learned
ABSENT_V = Figure(-0.28, 0.265, -3, 3)  # Meter: a line that is not there reads
ECHO_DB = Figure(-8.26, -5.81, -20, 0)  # Notice in what is captured, against as it is played
ECHO_100_DB = Figure(-3.72, -2.03, -inf, inf)  # Production: echo at 100 Hz, against 1 kHz
ECHO_300_DB = Figure(-0.447, -0.207, -inf, inf)  # Production: echo at 300 Hz, against 1 kHz
ECHO_3400_DB = Figure(-0.28, -0.254, -inf, inf)  # Production: echo at 3400 Hz, against 1 kHz
ECHO_15000_DB = Figure(-4.64, -4.51, -inf, inf)  # Production: echo at 15000 Hz, against 1 kHz
METER_TONE_DB = Figure(-18.7, -17.6, -inf, inf)  # Production: 1.1 kHz in the meter's reading, in dB of a volt
SILENT_DB = Figure(-96.7, -96.6, -inf, -90)  # Production: echo at 3400 Hz, the relay open
NEIGHBOUR_DB = Figure(69.9, 69.9, 60, inf)  # A notice in the neighbour's RX, below its own (model only)
OPENS_MS = Figure(20.8, 24.1, -inf, 80)  # Contact: open after the first edge
OPEN_S = Figure(2.1, 2.7, 2, 3)  # Contact: open under a command without end for
SPARK_V = Figure(330, 330, 275, 400)  # Production: a thyristor at a milliampere, the contact open
PAIR_MOHM = Figure(11.5, 11.5, 5, inf)  # On-hook resistance, tip to ring, 100 V
EARTH_MOHM = Figure(7.71, 7.98, 5, inf)  # On-hook resistance, a lead to earth, 100 and 200 V
