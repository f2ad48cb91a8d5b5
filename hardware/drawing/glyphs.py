# SPDX-License-Identifier: Apache-2.0
"""Strokes of the parts that have their own symbol, in steps of 2.54 mm, y down."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

Point = tuple[float, float]
Strokes = tuple[tuple[Point, ...], ...]

HALF_TURN = ((0, 0), (0.07, -0.28), (0.25, -0.4), (0.43, -0.28), (0.5, 0))
HALF_TURNS = tuple((round(x + n / 2 - 1, 2), y) for n in range(4) for x, y in HALF_TURN)
TWO_ENDED: dict[str, tuple[float, Strokes]] = {  # length of a pin, strokes
    "R": (1.0, (((-1, -0.4), (1, -0.4), (1, 0.4), (-1, 0.4), (-1, -0.4)),)),
    "F": (1.0, (((-1, -0.3), (1, -0.3), (1, 0.3), (-1, 0.3), (-1, -0.3)), ((-1, 0), (1, 0)))),
    "L": (1.0, (HALF_TURNS,)),
    "C": (1.75, (((-0.25, -0.8), (-0.25, 0.8)), ((0.25, -0.8), (0.25, 0.8)))),
    "D": (1.4, (((-0.6, -0.6), (-0.6, 0.6), (0.6, 0), (-0.6, -0.6)), ((0.6, -0.6), (0.6, 0.6)))),
    "TVS": (1.4, (((-0.6, -0.6), (-0.6, 0.6), (0.6, -0.6), (0.6, 0.6), (-0.6, -0.6)),)),
}


@dataclass(frozen=True, slots=True)
class Glyph:
    """A symbol. `pins`, in the order of parts.toml: end point, side and length. `reach`: left, right, top, bottom."""

    pins: tuple[tuple[tuple[int, int], str, float], ...]
    strokes: Strokes
    reach: tuple[int, int, int, int]


def _winding(x: float, towards: int) -> tuple[Point, ...]:
    """Four half circles from y -2 to 2."""
    turns = ((-1.5 + turn, pi * step / 6) for turn in range(4) for step in range(7))
    return tuple((round(x + towards * 0.5 * sin(angle), 2), round(y - 0.5 * cos(angle), 2)) for y, angle in turns)


def _relay(arms: Strokes) -> Glyph:
    """Two contacts from left to right above their coil, and the dashed link between coil and contacts."""
    coil: Strokes = (((-1, 2.5), (1, 2.5), (1, 3.5), (-1, 3.5), (-1, 2.5)), ((-0.5, 3.5), (0.5, 2.5)))
    dashes: Strokes = tuple(((0, y), (0, y + 0.5)) for y in (-3.1, -2.2, -1.3, 0.4, 1.3, 2.0))
    rows = ((3, 2.0), (-3, 2.0), (0, 2.0))
    pins = tuple(((x, y), side, length) for y, length in rows for x, side in ((-3, "left"), (3, "right")))
    return Glyph(pins, (*coil, *dashes, *arms), (3, 3, 4, 4))


def _arms(rise: float) -> Strokes:
    """The contact arms from pole to free end, which is `rise` away; an arm of a closed contact touches its stop."""
    arms: Strokes = tuple(((-1, y), (1.1, y - rise)) for y in (-3, 0))
    return (*arms, *(((1, y), (1, y - 0.4)) for y in (-3, 0))) if rise < 0.5 else arms


def _transistor(arrow: tuple[Point, ...]) -> Glyph:
    """A transistor: gate on the left, drain on top, source below."""
    channel: Strokes = tuple(((-1.1, y - 0.25), (-1.1, y + 0.25)) for y in (-0.6, 0.0, 0.6))
    ends: Strokes = (((-1.1, -0.6), (0, -0.6)), ((-1.1, 0.6), (0, 0.6)), ((-1.1, 0), (0, 0), (0, 0.6)))
    pins = (((-3, 0), "left", 1.6), ((0, -2), "top", 1.4), ((0, 2), "bottom", 1.4))
    return Glyph(pins, (((-1.4, -0.7), (-1.4, 0.7)), *channel, *ends, arrow), (3, 1, 2, 2))


def _circle(radius: float) -> tuple[Point, ...]:
    angles = (pi * step / 6 for step in range(13))
    return tuple((round(radius * sin(angle), 2), round(radius * cos(angle), 2)) for angle in angles)


FIXED: dict[str, Glyph] = {
    "flag": Glyph((((0, 1), "bottom", 0.5),), (((-0.5, 0), (0.5, 0), (0, 0.5), (-0.5, 0)),), (1, 1, 1, 1)),
    "pad": Glyph((((0, 1), "bottom", 0.6),), (_circle(0.4),), (1, 1, 1, 1)),
    "relay": _relay(_arms(0.8)),
    "relay_closed": _relay(_arms(0.3)),
    "transformer": Glyph(
        (((-3, -2), "left", 2), ((-3, 2), "left", 2), ((3, -2), "right", 2), ((3, 2), "right", 2)),
        (_winding(-1, 1), _winding(1, -1), ((-0.15, -2), (-0.15, 2)), ((0.15, -2), (0.15, 2))),
        (3, 3, 2, 2),
    ),
    "nmos": _transistor(((-0.7, -0.25), (-1.1, 0), (-0.7, 0.25))),
    "pmos": _transistor(((-0.4, -0.25), (0, 0), (-0.4, 0.25))),
    "clamp": Glyph(  # two diodes: from the lower rail to the middle, and from the middle to the upper rail
        (((-2, 0), "left", 2), ((0, -3), "top", 1.4), ((0, 3), "bottom", 1.4)),
        (
            ((-0.5, -0.7), (0.5, -0.7), (0, -1.6), (-0.5, -0.7)),
            ((-0.5, -1.6), (0.5, -1.6)),
            ((-0.5, 1.6), (0.5, 1.6), (0, 0.7), (-0.5, 1.6)),
            ((-0.5, 0.7), (0.5, 0.7)),
            ((0, -0.7), (0, 0.7)),
        ),
        (2, 1, 3, 3),
    ),
}
