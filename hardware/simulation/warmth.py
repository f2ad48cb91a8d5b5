# SPDX-License-Identifier: Apache-2.0
"""Computes the temperature of each part that dissipates at least LEAST_MW, with the whole card at its worst at once.

A thermal resistance to air is that of the part's sheet, on its maker's board: our board has other copper, and
neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drawing.project import Circuit
from drawing.tables import Kind
from simulation.budget import Rail, parts, rails

AMBIENT_C = 50.0
LEAST_MW = 50.0


@dataclass(frozen=True, slots=True)
class Warm:
    """A temperature. `celsius` is that of the junction, of a converter's case, or with `around` of the air, by the
    part's rating.
    """

    reference: str
    mw: float
    k_per_w: float
    celsius: float
    most_c: float
    around: bool

    def holds(self) -> bool:
        return self.celsius <= self.most_c

    def known(self) -> bool:
        return self.around or self.k_per_w > 0


def warm(circuit: Circuit) -> list[Warm]:
    """The warmest part of each kind, in the order of their references."""
    fed = {rail.net: rail for rail in rails(circuit)}
    found: dict[str, Warm] = {}
    for reference, kind, _ in parts(circuit):
        mw = sum(_heat(reference, kind, fed))
        if mw >= LEAST_MW:
            around = kind.around_c > 0
            celsius = AMBIENT_C + (0 if around else mw / 1000 * kind.k_per_w)
            each = Warm(reference, mw, kind.k_per_w, celsius, kind.around_c or kind.most_c, around)
            if kind.value not in found or celsius > found[kind.value].celsius:
                found[kind.value] = each
    return sorted(found.values(), key=lambda each: (each.reference.rstrip("0123456789"), each.reference))


def _heat(reference: str, kind: Kind, fed: dict[str, Rail]) -> Iterator[float]:
    """The heat in milliwatts. The power drawn by a plug becomes heat elsewhere."""
    yield kind.heat_mw
    if not reference.startswith("J"):
        yield sum(kind.mw.values())
    feeds = [rail for rail in fed.values() if rail.source == reference]
    if kind.ohm:
        through = [fed[kind.passes]] if kind.passes else feeds
        yield from (rail.gives_ma**2 / 1000 * kind.ohm for rail in through)
    elif not kind.heat_mw:
        yield from (rail.loss_mw for rail in feeds)
