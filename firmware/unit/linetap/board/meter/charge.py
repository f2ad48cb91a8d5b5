# SPDX-License-Identifier: Apache-2.0
"""Whether a series contact has closed onto a telephone that is on its cradle: its bell's capacitor, which the lifted
handset had emptied, is charged again, and the line sinks for some milliseconds.

By the simulation of the drawing (row `contact_closes` of hardware/simulation) it sinks by 1.2 to 3.9 V, and by nothing
where the contact stays open. That it sinks proves that the contact has closed. That it does not proves nothing: a
telephone may keep its capacitor charged, and no real one has been measured.
"""

from __future__ import annotations

import numpy as np

from linetap.ring import I16

BEFORE_MS, AFTER_MS = 60, 300  # of the command to close; the card follows it within 100 ms
SINKS_BY, SINKS_MS = 60, 3  # hundredths of a volt, one after the other
QUIET = 30  # the line moves less, before and at the end: hum and ringing prove nothing


def charges(volts: I16) -> bool:
    """`volts`: (BEFORE_MS + AFTER_MS,), 0.01 V, around the command to close."""
    size = np.abs(volts.astype(np.int32))
    before, last = size[:BEFORE_MS], size[-BEFORE_MS:]
    idle = int(np.median(before))
    if np.abs(before - idle).max() > QUIET or np.abs(last - idle).max() > QUIET:
        return False
    sunk = np.convolve(size[BEFORE_MS:] <= idle - SINKS_BY, np.ones(SINKS_MS, np.int32))
    return bool(sunk.max() >= SINKS_MS)
