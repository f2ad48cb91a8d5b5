# SPDX-License-Identifier: Apache-2.0
"""The whole card as parts on nets, built from the tables of circuit/; and changed cards that contain a mistake."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from msgspec import structs

from drawing.project import Circuit, net_name
from drawing.tables import Kind
from simulation.netlist import UNITS, VALUE, Element, Netlist


@dataclass(frozen=True)
class Fitted:
    """A fitted part. `nets` by pin name, under KiCad's net names; an open pin has none. `sheet` is Line3, or another
    sheet's name.
    """

    reference: str
    sheet: str
    kind_name: str
    kind: Kind
    nets: dict[str, str]
    simulated: bool
    block: str  # its heading on the sheet

    @property
    def value(self) -> float:
        """The value in ohm or farad; nan if it has none."""
        matched = VALUE.fullmatch(self.kind.value.replace("M", "Meg"))
        return float(matched[1]) * UNITS[matched[2]] if matched else float("nan")

    @property
    def ends(self) -> tuple[float, float]:
        """The value at both ends of its tolerance."""
        return self.value * (1 - self.kind.off / 100), self.value * (1 + self.kind.off / 100)

    @property
    def symbol(self) -> str:
        return self.kind.symbol

    def other(self, net: str) -> str:
        """The net at the other end of a part with two pins; the same net if both pins are on it."""
        (end,) = [each for each in self.nets.values() if each != net] or [net]
        return end

    @cached_property
    def _types(self) -> dict[str, str]:
        return {row.name: row.type for row in self.kind.pin_rows()}

    def type_of(self, pin: str) -> str:
        return self._types[pin]


@dataclass(frozen=True, eq=False)
class Card:
    """The card, immutable: a change returns another card. Test pads are left out: a pin connected only to a pad counts
    as open.
    """

    parts: dict[str, Fitted]

    @classmethod
    def drawn(cls, circuit: Circuit | None = None) -> Card:
        circuit = circuit or Circuit()
        parts = {}
        for sheet in circuit.sheets.values():
            for instance, base in circuit.instances(sheet.name):
                for block in sheet.blocks:
                    for part in (part for row in block.rows for part in row if part.kind.symbol != "pad"):
                        nets = {pin: net_name(sheet, instance, base, net) for pin, net in part.nets.items()}
                        name = part.reference(base)
                        parts[name] = Fitted(
                            name, instance, part.kind_name, part.kind, nets, sheet.simulated, block.heading
                        )
        return cls(parts)

    @cached_property
    def nets(self) -> dict[str, list[tuple[Fitted, str]]]:
        """Net -> (part, name of its pin)."""
        nets: dict[str, list[tuple[Fitted, str]]] = {}
        for part in self.parts.values():
            for pin, net in part.nets.items():
                nets.setdefault(net, []).append((part, pin))
        return nets

    def on(self, net: str, symbol: str = "") -> list[Fitted]:
        """The parts on a net, optionally of one symbol; a part with two pins on it once."""
        found = {part.reference: part for part, _ in self.nets.get(net, []) if symbol in ("", part.symbol)}
        return list(found.values())

    def between(self, one: str, other: str, symbol: str) -> list[Fitted]:
        return [part for part in self.on(one, symbol) if other in part.nets.values() and one != other]

    def of(self, *kind_names: str) -> list[Fitted]:
        return [part for part in self.parts.values() if part.kind_name in kind_names]

    def joined(self, joins: Callable[[Fitted], Iterable[tuple[str, ...]]]) -> dict[str, str]:
        """Net -> the name of its piece; `joins` gives the groups of nets that a part connects."""
        piece = {net: net for net in self.nets}

        def root(net: str) -> str:
            while piece[net] != net:
                net = piece[net]
            return net

        for part in self.parts.values():
            for first, *rest in joins(part):
                for net in rest:
                    piece[root(net)] = root(first)
        return {net: root(net) for net in piece}

    def netlist(self) -> Netlist:
        """The simulated part of the card, as exported by KiCad.

        The order of the elements is also KiCad's: ngspice's initial state of a relay within its hysteresis depends on
        it.
        """
        elements = {}
        for part in self.parts.values():
            if part.simulated and part.kind.fitted:
                open_ = f"open-{part.reference}-"
                nodes = tuple(part.nets.get(row.name, open_ + row.name) for row in part.kind.pin_rows())
                what = part.kind.spice or part.kind.value.replace("M", "Meg")
                elements[part.reference] = Element(part.reference, nodes, what, subcircuit=bool(part.kind.spice))
        return Netlist(dict(sorted(elements.items())))

    def rewired(self, reference: str, **nets: str) -> Card:
        """The card with pins of a part on other nets."""
        return self._with(replace(self.parts[reference], nets=self.parts[reference].nets | nets))

    def with_nets(self, reference: str, nets: dict[str, str]) -> Card:
        """The card with these nets alone at a part."""
        return self._with(replace(self.parts[reference], nets=nets))

    def opened(self, reference: str, pin: str) -> Card:
        """The card with a pin on no net."""
        part = self.parts[reference]
        return self._with(replace(part, nets={name: net for name, net in part.nets.items() if name != pin}))

    def exchanged(self, one: tuple[str, str], other: tuple[str, str]) -> Card:
        """The card with the nets of two pins exchanged."""
        first, second = self.parts[one[0]].nets[one[1]], self.parts[other[0]].nets[other[1]]
        return self.rewired(one[0], **{one[1]: second}).rewired(other[0], **{other[1]: first})

    def refitted(self, one: str, other: str) -> Card:
        """The card with two parts in each other's place."""
        a, b = self.parts[one], self.parts[other]
        return self._with(
            replace(a, kind=b.kind, kind_name=b.kind_name), replace(b, kind=a.kind, kind_name=a.kind_name)
        )

    def revalued(self, reference: str, value: str) -> Card:
        """The card with a part of another value in the same place, ordered as such."""
        part = self.parts[reference]
        return self._with(replace(part, kind=structs.replace(part.kind, value=value, number="", second="")))

    def specified(self, reference: str, **fields: float | str) -> Card:
        """The card with other ratings for a part of the same kind."""
        part = self.parts[reference]
        return self._with(replace(part, kind=structs.replace(part.kind, **fields)))

    def without(self, *references: str) -> Card:
        return Card({name: part for name, part in self.parts.items() if name not in references})

    def fitted_without(self, references: Collection[str]) -> Card:
        """The card as fitted in a variant: a flag of the drawing is removed with the last part on its net."""
        card = self.without(*references)
        alone = [
            part.reference
            for part in card.parts.values()
            if not part.kind.fitted and not any(each.kind.fitted for net in part.nets.values() for each in card.on(net))
        ]
        return card.without(*alone)

    def bridged(self, one: str, other: str) -> Card:
        """The card with two nets joined: the second's pins move to the first."""
        return Card({
            name: replace(part, nets={pin: one if net == other else net for pin, net in part.nets.items()})
            for name, part in self.parts.items()
        })  # fmt: skip

    def _with(self, *parts: Fitted) -> Card:
        return Card(self.parts | {part.reference: part for part in parts})
