# SPDX-License-Identifier: Apache-2.0
"""Routes wires on the grid: around parts and texts, and across other wires only at a right angle."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import pairwise
from math import ceil, floor

Spot = tuple[int, int]
Segment = tuple[int, int, int, int]

STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
BEND, CROSSING = 3, 4  # cost, in steps of detour


class Wires:
    """All wires of a sheet. `blocked`: spots that wires must avoid; `pins`: pin ends with their net."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.blocked: set[Spot] = set()
        self.pins: dict[Spot, str] = {}
        self.at: dict[Spot, dict[str, set[int]]] = {}  # spot -> net -> directions of its wires there

    def join(self, net: str, spots: list[Spot], most: int) -> list[set[Spot]]:
        """Connects the spots with wires of at most `most` steps; returns the islands, one if all are joined."""
        islands: list[set[Spot]] = []
        for spot in dict.fromkeys(spots):
            if not any(spot in island for island in islands):
                islands.append(self._drawn(net, spot))
        apart: set[tuple[Spot, Spot]] = set()
        while len(islands) > 1:
            near = sorted(
                (min(_far(a, b) for a in one for b in other), min(one), min(other), i, j)
                for i, one in enumerate(islands)
                for j, other in enumerate(islands)
                if i < j and (min(one), min(other)) not in apart
            )
            if not near or near[0][0] > most:
                return islands
            _, low, high, i, j = near[0]
            way = self._way(net, islands[i], islands[j], most)
            if way is None:
                apart.add((low, high))
                continue
            self.draw(net, way)
            islands[i] |= islands.pop(j) | set(way)
        return islands

    def draw(self, net: str, way: list[Spot]) -> None:
        """Draws a wire along the spots, one step for each."""
        for (x1, y1), (x2, y2) in pairwise(way):
            ahead = STEPS.index((x2 - x1, y2 - y1))
            self.at.setdefault((x1, y1), {}).setdefault(net, set()).add(ahead)
            self.at.setdefault((x2, y2), {}).setdefault(net, set()).add((ahead + 2) % 4)

    def _drawn(self, net: str, spot: Spot) -> set[Spot]:
        """All spots already connected to this one by wires."""
        found, ahead = {spot}, [spot]
        while ahead:
            x, y = ahead.pop()
            for leaves in self.at.get((x, y), {}).get(net, set()):
                to = (x + STEPS[leaves][0], y + STEPS[leaves][1])
                if to not in found:
                    found.add(to)
                    ahead.append(to)
        return found

    def free(self, spots: Iterable[Spot]) -> bool:
        return not any(spot in self.blocked or spot in self.pins or spot in self.at for spot in spots)

    def within(self, box: tuple[float, float, float, float]) -> bool:
        """Whether a wire passes through the box (left, upper, right, lower)."""
        left, top, right, bottom = box
        standing = ((x, y) for x in range(ceil(left), floor(right) + 1) for y in range(floor(top), ceil(bottom)))
        lying = ((x, y) for y in range(ceil(top), floor(bottom) + 1) for x in range(floor(left), ceil(right)))
        return any(self._leaves(spot, 1) for spot in standing) or any(self._leaves(spot, 0) for spot in lying)

    def _leaves(self, spot: Spot, ahead: int) -> bool:
        return any(ahead in leaves for leaves in self.at.get(spot, {}).values())

    def _way(self, net: str, starts: set[Spot], goals: set[Spot], most: int) -> list[Spot] | None:
        across, down = [x for x, _ in goals], [y for _, y in goals]
        left, right, top, bottom = min(across), max(across), min(down), max(down)

        def left_over(x: int, y: int) -> int:
            return max(left - x, 0, x - right) + max(top - y, 0, y - bottom)

        queue: list[tuple[int, int, Spot, int]] = []
        best: dict[tuple[Spot, int], int] = {}
        came: dict[tuple[Spot, int], tuple[Spot, int]] = {}
        for spot in sorted(starts):
            if len(self.at.get(spot, {})) < 2:
                heappush(queue, (left_over(*spot), 0, spot, -1))
        while queue:
            _, cost, spot, heading = heappop(queue)
            if spot in goals and heading >= 0 and len(self.at.get(spot, {})) < 2:
                return _back(came, (spot, heading))
            crossing = any(other != net for other in self.at.get(spot, {}))
            for ahead, (dx, dy) in enumerate(STEPS):
                if heading >= 0 and (ahead == (heading + 2) % 4 or (crossing and ahead != heading)):
                    continue
                to = (spot[0] + dx, spot[1] + dy)
                if to in starts or not self._may(net, to, ahead):
                    continue
                price = cost + 1 + (BEND if heading not in (-1, ahead) else 0)
                price += CROSSING if any(other != net for other in self.at.get(to, {})) else 0
                if price > 3 * most or best.get((to, ahead), 1 << 30) <= price:
                    continue
                best[to, ahead] = price
                came[to, ahead] = (spot, heading)
                heappush(queue, (price + left_over(*to), price, to, ahead))
        return None

    def _may(self, net: str, to: Spot, ahead: int) -> bool:
        x, y = to
        if not (0 < x < self.size[0] and 0 < y < self.size[1]) or to in self.blocked:
            return False
        if self.pins.get(to, net) != net:
            return False
        others = [leaves for other, leaves in self.at.get(to, {}).items() if other != net]
        across = {(ahead + 1) % 4, (ahead + 3) % 4}
        return not others or (len(self.at[to]) == 1 and others[0] == across)

    def segments(self) -> list[tuple[str, Segment]]:
        """Straight pieces of the wires, split at junctions."""
        found: list[tuple[str, Segment]] = []
        for spot, nets in sorted(self.at.items()):
            for net, leaves in nets.items():
                for ahead in (0, 1):
                    if ahead in leaves and not self._passes(net, spot, ahead):
                        end = self._end(net, spot, ahead)
                        found.append((net, (*spot, *end)))
        return found

    def junctions(self) -> list[Spot]:
        return sorted(
            spot for spot, nets in self.at.items() for leaves in nets.values() if len(leaves) + (spot in self.pins) > 2
        )

    def _passes(self, net: str, spot: Spot, ahead: int) -> bool:
        return self.at[spot][net] == {ahead, (ahead + 2) % 4} and spot not in self.pins

    def _end(self, net: str, spot: Spot, ahead: int) -> Spot:
        dx, dy = STEPS[ahead]
        spot = (spot[0] + dx, spot[1] + dy)
        while self._passes(net, spot, ahead):
            spot = (spot[0] + dx, spot[1] + dy)
        return spot


def _far(a: Spot, b: Spot) -> int:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _back(came: dict[tuple[Spot, int], tuple[Spot, int]], last: tuple[Spot, int]) -> list[Spot]:
    way = [last[0]]
    while last in came:
        last = came[last]
        way.append(last[0])
    return way[::-1]
