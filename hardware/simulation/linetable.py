# SPDX-License-Identifier: Apache-2.0
"""The table of possible electrical values of a line, each row with its source. A test checks that calls.py covers every
row.

Volts without sign, milliseconds, hertz. "ours" is a number of linetap's own profile (`linetap/config/profile.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

RING_HZ, RING_VRMS, RING_BATTERY_V = (15.3, 68.0), (40.0, 150.0), (42.0, 56.0)  # limits of each
CORNERS_V = ((24.0, 5.0), (24.0, 12.0), (56.0, 5.0), (56.0, 40.0))  # battery, off-hook; 40 V is no loop on 24
FLASH_MS, BREAK_MS = (300.0, 1000.0), (15.0, 200.0)

Shown = dict[str, float | str]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of the table: one for each of `values`, with one number for each of `quantities`."""

    name: str
    quantities: tuple[str, ...]
    values: tuple[tuple[float | str, ...], ...]
    source: str

    def states(self) -> list[Shown]:
        return [dict(zip(self.quantities, row, strict=True)) for row in self.values]


LINE = (
    Rows(
        "a call", ("battery_v", "off_hook_v"),
        (*CORNERS_V, (48.0, 9.6), (48.0, 5.0), (48.0, 40.0)),
        "48 V nominal; 6 to 12 V off-hook, to 40 V on a short loop: Si2400, 5.5.1; PBXs of 24 V: from memory",
    ),
    Rows(
        "ringing", ("ring_hz", "ring_vrms", "battery_v"),
        (*product(RING_HZ, RING_VRMS, RING_BATTERY_V), (20.0, 75.0, 48.0)),
        "ringer types A and B of 47 CFR 68.312; 20 Hz, 75 Vrms on 48 V nominal",
    ),
    Rows(
        "ringing in its cadence", ("ring_on_ms", "ring_off_ms"), ((1000.0, 2000.0),),
        "as ringback: ITU-T E.180, Korea",
    ),
    Rows(
        "an answer within a burst", ("ring_hz", "into_burst_ms"),
        tuple((20.0, ms) for ms in (200.0, 212.5, 225.0, 237.5)),
        "each quarter of a cycle of 20 Hz: ours",
    ),
    Rows(
        "dial pulses", ("break_ms", "make_ms"),
        ((BREAK_MS[0], 85.0), (30.0, 70.0), (60.0, 40.0), (50.0, 50.0), (BREAK_MS[1], 100.0)),
        "15 to 200 ms: DAHDI kernel.h; 60 to 40 and 50 to 50 at 10 a second nominal; 30 ms the shortest taken: ours",
    ),
    Rows(
        "a flash", ("flash_ms",), ((FLASH_MS[0],), (FLASH_MS[1],), (1250.0,)),
        "300 to 1000 ms, receivers to 1250: DAHDI, AOpen and NEC manuals",
    ),
    Rows(
        "the exchange breaks the loop", ("loop_break_ms",), ((250.0,), (900.0,)),
        "250 to 900 ms: sandman.com, CPC bulletin",
    ),
    Rows(
        "polarity", ("polarity",), (("turns at the answer",), ("turns back at the end",), ("reversed",)),
        "answer and end by it: DAHDI, answeronpolarityswitch, hanguponpolarityswitch; a pair that is exchanged: ours",
    ),
    Rows(
        "wires", ("cut", "while"),
        (("both", "idle"), ("tip", "idle"), ("ring", "idle"), ("both", "in a call"), ("both", "always")),
        "no line below 3.0 V: Si2400, 5.5.1; battery alarm after 1000 ms: DAHDI, wctdm",
    ),
)  # fmt: skip
