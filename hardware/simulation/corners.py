# SPDX-License-Identifier: Apache-2.0
"""Worst cases of the parts, by the tolerances and offsets of parts.toml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from drawing.tables import CIRCUIT, load_kinds, load_sheet
from simulation.netlist import Netlist
from simulation.spice import Supply, each

RAIL, REFERENCE = 0.02, 0.005  # of 3.3 V; of the reference: 0.2 % and 75 ppm/K over 40 K
CONVERTER = 6.5 / 4096  # total unadjusted error of the STM32G0B1's converter, of its reference; from memory of DS13560
CLOCK = 50e-6  # of the meter's oscillator, by its rating
LEAK_A = 5e-9  # of a rail clamp at 25 C, by its rating; to either rail
MOVES = 2e-6  # relative to the reference, a millivolt of the line: a smaller effect on a reading is ignored
CLAMP = "rail_clamp"
EXCHANGED = "exchanged, "  # prefix of the names of corners with exchanged wires

Measure = Callable[[Netlist, Supply], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Wrong:
    """The deviation of one part, or rail; `sign` is its direction."""

    name: str
    amount: float
    kind: str  # value, offset, rail, leak

    def apply(self, netlist: Netlist, supply: Supply, sign: int) -> tuple[Netlist, Supply]:
        if self.kind == "value":
            return netlist.scaled({self.name: 1 + sign * self.amount}), supply
        if self.kind == "offset":
            return netlist.given({self.name: f"off={sign * self.amount:.6g}"}), supply
        if self.kind == "leak":
            return netlist.leaking(self.name, sign * self.amount), supply
        factor = 1 + sign * self.amount
        if self.name == "v3":
            return netlist, replace(supply, v3=supply.v3 * factor)
        return netlist, replace(supply, vref=supply.vref * factor)


def all_wrongs(netlist: Netlist) -> list[Wrong]:
    """The deviations of line 1, the references and the rails."""
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


def leaks(netlist: Netlist) -> list[Wrong]:
    """Leakage currents: not in `all_wrongs`, and not in the table of figures: a tenth of a volt of a reading."""
    clamps = [name for name, each in netlist.elements.items() if each.what == CLAMP]
    return [Wrong(name, LEAK_A, "leak") for name in clamps]


@dataclass(frozen=True, slots=True)
class Corner:
    """A card with its parts at one limit: circuit and rails, the converter's error as a share of its reference, and the
    clock.
    """

    netlist: Netlist
    supply: Supply
    converter: float = 0.0
    clock: float = 0.0


def effects(netlist: Netlist, wrongs: list[Wrong], measure: Measure) -> list[dict[str, float]]:
    """The change of each figure by each deviation alone, at its upper limit."""
    nominal = measure(netlist, Supply())
    moved = each(lambda wrong: measure(*wrong.apply(netlist, Supply(), 1)), wrongs)
    return [{figure: after[figure] - nominal[figure] for figure in nominal} for after in moved]


def worst(netlist: Netlist, wrongs: list[Wrong], measure: Measure) -> dict[str, tuple[float, float, float]]:
    """(nominal, lowest, highest) of each figure, with every part at its worst limit for it.

    The limits are found one part at a time: 2^n corners are too many, and within a tolerance a part's effect is linear.
    """
    nominal = measure(netlist, Supply())
    found = effects(netlist, wrongs, measure)

    def corner(task: tuple[str, int]) -> float:
        figure, direction = task
        at = (netlist, Supply())
        for wrong, effect in zip(wrongs, found, strict=True):
            if effect[figure]:
                at = wrong.apply(*at, direction if effect[figure] > 0 else -direction)
        return measure(*at)[figure]

    tasks = [(figure, direction) for figure in nominal for direction in (-1, 1)]
    ends = dict(zip(tasks, each(corner, tasks), strict=True))
    return {figure: (nominal[figure], ends[figure, -1], ends[figure, 1]) for figure in nominal}


def reading_corners(netlist: Netlist, reads: Measure) -> dict[str, Corner]:
    """The nominal card; and every part, rail and the converter at the limits for the lowest and the highest reading,
    each with all parts without effect on a reading, mainly the capacitors, high (slow) and low (fast).

    `reads`: the pin's share of the reference, of a pair ("") and of one whose wires are EXCHANGED.
    """
    wrongs = [*all_wrongs(netlist), *leaks(netlist)]
    found = effects(netlist, wrongs, reads)
    corners = {"as drawn": Corner(netlist, Supply())}
    for pair in found[0]:
        for end, direction in (("lowest", -1), ("highest", 1)):
            for pace, side in (("slow", 1), ("fast", -1)):
                at = (netlist, Supply())
                for wrong, effect in zip(wrongs, found, strict=True):
                    to = side if abs(effect[pair]) < MOVES else direction if effect[pair] > 0 else -direction
                    at = wrong.apply(*at, to)
                corners[f"{pair}{end}, {pace}"] = Corner(*at, direction * CONVERTER, direction * CLOCK)
    return corners


def all_to_one_side(netlist: Netlist, sign: int) -> Netlist:
    """Every resistor and capacitor high or low: the slowest and the fastest card."""
    for wrong in all_wrongs(netlist):
        if wrong.kind == "value":
            netlist, _ = wrong.apply(netlist, Supply(), sign)
    return netlist
