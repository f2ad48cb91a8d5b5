# SPDX-License-Identifier: Apache-2.0
"""Places the names of nets beside a pin, at a wire's end, or along a wire, clear of each other and of parts."""

from __future__ import annotations

from math import ceil, floor

from drawing.laid import HIGH, WIDE, Box, Label, Layout, Rail
from drawing.route import Spot, Wires
from drawing.symbols import OUT

HEADING_WIDE = 0.8
FREE = 0.02  # steps between two texts
FRAME = 0.45  # from the middle of a label to its frame
OVER = (0.72, 0.1)  # a name's lower and upper edge above its wire, measured in KiCad's picture
CROSS = 0.3  # half the size of the cross at an open pin
PEN = 0.05  # half of a line's width
FURTHEST = 12  # steps from a pin to its label
BETWEEN = 0.25  # a text between two rows of the grid blocks the nearer row


class Labels:
    """Places labels, and blocks the area under parts and texts for wires."""

    def __init__(self, layout: Layout, wires: Wires, outer: set[str]) -> None:
        self.layout, self.wires, self.outer = layout, wires, outer
        self.taken: list[Box] = []
        self.named: dict[str, set[Spot]] = {}
        for each in layout.placed:
            self._take(each.body(), 0)
            for pin, (x, y) in zip(each.shape.pins, (spot for _, spot, _ in each.ends()), strict=True):
                inner = each.turned((pin.at[0] - OUT[pin.pin.side][0], pin.at[1] - OUT[pin.pin.side][1]))
                dx, dy = round(inner[0]) - x, round(inner[1]) - y
                bx, by = x + dx * pin.length, y + dy * pin.length
                wires.blocked.update((x + dx * i, y + dy * i) for i in range(1, ceil(pin.length) + 1))
                self.taken.append((min(bx, x) - PEN, min(by, y) - PEN, max(bx, x) + PEN, max(by, y) + PEN))
            for text in each.texts():
                self._take(text.box())
        for heading in layout.headings:
            self._take((heading.x, heading.y - 0.5, heading.x + len(heading.text) * HEADING_WIDE, heading.y + 0.5))

    def take_open(self, spot: Spot) -> None:
        """Blocks the area of the cross at an open pin."""
        self.taken.append((spot[0] - CROSS, spot[1] - CROSS, spot[0] + CROSS, spot[1] + CROSS))

    def take_rail(self, rail: Rail) -> None:
        """Blocks the area of a supply symbol and its name; the layout blocks wires there."""
        if rail.net == "GND":
            self.taken.append((rail.x - 0.5, rail.y, rail.x + 0.5, rail.y + 0.9))
        else:
            half = max(len(rail.net) * WIDE / 2, 0.4)
            self.taken.append((rail.x - half, rail.y - 1.1 - HIGH / 2, rail.x + half, rail.y))

    def _take(self, box: Box, between: float = BETWEEN) -> None:
        self.taken.append(box)
        columns = range(ceil(box[0]), floor(box[2]) + 1)
        rows = range(ceil(box[1] - between), floor(box[3] + between) + 1)
        self.wires.blocked.update((x, y) for x in columns for y in rows)

    def at_pin(self, net: str, spot: Spot, side: str, steps: int = 1) -> None:
        """Places a label outside the pin, at the end of a stub."""
        way, end = _out(spot, side, steps), spot
        if self.wires.free(way):
            self.wires.draw(net, [spot, *way])
            end = way[-1]
        self._put(Label(net, *end, side))
        self.named[net].add(spot)

    def at_end(self, net: str, spot: Spot, turn: str) -> None:
        """Places a port's label; its wire leaves on the opposite side."""
        side = {"right": "right", "left": "left", "up": "top", "down": "bottom", "back": "left"}[turn]
        self._put(Label(net, *spot, side))
        self.wires.blocked.discard(spot)

    def name(self, net: str, islands: list[set[Spot]]) -> None:
        """Labels each island once; the equal names connect them."""
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
        """Labels the first pin that has room, as near as possible. False if none has."""
        for steps in range(1, FURTHEST + 1):
            for spot, side in self._ends(net, island):
                way = _out(spot, side, steps)
                if self.wires.free(way) and self._clear(self._box(Label(net, *way[-1], side))):
                    self.at_pin(net, spot, side, steps)
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
        """A label over a horizontal wire, otherwise beside a vertical one."""
        for ahead, side in ((0, "right"), (3, "top")):
            for spot in sorted(island):
                leaves = self.wires.at.get(spot, {})
                if len(leaves) == 1 and ahead in leaves.get(net, ()):
                    label = Label(net, *spot, side, on_wire=True)
                    if self._clear(self._box(label)):
                        return label
        return None

    def _box(self, label: Label) -> Box:
        long, x, y = len(label.net) * WIDE + (1.2 if label.net in self.outer else 0.2), label.x, label.y
        plain = label.net not in self.outer
        up, down = (OVER[0], -OVER[1]) if plain else (FRAME, FRAME)
        if label.side in ("left", "right"):
            left = x - long if label.side == "left" else float(x)
            return left, y - up, left + long, y + down
        upper = y - long if label.side == "top" else float(y)
        return x - up, upper, x + down, upper + long

    def _clear(self, box: Box) -> bool:
        return not self.wires.within(box) and not any(
            box[0] < each[2] + FREE and each[0] < box[2] + FREE and box[1] < each[3] + FREE and each[1] < box[3] + FREE
            for each in self.taken
        )

    def _put(self, label: Label) -> None:
        self.layout.labels.append(label)
        self.named.setdefault(label.net, set()).add((label.x, label.y))
        self._take(self._box(label))


def _out(spot: Spot, side: str, steps: int) -> list[Spot]:
    return [(spot[0] + OUT[side][0] * i, spot[1] + OUT[side][1] * i) for i in range(1, steps + 1)]
