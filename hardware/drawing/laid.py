# SPDX-License-Identifier: Apache-2.0
"""A laid-out sheet: the input of the writers of KiCad's file and of the picture. Lengths in steps of 2.54 mm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, floor

from drawing.glyphs import TWO_ENDED, Point
from drawing.placing import TURNS
from drawing.route import Segment, Spot
from drawing.symbols import OUT, Shape
from drawing.tables import Part, Pin

WIDE, HIGH = 0.48, 0.55  # size of a letter
Box = tuple[float, float, float, float]  # left, upper, right, lower


@dataclass(frozen=True, slots=True)
class Label:
    net: str
    x: int
    y: int
    side: str
    on_wire: bool = False


@dataclass(frozen=True, slots=True)
class Rail:
    """A supply symbol: GND below its spot, any other rail above."""

    net: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Heading:
    text: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Text:
    """A text, placed by its centre."""

    text: str
    x: float
    y: float

    def box(self) -> Box:
        half = len(self.text) * WIDE / 2
        return self.x - half, self.y - HIGH / 2, self.x + half, self.y + HIGH / 2


@dataclass(frozen=True, slots=True)
class Placed:
    part: Part
    shape: Shape
    x: int
    y: int
    turn: str

    def turned(self, point: Point) -> Point:
        a, b, c, d = TURNS[self.turn]
        return self.x + a * point[0] + b * point[1], self.y + c * point[0] + d * point[1]

    def ends(self) -> Iterator[tuple[Pin, Spot, str]]:
        """Each pin, its end point on the sheet, and the side on which it leaves."""
        a, b, c, d = TURNS[self.turn]
        for pin in self.shape.pins:
            x, y = self.turned(pin.at)
            dx, dy = OUT[pin.pin.side]
            out = (a * dx + b * dy, c * dx + d * dy)
            yield pin.pin, (round(x), round(y)), next(side for side, step in OUT.items() if step == out)

    def box(self) -> tuple[int, int, int, int]:
        """The bounding box with pins and texts."""
        boxes = [text.box() for text in self.texts()]
        xs = [x for _, (x, _), _ in self.ends()] + [edge for box in boxes for edge in (box[0], box[2])]
        ys = [y for _, (_, y), _ in self.ends()] + [edge for box in boxes for edge in (box[1], box[3])]
        return floor(min(xs)), floor(min(ys)), ceil(max(xs)), ceil(max(ys))

    def body(self) -> Box:
        points = [self.turned(point) for stroke in self.shape.strokes for point in stroke]
        xs, ys = zip(*points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def texts(self) -> list[Text]:
        """The reference without its sheet's number, and the value; a test pad shows only its reference."""
        kind, name, value = self.part.kind, self.part.reference(10), self.part.kind.value
        if kind.symbol == "pad":
            return [Text(name, self.x, self.y - 1.0)]
        upright = self.turn in ("down", "up")
        if self.turn == "up" and kind.symbol in ("nmos", "pmos"):  # the gate is below
            return [Text(name, self.x, self.y - 1.8), Text(value, self.x, self.y - 1.0)]
        if self.turn == "down" and kind.symbol in ("nmos", "pmos"):  # the gate is above
            return [Text(name, self.x, self.y + 1.0), Text(value, self.x, self.y + 1.8)]
        if kind.symbol == "amp":
            return [self._beside(name, 0.2, -2.4), self._beside(value, 0.2, 2.4)]
        if upright or kind.symbol in ("nmos", "pmos", "clamp"):
            return [self._beside(name, 1.1, -0.6), self._beside(value, 1.1, 0.6)]
        above, below = (1.2, 1.2) if kind.symbol in TWO_ENDED else (self.shape.top + 0.7, self.shape.bottom + 0.7)
        names = [Text(name, self.x, self.y - above)] if kind.fitted else []
        return [*names, Text(value, self.x, self.y + (below if kind.fitted else -above))]

    def _beside(self, text: str, x: float, y: float) -> Text:
        return Text(text, self.x + x + len(text) * WIDE / 2, self.y + y)


@dataclass(slots=True)
class Layout:
    paper: str = "A4"
    placed: list[Placed] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    junctions: list[Spot] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    rails: list[Rail] = field(default_factory=list)
    open_pins: list[Spot] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)
    anchors: list[tuple[str, int, int, str]] = field(default_factory=list)
