# SPDX-License-Identifier: Apache-2.0
"""Derives the direction of a sheet's signals and currents: steps from a driver to a driven part, with their positions.

A stage is a part with inputs and outputs by the types of its pins, or one that `feeds` a current on (parts.toml). A
signal starts at an output, otherwise at a plug, at a label from another sheet, or at a part from a rail. It continues
through parts with two ends, windings and a relay's contacts, and ends at an input, a relay, a plug or a label. Paths
without such an end, as to a lamp or a filter, are no steps; neither is feedback, a part from a stage's output to its
input.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import dist

from drawn_sheets import Node, Point, each, parts, point

from drawing.tables import Part, Sheet

OUTPUTS = {"output", "open_collector", "power_out"}
DRAIN = ("nmos", "d")  # drives its net; a transistor that passes a current on `feeds`
THROUGH = {"R", "C", "L", "F", "D", "TVS"}
POLES = {"relay": (("p1", "o1"), ("p2", "o2")), "relay_closed": (("p1", "b1"), ("p2", "b2"))}
WINDINGS = (("p1", "s1"), ("p2", "s2"), ("s1", "p1"), ("s2", "p2"))
GROUNDS = {"GND", "ret"}  # `ret` is that of the 12 V


@dataclass(frozen=True)
class End:
    """A pin of a part, or a net's label, which has no pin."""

    part: str
    pin: str
    at: Point


@dataclass(frozen=True)
class Step:
    start: End
    end: End
    through: bool = False  # a single part, which may be vertical
    power: bool = False  # power, which may come from above

    def goes_right(self) -> bool:
        (x1, y1), (x2, y2) = self.start.at, self.end.at
        return x1 < x2 or (self.through and x1 == x2) or (self.power and y1 < y2)

    def __str__(self) -> str:
        return " -> ".join(f"{end.part}.{end.pin}".rstrip(".") for end in (self.start, self.end))


