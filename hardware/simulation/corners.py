# SPDX-License-Identifier: Apache-2.0
"""How bad the parts may be: by the tolerances and offsets of parts.toml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from drawing.tables import CIRCUIT, load_kinds, load_sheet
from simulation.netlist import Netlist
from simulation.spice import Supply, each

RAIL, REFERENCE = 0.02, 0.005  # of 3.3 V; of the reference: 0.2 % and 75 ppm/K over 40 K


@dataclass(frozen=True, slots=True)
class Wrong:
    """What one part, or rail, may be wrong by; `sign` says to which side."""

    name: str
    amount: float
    kind: str  # value, offset, rail

    def apply(self, netlist: Netlist, supply: Supply, sign: int) -> tuple[Netlist, Supply]:
        if self.kind == "value":
            return netlist.scaled({self.name: 1 + sign * self.amount}), supply
        if self.kind == "offset":
            return netlist.given({self.name: f"off={sign * self.amount:.6g}"}), supply
        factor = 1 + sign * self.amount
        if self.name == "v3":
            return netlist, replace(supply, v3=supply.v3 * factor)
        return netlist, replace(supply, vref=supply.vref * factor)


def all_wrongs(netlist: Netlist) -> list[Wrong]:
    """Of line 1 and the references, and of the rails."""
    kinds = load_kinds()
    wrongs = [Wrong("v3", RAIL, "rail"), Wrong("vref", REFERENCE, "rail")]
    for name, base in (("line", 1), ("references", 9)):
        for part in load_sheet(CIRCUIT / f"{name}.sheet", kinds).parts():
            reference = part.reference(base)
            if reference in netlist.elements:
                if part.kind.off:
                    wrongs.append(Wrong(reference, part.kind.off / 100, "value"))
                if part.kind.offset_mv:
                    wrongs.append(Wrong(reference, part.kind.offset_mv / 1000, "offset"))
    return wrongs


def worst(
    netlist: Netlist, wrongs: list[Wrong], measure: Callable[[Netlist, Supply], dict[str, float]]
) -> dict[str, tuple[float, float, float]]:
    """(nominal, lowest, highest) of each figure, every part at its worst end for it.

    The ends are found one part at a time: 2^n corners are too many, and so near its value a part's effect is straight.
    """
    nominal = measure(netlist, Supply())
    moved = each(lambda wrong: measure(*wrong.apply(netlist, Supply(), 1)), wrongs)

    def corner(task: tuple[str, int]) -> float:
        figure, direction = task
        at = (netlist, Supply())
        for wrong, after in zip(wrongs, moved, strict=True):
            effect = after[figure] - nominal[figure]
            if effect:
                at = wrong.apply(*at, direction if effect > 0 else -direction)
        return measure(*at)[figure]

    tasks = [(figure, direction) for figure in nominal for direction in (-1, 1)]
    ends = dict(zip(tasks, each(corner, tasks), strict=True))
    return {figure: (nominal[figure], ends[figure, -1], ends[figure, 1]) for figure in nominal}


def reading_ends(netlist: Netlist, reads: Callable[[Netlist, Supply], float]) -> dict[str, tuple[Netlist, Supply]]:
    """As drawn; and every part and rail at the end at which a voltage reads lowest, and highest. What does not move the
    reading, the capacitors above all, is high in the one and low in the other.
    """
    wrongs, nominal = all_wrongs(netlist), reads(netlist, Supply())
    effects = each(lambda wrong: reads(*wrong.apply(netlist, Supply(), 1)) - nominal, wrongs)
    ends = {"as drawn": (netlist, Supply())}
    for name, direction in (("reads lowest", -1), ("reads highest", 1)):
        at = (netlist, Supply())
        for wrong, effect in zip(wrongs, effects, strict=True):
            at = wrong.apply(*at, direction if effect > 0 else -direction)
        ends[name] = at
    return ends


def all_to_one_side(netlist: Netlist, sign: int) -> Netlist:
    """Every resistor and capacitor high or low: the slowest and the fastest."""
    for wrong in all_wrongs(netlist):
        if wrong.kind == "value":
            netlist, _ = wrong.apply(netlist, Supply(), sign)
    return netlist
