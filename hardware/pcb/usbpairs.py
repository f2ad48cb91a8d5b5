# SPDX-License-Identifier: Apache-2.0
"""Measures the USB pairs of a board: the length of each track, and their differential impedance.

In mm. A length is measured along tracks and through vias, between the middles of two pads.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import dist, hypot

import numpy as np

from pcb.boardfile import BoardFile, Drawn, Pad
from pcb.copper import Copper, from_point
from pcb.stackup import OUTER, VIA_MM, pair_ohm, picoseconds

NEAR = 0.01  # greatest distance of two joined ends
STEP = 0.25
FAR = 10.0  # the limit of coupling
HIGH_MM = 3.81  # Intel, High Speed USB Platform Design Guidelines, 3.4: 150 mil at 480 Mbit/s
FULL_MM = 60.0  # a tenth of the fastest edge of 12 Mbit/s, 400 ps (Silicon Labs, EFM32's notes on USB)
OHM, OFF = 90.0, 0.15  # USB 2.0, 7.1.1.3: the cable's impedance; a board's should be 90

Node = tuple[float, float, str]  # x, y, layer


@dataclass(frozen=True, slots=True)
class Pair:
    name: str
    plus: str
    minus: str
    ends: tuple[str, str]
    most_mm: float


PAIRS = (
    Pair("Pi to hub, 480 Mbit/s", "/usb/up_dp", "/usb/up_dm", ("U1501", "J1501"), HIGH_MM),
    Pair("hub to audio module, 480 Mbit/s", "/USB_DP", "/USB_DM", ("U1501", "J1202"), HIGH_MM),
    Pair("hub to meter, 12 Mbit/s", "/METER_DP", "/METER_DM", ("U1501", "U1101"), FULL_MM),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of a pair. `bare_mm`: the longest stretch of either track without a plane on the adjacent layer;
    `ps`: the delay of the longer track.
    """

    pair: Pair
    plus_mm: float
    minus_mm: float
    ohm: tuple[float, float]
    bare_mm: float
    ps: float

    @property
    def apart_mm(self) -> float:
        return abs(self.plus_mm - self.minus_mm)

    def matched(self) -> bool:
        return self.apart_mm <= self.pair.most_mm

    def within(self) -> bool:
        return self.ohm[0] >= OHM * (1 - OFF) and self.ohm[1] <= OHM * (1 + OFF)

    def said(self) -> str:
        lengths = f"{self.plus_mm:.1f} and {self.minus_mm:.1f} mm, {self.apart_mm:.1f} apart of {self.pair.most_mm:g}"
        return f"{self.pair.name}: {lengths}, {self.ohm[0]:.0f} to {self.ohm[1]:.0f} ohm"


def measured(board: BoardFile) -> list[Measured]:
    return [_measured(board, pair) for pair in PAIRS]


def _measured(board: BoardFile, pair: Pair) -> Measured:
    """The figures of a pair; of a plug with two contacts for each wire, those that differ most."""
    tracks = {net: [each for each in board.tracks if each.net == net] for net in (pair.plus, pair.minus)}
    both: list[tuple[list[Node], list[Node]]] = []
    for pad in _pads(board, pair.plus, pair.ends[1]):
        other = min(_pads(board, pair.minus, pair.ends[1]), key=lambda each: dist(each[3:5], pad[3:5]))
        (plus,), (minus,) = (_pads(board, net, pair.ends[0]) for net in (pair.plus, pair.minus))
        both.append((way(tracks[pair.plus], plus, pad), way(tracks[pair.minus], minus, other)))
    plus_way, minus_way = max(both, key=lambda two: abs(long(two[0]) - long(two[1])))
    (width,) = {each.width for net in tracks for each in tracks[net] if each.layer}
    ohms = [pair_ohm(width, max(gap, NEAR)) for gap in _gaps(plus_way, tracks[pair.minus], width)]
    bare = max(_bare(board, each) for each in (plus_way, minus_way))
    most = max(long(plus_way), long(minus_way))
    return Measured(pair, long(plus_way), long(minus_way), (min(ohms), max(ohms)), bare, picoseconds(width, most))


def _pads(board: BoardFile, net: str, reference: str) -> list[Pad]:
    return [pad for pad in board.pads if pad.net == net and pad.reference == reference]


