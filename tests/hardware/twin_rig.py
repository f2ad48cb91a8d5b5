# SPDX-License-Identifier: Apache-2.0
"""What tests of the card as a twin share: front ends at their ends, what a pin has of VREF, edges out of levels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from hardware_rig import front_end

from linetap.board.meter import protocol as wire
from linetap.board.meter.limits import LineLimits, limits_of
from linetap.board.meter.protocol import Deframer
from linetap.learned import Learned
from meter_rig import BATCH_MS, NUMBERS, PLAIN
from part_rig import READY_S, STEP_NS
from simulation.calls import Edges
from simulation.converters import drawn_reference, share_of
from simulation.corners import reading_ends
from simulation.levels import PAIR
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, run

HANDSET = ["Vd d 0 5", *PAIR, ".tran 1m 20m"]
LONG_AGO = "2026-01-01T00:00:00.000Z"

Found = list[tuple[float, bool]]  # (second, off-hook, or ringing, or ...)


def _reads(netlist: Netlist, supply: Supply) -> float:
    found = run(Deck(netlist, HANDSET, [".meas tran v find v(/VM1) at=19m"], supply))
    return share_of(found["v"], supply, drawn_reference())


@cache
def ends() -> dict[str, tuple[Netlist, Supply]]:
    """Netlists as drawn, and with all parts where a line reads lowest and highest."""
    return reading_ends(front_end(), _reads)


def shares(
    rows: Sequence[tuple[float, float]], seconds: float, supply: Supply, net: str | None = None
) -> npt.NDArray[np.float64]:
    """What the part's pin has of its reference, each tenth of a millisecond; `rows`: (second, volts)."""
    second, volts = np.array(rows).T
    at = np.arange(0, seconds, STEP_NS / 1e9)
    found: npt.NDArray[np.float64] = np.interp(at, second, volts) * share_of(1.0, supply, net or drawn_reference())
    return found


def limits(learnt: tuple[float, float] | None) -> LineLimits:
    """Of a line whose on-hook and off-hook volts were learnt, or of one with the profile's."""
    if learnt is None:
        return PLAIN
    return limits_of(NUMBERS, 3.0, Learned(on_hook_v=learnt[0], off_hook_v=learnt[1], learned_at=LONG_AGO))


def changes(bits: npt.NDArray[np.bool_]) -> Found:
    begins = round(READY_S * 1000) + BATCH_MS
    at = np.flatnonzero(np.diff(bits[begins:].astype(np.int8), prepend=0)) + begins
    return [((int(i) - BATCH_MS) / 1000, bool(bits[i])) for i in at]


def edges_told(data: bytes) -> dict[int, Found]:
    """The part's own hook edges, by line, out of all that it sent."""
    found: dict[int, Found] = {}
    for code, _, payload in Deframer().feed(data):
        if code == wire.EDGE.code:
            at_us, channel, edge, level = wire.EDGE.head.unpack(payload)
            if wire.EDGES[edge] == "hook" and at_us > READY_S * 1e6:
                found.setdefault(channel, []).append((at_us / 1e6, bool(level)))
    return found


def fits(found: Found, asked: Edges) -> bool:
    return len(found) == len(asked) and all(
        early - 1e-6 <= at <= late + 1e-6 and level is due
        for (at, level), (early, late, due) in zip(found, asked, strict=True)
    )
