# SPDX-License-Identifier: Apache-2.0
"""Shared by tests of the card's digital twin: cards at their corners, a pin's share of VREF, edges from levels."""

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
from simulation.corners import EXCHANGED, Corner, reading_corners
from simulation.levels import PAIR
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, run

HANDSET = ["Vd d 0 pwl(0 5 20m 5 20.1m -5)", *PAIR, ".tran 1m 40m"]  # at 5 V, then on a pair with exchanged wires
LONG_AGO = "2026-01-01T00:00:00.000Z"

Found = list[tuple[float, bool]]  # (second, off-hook, or ringing, or ...)


def handset(netlist: Netlist, supply: Supply) -> dict[str, float]:
    """The pin's share of its reference, as required by `reading_corners`."""
    measures = [".meas tran v0 find v(/VM1) at=19m", ".meas tran v1 find v(/VM1) at=39m"]
    found = run(Deck(netlist, HANDSET, measures, supply))
    return {pair: share_of(found[v], supply, drawn_reference()) for pair, v in (("", "v0"), (EXCHANGED, "v1"))}


@cache
def corners() -> dict[str, Corner]:
    return reading_corners(front_end(), handset)


def shares(
    rows: Sequence[tuple[float, float]], seconds: float, corner: Corner, net: str | None = None
) -> npt.NDArray[np.float64]:
    """The part's pin as a share of its reference, each tenth of a millisecond; `rows`: (second, volts)."""
    second, volts = np.array(rows).T
    at = np.arange(0, seconds, STEP_NS / 1e9)
    share = share_of(1.0, corner.supply, net or drawn_reference())
    found: npt.NDArray[np.float64] = np.interp(at, second, volts) * share + corner.converter
    return found


def limits(learnt: tuple[float, float] | None) -> LineLimits:
    """The limits of a line with learnt on-hook and off-hook volts, or with the profile's."""
    if learnt is None:
        return PLAIN
    return limits_of(NUMBERS, 3.0, Learned(on_hook_v=learnt[0], off_hook_v=learnt[1], learned_at=LONG_AGO))


def changes(bits: npt.NDArray[np.bool_]) -> Found:
    begins = round(READY_S * 1000) + BATCH_MS
    at = np.flatnonzero(np.diff(bits[begins:].astype(np.int8), prepend=0)) + begins
    return [((int(i) - BATCH_MS) / 1000, bool(bits[i])) for i in at]


def edges_told(data: bytes) -> dict[int, Found]:
    """The part's own hook edges, by line, from all its frames."""
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