class Flow:
    """`steps` of a sheet, and those of its ports that it drives (`driven`)."""

    def __init__(self, sheet: Sheet, drawn: Node, base: int) -> None:
        self.sheet = sheet
        self.parts = {part.reference(base): part for part in sheet.parts() if part.kind.fitted}
        found = {part.reference: part.pins for part in parts(drawn) if part.reference in self.parts}
        self.types = {(name, pin.name): pin.type for name, pins in found.items() for pin in pins}
        self.pins = {(name, pin.name): End(name, pin.name, pin.at) for name, pins in found.items() for pin in pins}
        self.labels: dict[str, list[End]] = {}
        for label in each(drawn, "hierarchical_label"):
            self.labels.setdefault(label[1], []).append(End(label[1], "", point(label, "at")))
        self.ends: dict[str, list[End]] = {}
        for name, part in self.parts.items():
            for pin, net in part.nets.items():
                self.ends.setdefault(net, []).append(self.pins[name, pin])
        self.drivers: dict[str, list[End]] = {}
        self.came: dict[str, tuple[str, End, End]] = {}  # net -> previous net, and both ends of the part between
        for sources in (self._outputs, self._plugs, self._outside, self._rails):
            self._follow(list(sources()))
        arrived = {net: list(self._receivers(net)) for net in self.drivers}
        self.driven = {end.part for ends in arrived.values() for end in ends if not end.pin}
        self.steps = list(dict.fromkeys([*self._along(arrived), *self._stages(arrived)]))

    def _outputs(self) -> Iterator[tuple[str, End]]:
        for net, ends in self.ends.items():
            yield from ((net, end) for end in ends if net not in self.sheet.rails and self._gives(end))

    def _plugs(self) -> Iterator[tuple[str, End]]:
        for net in [net for net in self.ends if net not in {*self.drivers, *self.sheet.rails, *GROUNDS}]:
            yield from ((net, end) for end in self.ends[net] if self.parts[end.part].prefix == "J")

    def _outside(self) -> Iterator[tuple[str, End]]:
        for net in self.sheet.ports:
            if net in self.ends and net not in self.drivers:
                yield from ((net, label) for label in self.labels[net])

    def _rails(self) -> Iterator[tuple[str, End]]:
        for rail in [rail for rail in self.sheet.rails if rail not in GROUNDS]:
            own = {end.part for end in self.ends.get(rail, ()) if self._gives(end)}
            for _, to, net in self._ways(rail):
                if net not in self.drivers and not own & {end.part for end in self.ends[net]}:
                    yield net, to

    def _gives(self, end: End) -> bool:
        part = self.parts[end.part]
        return self.types[end.part, end.pin] in OUTPUTS or end.pin in part.kind.feeds[1:] or _is_drain(part, end)

    def _takes(self, end: End) -> bool:
        part = self.parts[end.part]
        relay = part.kind.symbol in POLES and end.pin not in {pole for pole, _ in POLES[part.kind.symbol]}
        return relay or part.prefix == "J" or self.types[end.part, end.pin] == "input" or end.pin in part.kind.feeds[:1]

    def _ways(self, net: str) -> Iterator[tuple[End, End, str]]:
        """The ways through each part at the net: its end there, its other end, and the other end's net."""
        for end in self.ends.get(net, ()):
            part = self.parts[end.part]
            pairs: tuple[tuple[str, str], ...] = POLES.get(part.kind.symbol, ())
            if part.kind.symbol == "transformer":
                pairs = WINDINGS
            elif part.kind.symbol in THROUGH and not part.kind.feeds:
                one, other = (pin.name for pin in part.kind.pin_rows())
                pairs = ((one, other), (other, one))
            for start, far in pairs:
                after = part.nets[far]
                if start == end.pin and after not in {*self.sheet.rails, *GROUNDS}:
                    yield end, self.pins[end.part, far], after

    def _follow(self, sources: list[tuple[str, End]]) -> None:
        for net, end in sources:
            self.drivers.setdefault(net, []).append(end)
        nets = list(dict.fromkeys(net for net, _ in sources))
        for net in nets:  # grows during the loop
            for end, far, after in self._ways(net):
                own = {driver.part for driver in self.drivers[net] if driver.pin and self._gives(driver)}
                feedback = any(each.part in own and self._takes(each) for each in self.ends[after])
                if after not in self.drivers and not feedback:
                    self.drivers[after], self.came[after] = [far], (net, end, far)
                    nets.append(after)

    def _receivers(self, net: str) -> Iterator[End]:
        own = {driver.part for driver in self.drivers[net]}
        yield from (end for end in self.ends[net] if self._takes(end) and end.part not in own)
        given = net in self.came or any(driver.pin and self._gives(driver) for driver in self.drivers[net])
        if given:
            yield from self.labels.get(net, ())

    def _along(self, arrived: dict[str, list[End]]) -> Iterator[Step]:
        for net, ends in arrived.items():
            for end in ends:
                yield from self._driven(net, end, through=False)
            while ends and net in self.came:
                net, near, far = self.came[net]
                yield Step(near, far, through=True)
                yield from self._driven(net, near, through=True)

    def _driven(self, net: str, end: End, *, through: bool) -> Iterator[Step]:
        """Steps to a driven end from each output, plug or part on the net, and from the nearest of its labels."""
        drivers = [driver for driver in self.drivers[net] if driver.pin]
        labels = [driver for driver in self.drivers[net] if not driver.pin]
        for start in drivers + sorted(labels, key=lambda label: dist(label.at, end.at))[:1]:
            power = bool(start.pin) and self.types[start.part, start.pin] == "power_out"
            yield Step(start, end, through, power)

    def _stages(self, arrived: dict[str, list[End]]) -> Iterator[Step]:
        taking = {end for ends in arrived.values() for end in ends}
        useful = {net for net, ends in arrived.items() if ends}
        for net in list(useful):
            while net in self.came:
                net, _, _ = self.came[net]
                useful.add(net)
        giving = {driver for net in useful for driver in self.drivers[net]}
        for (name, pin), start in self.pins.items():
            part = self.parts[name]
            feeds = part.kind.feeds
            if (start in taking and self.types[name, pin] == "input") or feeds[:1] == [pin]:
                outs = (end for (other, _), end in self.pins.items() if other == name)
                yield from (
                    Step(start, end) for end in outs if self._gives(end) and (end in giving or feeds[1:] == [end.pin])
                )


def _is_drain(part: Part, end: End) -> bool:
    return (part.kind_name, end.pin) == DRAIN
