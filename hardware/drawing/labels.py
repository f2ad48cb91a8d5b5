# SPDX-License-Identifier: Apache-2.0
"""Where the names of nets stand: beside a pin, at a wire's end, or along a wire, clear of each other and of parts."""

from __future__ import annotations

from math import ceil, floor

from drawing.laid import HIGH, WIDE, Box, Label, Layout
from drawing.route import Spot, Wires
from drawing.symbols import OUT

HEADING_WIDE = 0.8
FREE = 0.02  # steps between two texts
BETWEEN = 0.25  # a text between two rows of the grid keeps wires off the nearer


class Labels:
    """Blocks what parts and texts cover, so that no wire goes through them."""

    def __init__(self, layout: Layout, wires: Wires, outer: set[str]) -> None:
        self.layout, self.wires, self.outer = layout, wires, outer
        self.taken: list[Box] = []
        self.named: dict[str, set[Spot]] = {}
        for each in layout.placed:
            self._take(each.body(), 0)
            for pin, (x, y) in zip(each.shape.pins, (spot for _, spot, _ in each.ends()), strict=True):
                bx, by = each.turned((pin.at[0] - OUT[pin.pin.side][0], pin.at[1] - OUT[pin.pin.side][1]))
                dx, dy = round(bx) - x, round(by) - y
                wires.blocked.update((x + dx * i, y + dy * i) for i in range(1, ceil(pin.length) + 1))
            for text in each.texts():
                self._take(text.box())
        for heading in layout.headings:
            self._take((heading.x, heading.y - 0.5, heading.x + len(heading.text) * HEADING_WIDE, heading.y + 0.5))

    def _take(self, box: Box, between: float = BETWEEN) -> None:
        self.taken.append(box)
        columns = range(ceil(box[0]), floor(box[2]) + 1)
        rows = range(ceil(box[1] - between), floor(box[3] + between) + 1)
        self.wires.blocked.update((x, y) for x in columns for y in rows)

    def at_pin(self, net: str, spot: Spot, side: str) -> None:
        """A step outside of the pin."""
        end = (spot[0] + OUT[side][0], spot[1] + OUT[side][1])
        if self.wires.free([end]):
            self.wires.draw(net, [spot, end])
        else:
            end = spot
        self._put(Label(net, *end, side))
        self.named[net].add(spot)

    def at_end(self, net: str, spot: Spot, turn: str) -> None:
        """A port's label; its wire leaves on the other side."""
        side = {"right": "right", "left": "left", "up": "top", "down": "bottom", "back": "left"}[turn]
        self._put(Label(net, *spot, side))
        self.wires.blocked.discard(spot)

    def name(self, net: str, islands: list[set[Spot]]) -> None:
        """Each island once, so that one name joins them all."""
        for island in islands:
            if not island & self.named.get(net, set()):
                self._name(net, island)

    def _name(self, net: str, island: set[Spot]) -> None:
        if net not in self.outer and (label := self._along(net, island)):
            self._put(label)
            return
        if not self.at_a_pin(net, island):
            spot, side = self._ends(net, island)[0]
            self._put(Label(net, *spot, side, on_wire=True))

    def at_a_pin(self, net: str, island: set[Spot]) -> bool:
        """At the first that has room for it."""
        for spot, side in self._ends(net, island):
            beyond = (spot[0] + OUT[side][0], spot[1] + OUT[side][1])
            if self.wires.free([beyond]) and self._clear(self._box(Label(net, *beyond, side))):
                self.at_pin(net, spot, side)
                return True
        return False

    def _ends(self, net: str, island: set[Spot]) -> list[tuple[Spot, str]]:
        return [
            (spot, side)
            for each in self.layout.placed
            for pin, spot, side in each.ends()
            if spot in island and each.part.nets.get(pin.name) == net
        ]

    def _along(self, net: str, island: set[Spot]) -> Label | None:
        """Over a level wire, else beside one that stands."""
        for ahead, side in ((0, "right"), (3, "top")):
            for spot in sorted(island):
                leaves = self.wires.at.get(spot, {})
                if len(leaves) == 1 and ahead in leaves.get(net, ()):
                    label = Label(net, *spot, side, on_wire=True)
                    if self._clear(self._box(label)) and not self._crossed(self._box(label), ahead, spot):
                        return label
        return None

    def _crossed(self, box: Box, ahead: int, spot: Spot) -> bool:
        """By a wire that goes the other way."""
        if ahead == 0:
            spots = [(x, spot[1]) for x in range(ceil(box[0]), floor(box[2]) + 1)]
            return any(3 in leaves for each in spots for leaves in self.wires.at.get(each, {}).values())
        spots = [(spot[0], y) for y in range(ceil(box[1]), floor(box[3]) + 1)]
        return any(2 in leaves for each in spots for leaves in self.wires.at.get(each, {}).values())

    def _box(self, label: Label) -> Box:
        long, x, y = len(label.net) * WIDE + (1.2 if label.net in self.outer else 0.2), label.x, label.y
        plain = label.net not in self.outer
        up, down = (0.58, -0.08) if plain else (HIGH / 2 + 0.05, HIGH / 2 + 0.05)
        if label.side in ("left", "right"):
            left = x - long if label.side == "left" else float(x)
            return left, y - up, left + long, y + down
        upper = y - long if label.side == "top" else float(y)
        return x - up, upper, x + down, upper + long

    def _clear(self, box: Box) -> bool:
        return not any(
            box[0] < each[2] + FREE and each[0] < box[2] + FREE and box[1] < each[3] + FREE and each[1] < box[3] + FREE
            for each in self.taken
        )

    def _put(self, label: Label) -> None:
        self.layout.labels.append(label)
        self.named.setdefault(label.net, set()).add((label.x, label.y))
        self._take(self._box(label))
