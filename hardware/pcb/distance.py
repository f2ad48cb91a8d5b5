# SPDX-License-Identifier: Apache-2.0
"""How near a board's copper of one class comes to that of another, all layers seen as one. In mm.

On a board without slots the way along a surface is the straight one, so what holds here holds for creepage, for air,
and for the insulation between layers: nothing lies over or under the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from pcb.copper import Copper, Points, apart
from pcb.making import COPPER

CELL = 5.0  # what is farther is not measured: it is at least so far
NUMBERS = r"([-\d.]+) ([-\d.]+)"
SEGMENT = re.compile(
    rf'\n\t\(segment\s+\(start {NUMBERS}\)\s+\(end {NUMBERS}\)\s+\(width (\S+)\)\s+\(layer "(.+?)"\)\s+\(net (\d+)\)'
)
VIA = re.compile(rf"\n\t\(via\s+\(at {NUMBERS}\)\s+\(size (\S+)\)[^\n]*\n(?:\t\t[^\n]*\n)*?\t\t\(net (\d+)\)")
PLACED = re.compile(rf"\n\t\t\(at {NUMBERS} ?([-\d.]*)\)")
PAD = re.compile(
    rf'\(pad "([^"]*)" (\w+) (\w+)\s+\(at {NUMBERS} ?([-\d.]*)\)\s+\(size {NUMBERS}\)(.*?)\n\t\t\)', re.DOTALL
)
FILLED = re.compile(r'\(filled_polygon\s+\(layer "(.+?)"\)\s+\(pts(.*?)\n\t\t\t\)', re.DOTALL)


class Piece(NamedTuple):
    """`net` is empty for a pad of none."""

    net: str
    reference: str
    copper: Copper


@dataclass(frozen=True, slots=True)
class Least:
    """`mm` is CELL where nothing is nearer."""

    mm: float
    where: str = ""


def pieces(text: str) -> list[Piece]:
    """Each once a layer. Planes as KiCad has filled them."""
    nets = dict(re.findall(r'\n\t\(net (\d+) "([^"]*)"\)', text))
    found = []
    for x1, y1, x2, y2, width, layer, net in SEGMENT.findall(text):
        ends = np.array([[x1, y1], [x2, y2]], dtype=np.float64)
        found.append(Piece(nets[net], "", Copper(layer, ends, float(width) / 2)))
    for x, y, size, net in VIA.findall(text):
        spot = np.array([[x, y], [x, y]], dtype=np.float64)
        found += [Piece(nets[net], "", Copper(layer, spot, float(size) / 2)) for layer in COPPER]
    for zone in text.split("\n\t(zone\n")[1:]:
        (net,) = re.findall(r"\(net (\d+)\)", zone)[:1]
        for layer, points in FILLED.findall(zone):
            outline = np.array(re.findall(rf"\(xy {NUMBERS}\)", points), dtype=np.float64)
            found.append(Piece(nets[net], "", Copper(layer, outline)))
    for footprint in text.split('\n\t(footprint "')[1:]:
        found += _pads(footprint)
    return found


def _pads(footprint: str) -> Iterator[Piece]:
    named, placed = re.search(r'"Reference" "(\w+)"', footprint), PLACED.search(footprint)
    assert named
    assert placed
    x, y, turned = float(placed[1]), float(placed[2]), np.radians(float(placed[3] or 0))
    for _, form, shape, across, down, angle, width, height, rest in PAD.findall(footprint):
        if form == "np_thru_hole":
            continue
        net = re.search(r'\(net \d+ "([^"]*)"\)', rest)
        right, below = float(across), float(down)
        middle = np.array(
            [
                x + right * np.cos(turned) + below * np.sin(turned),
                y - right * np.sin(turned) + below * np.cos(turned),
            ]
        )
        half = np.array([float(width), float(height)][:: -1 if float(angle or 0) % 180 else 1]) / 2
        for layer in COPPER if '"*.Cu"' in rest else COPPER[:1]:
            yield Piece(net[1] if net else "", named[1], _pad(layer, shape, middle, half))


def _pad(layer: str, shape: str, middle: Points, half: Points) -> Copper:
    """An oval one as the rectangle around it."""
    if shape == "circle":
        return Copper(layer, np.array([middle, middle]), float(half[0]))
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return Copper(layer, middle + corners * half)


def least(found: Iterable[Piece], one: Callable[[Piece], bool], other: Callable[[Piece], bool]) -> Least:
    """From each of the first to the nearest of the second."""
    every = list(found)
    grid = _Grid([each for each in every if other(each)])
    best = Least(CELL)
    for piece in every:
        if one(piece) and (near := grid.nearest(piece.copper)) and near[0] < best.mm:
            x, y = piece.copper.points[0]
            best = Least(near[0], f"{piece.net} to {near[1]} at {x:.2f} {y:.2f}")
    return best


class _Grid:
    """Edges by the squares that they may be within CELL of."""

    def __init__(self, found: list[Piece]) -> None:
        self._names: list[str] = []
        begins, ends, radii = [], [], []
        for piece in found:
            from_, to = piece.copper.edges()
            begins.append(from_)
            ends.append(to)
            radii.append(np.full(len(from_), piece.copper.radius))
            self._names += [piece.net] * len(from_)
        self._begins = np.concatenate([np.empty((0, 2)), *begins])
        self._ends = np.concatenate([np.empty((0, 2)), *ends])
        self._radii = np.concatenate([np.empty(0), *radii])
        self._squares: dict[tuple[int, int], list[int]] = {}
        reach = self._radii[:, None] + CELL
        low = np.floor((np.minimum(self._begins, self._ends) - reach) / CELL).astype(int)
        high = np.floor((np.maximum(self._begins, self._ends) + reach) / CELL).astype(int)
        for i, ((left, top), (right, bottom)) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
            for square in product(range(left, right + 1), range(top, bottom + 1)):
                self._squares.setdefault(square, []).append(i)

    def nearest(self, copper: Copper) -> tuple[float, str] | None:
        """None where nothing is within CELL."""
        best = None
        for begin, end in zip(*copper.edges(), strict=True):
            low, high = np.minimum(begin, end) // CELL, np.maximum(begin, end) // CELL
            squares = product(range(int(low[0]), int(high[0]) + 1), range(int(low[1]), int(high[1]) + 1))
            near = sorted({i for square in squares for i in self._squares.get(square, ())})
            if near:
                away = apart(begin, end, self._begins[near], self._ends[near]) - self._radii[near] - copper.radius
                i = int(away.argmin())
                if best is None or away[i] < best[0]:
                    best = (float(away[i]), self._names[near[i]])
        return best
