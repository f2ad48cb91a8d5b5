# SPDX-License-Identifier: Apache-2.0
"""Shapes of copper, and a test whether two of them touch. Lengths in mm.

A shape is a line drawn by a round pen, or a filled outline. A circle is a line of length 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
NEAR = 1e-4  # below the resolution of a Gerber file


@dataclass(frozen=True, slots=True, eq=False)
class Copper:
    """A shape. `points`: the path of a pen of `radius`; a filled outline has radius 0 and at least three points."""

    layer: str
    points: Points
    radius: float = 0.0

    @property
    def filled(self) -> bool:
        return self.radius == 0

    def edges(self) -> tuple[Points, Points]:
        """Start and end points of its edges."""
        if self.filled:
            return self.points, np.roll(self.points, -1, axis=0)
        return self.points[:-1], self.points[1:]

    def bounds(self) -> tuple[float, float, float, float]:
        low, high = self.points.min(axis=0) - self.radius, self.points.max(axis=0) + self.radius
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def covers(self, point: Points) -> bool:
        if self.filled:
            return _inside(self.points, point)
        begins, ends = self.edges()
        return bool(from_point(point, begins, ends).min() <= self.radius + NEAR)


def touch(one: Copper, two: Copper) -> bool:
    """Whether two shapes of one layer touch; the caller has already compared their bounds."""
    if (one.filled and _inside(one.points, two.points[0])) or (two.filled and _inside(two.points, one.points[0])):
        return True
    few, many = sorted((one, two), key=lambda each: len(each.points))
    reach = one.radius + two.radius + NEAR
    begins, ends = _within(few, many.radius + NEAR, *many.edges())
    if not len(begins):
        return False
    pieces = zip(*few.edges(), strict=True)
    return any(apart(begin, end, begins, ends).min() <= reach for begin, end in pieces)


def _within(few: Copper, reach: float, begins: Points, ends: Points) -> tuple[Points, Points]:
    """The edges that may be within reach: a plane has tens of thousands."""
    left, low, right, high = few.bounds()
    least, most = np.minimum(begins, ends), np.maximum(begins, ends)
    near = (most >= (left - reach, low - reach)).all(axis=1) & (least <= (right + reach, high + reach)).all(axis=1)
    return begins[near], ends[near]


def _inside(outline: Points, point: Points) -> bool:
    """Whether the point is inside, by the even-odd rule: a plane's holes, cut into its outline, are not copper."""
    x1, y1 = outline[:, 0], outline[:, 1]
    x2, y2 = np.roll(x1, -1), np.roll(y1, -1)
    across = (y1 > point[1]) != (y2 > point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        where = (x2 - x1) * (point[1] - y1) / (y2 - y1) + x1
    return bool(np.count_nonzero(across & (point[0] < where)) % 2)


def from_point(point: Points, begins: Points, ends: Points) -> Points:
    """Distances from a point to many edges; from points in a column, one row for each."""
    way = ends - begins
    long = (way**2).sum(axis=-1)
    part = ((point - begins) * way).sum(axis=-1) / np.where(long > 0, long, 1)
    off = point - begins - way * np.clip(part, 0, 1)[..., None]
    return np.asarray(np.hypot(off[..., 0], off[..., 1]), dtype=np.float64)


def apart(begin: Points, end: Points, begins: Points, ends: Points) -> Points:
    """Distances from one edge to each of many."""
    way = end - begin
    long = float(way @ way) or 1.0
    nearest = [from_point(begin, begins, ends), from_point(end, begins, ends)]
    for points in (begins, ends):
        part = np.clip(((points - begin) @ way) / long, 0, 1)
        nearest.append(np.hypot(*(points - (begin + part[:, None] * way)).T))
    away = np.min(nearest, axis=0)
    return np.asarray(np.where(_crosses(begin, end, begins, ends), 0, away), dtype=np.float64)


def _crosses(begin: Points, end: Points, begins: Points, ends: Points) -> NDArray[np.bool_]:
    def side(a: Points, b: Points, point: Points) -> Points:
        return (b[..., 0] - a[..., 0]) * (point[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (
            point[..., 0] - a[..., 0]
        )

    one = side(begin, end, begins) * side(begin, end, ends) < 0
    two = side(begins, ends, begin) * side(begins, ends, end) < 0
    return np.asarray(one & two, dtype=np.bool_)
