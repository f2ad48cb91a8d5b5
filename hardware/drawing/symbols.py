# SPDX-License-Identifier: Apache-2.0
"""Shapes of parts: the positions of their pins, and their strokes.

Lengths in steps of 2.54 mm, KiCad's connection grid; x to the right, y down, as on the sheet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from drawing.glyphs import FIXED, TWO_ENDED, Point
from drawing.tables import Kind, Pin

OUT = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}
ANGLE = {"left": 0, "right": 180, "top": 270, "bottom": 90}  # of a pin: from its end towards the body


@dataclass(frozen=True, slots=True)
class PlacedPin:
    """A pin's end relative to the part's centre, and the length of its stroke."""

    pin: Pin
    at: tuple[int, int]
    length: float


@dataclass(frozen=True, slots=True)
class Shape:
    pins: tuple[PlacedPin, ...]
    strokes: tuple[tuple[Point, ...], ...]
    left: int
    right: int
    top: int
    bottom: int
    names_shown: bool


def shape(kind: Kind) -> Shape:
    pins = kind.pin_rows()
    if kind.symbol in TWO_ENDED:
        length, strokes = TWO_ENDED[kind.symbol]
        ends = (PlacedPin(pins[0], (-2, 0), length), PlacedPin(pins[1], (2, 0), length))
        return Shape(ends, strokes, 2, 2, 1, 1, names_shown=False)
    if kind.symbol in FIXED:
        glyph = FIXED[kind.symbol]
        rows = zip(pins, glyph.pins, strict=True)
        found = tuple(PlacedPin(replace(pin, side=side), at, length) for pin, (at, side, length) in rows)
        return Shape(found, glyph.strokes, *glyph.reach, names_shown=False)
    return _amp(pins) if kind.symbol == "amp" else _box(pins)


def _amp(pins: list[Pin]) -> Shape:
    """A triangle with the + input above the - input."""
    at = {"right": (4, 0), "top": (-1, -3), "bottom": (-1, 3)}
    ends = [PlacedPin(pin, at[pin.side], 1.0 if pin.side == "right" else 0.9) for pin in pins if pin.side != "left"]
    inputs = [pin for pin in pins if pin.side == "left"]
    ends += [PlacedPin(pin, (-4, y), 1.0) for pin, y in zip(inputs, (-1, 1), strict=True)]
    triangle: tuple[Point, ...] = ((-3, -3), (-3, 3), (3, 0), (-3, -3))
    plus: tuple[tuple[Point, ...], ...] = (((-2.6, -1), (-2, -1)), ((-2.3, -1.3), (-2.3, -0.7)))
    return Shape(tuple(ends), (triangle, *plus, ((-2.6, 1), (-2, 1))), 4, 4, 3, 3, names_shown=False)


def _box(pins: list[Pin]) -> Shape:
    sides = {side: [pin for pin in pins if pin.side == side] for side in OUT}
    deep = max(len(sides["left"]), len(sides["right"]), 1)
    text = max((len(pin.name) for pin in sides["left"]), default=0) + max(
        (len(pin.name) for pin in sides["right"]), default=0
    )
    half = max(2, -(-text // 4) + 1)
    top = deep // 2 + 1
    ends = [PlacedPin(pin, (-half - 1, i - deep // 2), 1.0) for i, pin in enumerate(sides["left"])]
    ends += [PlacedPin(pin, (half + 1, i - deep // 2), 1.0) for i, pin in enumerate(sides["right"])]
    bottom = deep - deep // 2
    corners: tuple[Point, ...] = ((-half, -top), (half, -top), (half, bottom), (-half, bottom), (-half, -top))
    return Shape(tuple(ends), (corners,), half + 1, half + 1, top, bottom, names_shown=True)
