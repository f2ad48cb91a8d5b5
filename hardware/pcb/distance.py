# SPDX-License-Identifier: Apache-2.0
"""Measures the least distance between a board's copper of two classes, with all layers projected into one. In mm.

On a board without slots the path along a surface is straight, so the distance is valid for creepage, for clearance, and
for the insulation between layers: neither class is above or below the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from pcb.boardfile import BoardFile, Pad
from pcb.copper import Copper, apart
from pcb.making import COPPER

CELL = 5.0  # the limit of measurement: larger distances count as this


class Piece(NamedTuple):
    """A piece of copper; `net` is empty for a pad without a net."""

    net: str
    reference: str
    copper: Copper


@dataclass(frozen=True, slots=True)
class Least:
    """The least distance; `mm` is CELL if nothing is nearer."""

    mm: float
    where: str = ""


def pieces(board: BoardFile) -> list[Piece]:
    """Each piece of copper once for each of its layers, with planes as filled by KiCad."""
    found = [Piece(area.net, "", Copper(area.layer, area.outline)) for area in board.areas]
    for track in board.tracks:
        ends = np.array([[track.x1, track.y1], [track.x2, track.y2]])
        layers = (track.layer,) if track.layer else COPPER
        found += [Piece(track.net, "", Copper(layer, ends, track.width / 2)) for layer in layers]
    for pad in board.pads:
        layers = COPPER if pad.through else COPPER[:1]
        found += [Piece(pad.net, pad.reference, _copper(pad, layer)) for layer in layers]
    return found


def _copper(pad: Pad, layer: str) -> Copper:
    middle = np.array([pad.x, pad.y])
    if pad.circle:
        return Copper(layer, np.array([middle, middle]), pad.width / 2)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return Copper(layer, middle + corners * (pad.width / 2, pad.height / 2))


def least(found: Iterable[Piece], one: Callable[[Piece], bool], other: Callable[[Piece], bool]) -> Least:
    """The least distance from any piece of the first class to the second class."""
    every = list(found)
    grid = _Grid([each for each in every if other(each)])
    best = Least(CELL)
    for piece in every:
        if one(piece) and (near := grid.nearest(piece.copper)) and near[0] < best.mm:
            x, y = piece.copper.points[0]
            best = Least(near[0], f"{piece.net} to {near[1]} at {x:.2f} {y:.2f}")
    return best


class _Grid:
    """A spatial index: edges by the squares within CELL of them."""

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
        """Distance and net of the nearest copper; None if there is none within CELL."""
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
