# SPDX-License-Identifier: Apache-2.0
"""Simulates a line whose relays are driven by pins and ARM: the voltage on the meter's input, and the exchange's
current.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, waveforms
from twin.wires import Levels

EDGE_S, RAIL_S = 10e-6, 1e-3  # of a pin; of the load switch with its capacitor, assumed
EXCHANGE = "i(Vring)"  # calls.battery
COARSE = ".options trtol=20"  # a quarter less work for a thousand edges a second; it shifts a contact by 1.3 ms


@dataclass(frozen=True)
class Driven:
    """The levels that drive the line's relays, by the world's clock."""

    relay: Levels = field(default_factory=list)
    contact: Levels = field(default_factory=list)
    coil: Levels = field(default_factory=list)


@dataclass(frozen=True)
class Seen:
    """By the same clock, at the simulator's steps: volts on the meter's pin, amperes of the exchange."""

    second: list[float]
    vm: list[float]
    loop: list[float]


def source(found: Levels, high: float, begins: float, rises: float) -> str:
    """The levels as ngspice's `pwl(...)`. Its zero is `begins`."""
    level, points, last = 0.0, ["0"], 0.0
    for at, is_high in found:
        second, volts = at - begins, high * is_high
        if second > 0:
            second = max(second, last + 1e-6)
            points += [f"{level:g} {second:.7f} {level:g} {second + rises:.7f}"]
            last = second + rises
        level = volts
    return f"pwl({' '.join(points)} {level:g})"


def simulated(
    netlist: Netlist, supply: Supply, around: Sequence[str], driven: Driven, begins: float, ends: float
) -> Seen:
    """Simulates line 1 from `begins` to `ends`. `around` is an exchange as from `calls.battery`, with its times
    relative to `begins`.
    """
    given = Supply(
        v3=supply.v3, v5=supply.v5, vref=supply.vref, ohm=supply.ohm,
        coil=source(driven.coil, supply.v5, begins, RAIL_S),
        relay=source(driven.relay, supply.v3, begins, EDGE_S),
        contact="V(drives)",
    )  # fmt: skip
    lines = [
        *around, f"Vdrives drives 0 {source(driven.contact, supply.v3, begins, EDGE_S)}",
        COARSE, f".tran 1m {ends - begins:g} 0 1m",
    ]  # fmt: skip
    rows = waveforms(Deck(netlist, lines, [], given), "v(/VM1)", EXCHANGE)
    return Seen([at + begins for at, _, _ in rows], [vm for _, vm, _ in rows], [loop for _, _, loop in rows])