def long(nodes: list[Node]) -> float:
    return sum(_far(one, other) for one, other in pairwise(nodes))


def _far(one: Node, other: Node) -> float:
    return dist(one[:2], other[:2]) or (VIA_MM if one[2] != other[2] else 0.0)


def way(tracks: list[Drawn], begin: Pad, end: Pad) -> list[Node]:
    """The shortest path, by Dijkstra. LookupError if there is none."""
    start, goal = (begin.x, begin.y, "F.Cu"), (end.x, end.y, "F.Cu")
    beside = _edges(tracks, (begin, end))
    queue: list[tuple[float, Node, list[Node]]] = [(0.0, start, [start])]
    done: set[Node] = set()
    while queue:
        gone, node, nodes = heapq.heappop(queue)
        if node == goal:
            return nodes
        if node not in done:
            done.add(node)
            for each in beside.get(node, ()):
                heapq.heappush(queue, (gone + _far(node, each), each, [*nodes, each]))
    raise LookupError(f"no copper from {begin.reference} to {end.reference} on {begin.net}")


def _edges(tracks: list[Drawn], pads: tuple[Pad, ...]) -> dict[Node, set[Node]]:
    """The adjacent nodes of each node: along a track, through a via, within a pad."""
    nodes = {(round(x, 3), round(y, 3), layer) for each in tracks for x, y, layer in _ends(each)}
    found: dict[Node, set[Node]] = {}

    def join(one: Node, other: Node) -> None:
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)

    for track in tracks:
        if not track.layer:
            upper, lower = _ends(track)
            join((round(upper[0], 3), round(upper[1], 3), "F.Cu"), (round(lower[0], 3), round(lower[1], 3), "B.Cu"))
            continue
        begin, end = np.array([[track.x1, track.y1]]), np.array([[track.x2, track.y2]])
        on = [
            each for each in nodes
            if each[2] == track.layer and from_point(np.array(each[:2]), begin, end)[0] < NEAR
        ]  # fmt: skip
        on.sort(key=lambda each: dist(each[:2], (track.x1, track.y1)))
        for one, other in pairwise(on):
            join(one, other)
    for pad in pads:
        middle = (pad.x, pad.y, "F.Cu")
        for each in nodes:
            inside = abs(each[0] - pad.x) <= pad.width / 2 and abs(each[1] - pad.y) <= pad.height / 2
            if inside and (pad.through or each[2] == "F.Cu"):
                join(middle, each)
    return found


def _ends(track: Drawn) -> tuple[Node, Node]:
    layers = (track.layer, track.layer) if track.layer else ("F.Cu", "B.Cu")
    return (track.x1, track.y1, layers[0]), (track.x2, track.y2, layers[1])


def _points(nodes: list[Node]) -> Iterator[tuple[float, float, str, float]]:
    """Points along a path, one every STEP: x, y, layer, and the length it represents."""
    for (x1, y1, layer), (x2, y2, _) in pairwise(nodes):
        far = hypot(x2 - x1, y2 - y1)
        many = max(1, round(far / STEP))
        for i in range(many if far else 0):
            part = (i + 0.5) / many
            yield x1 + part * (x2 - x1), y1 + part * (y2 - y1), layer, far / many


def _gaps(nodes: list[Node], others: list[Drawn], width: float) -> Iterator[float]:
    """Gaps between the edges of the two tracks, on the same layer."""
    for x, y, layer, _ in _points(nodes):
        same = [each for each in others if each.layer == layer]
        if not same:
            yield FAR
            continue
        begins = np.array([[each.x1, each.y1] for each in same])
        ends = np.array([[each.x2, each.y2] for each in same])
        yield min(FAR, float(from_point(np.array([x, y]), begins, ends).min()) - width)


def _bare(board: BoardFile, nodes: list[Node]) -> float:
    """The longest stretch without a plane on the adjacent layer: planes have holes around vias and pads."""
    planes = {
        layer: [Copper(layer, area.outline) for area in board.areas if area.layer == layer] for layer in OUTER.values()
    }
    longest = here = 0.0
    for x, y, layer, far in _points(nodes):
        covered = any(each.covers(np.array([x, y])) for each in planes[OUTER[layer]])
        here = 0.0 if covered else here + far
        longest = max(longest, here)
    return longest
