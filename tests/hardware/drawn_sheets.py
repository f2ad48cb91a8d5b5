# SPDX-License-Identifier: Apache-2.0
"""Reads the committed .kicad_sch files independently of the programs that drew them. Lengths in mm, y down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

STEP_MM = 2.54
WORDS = re.compile(r'"(?:[^"\\]|\\.)*"|[()]|[^\s()"]+')
Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, upper, right, lower
Node = list[Any]


@dataclass(frozen=True)
class Pin:
    name: str
    type: str
    at: Point


@dataclass(frozen=True)
class Part:
    """A symbol on a sheet; `texts` are those that KiCad writes within its outline, the names of its pins."""

    reference: str
    pins: tuple[Pin, ...]
    strokes: tuple[tuple[Point, ...], ...]
    texts: tuple[str, ...]

    def body(self) -> Box:
        return around([each for stroke in self.strokes for each in stroke])


def read(path: Path) -> Node:
    stack: list[Node] = [[]]
    for word in WORDS.findall(path.read_text()):
        if word == "(":
            stack.append([])
        elif word == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(word.strip('"'))
    root: Node = stack[0][0]
    return root


def each(node: Node, name: str) -> Iterator[Node]:
    return (child for child in node if isinstance(child, list) and child and child[0] == name)


def point(node: Node, name: str) -> Point:
    found = next(each(node, name))
    return float(found[1]), float(found[2])


def wires(sheet: Node) -> list[tuple[Point, Point]]:
    found = []
    for wire in each(sheet, "wire"):
        first, second = ((float(xy[1]), float(xy[2])) for xy in each(next(each(wire, "pts")), "xy"))
        found.append((first, second))
    return found


def labels(sheet: Node) -> list[str]:
    return [str(label[1]) for kind in ("label", "hierarchical_label", "global_label") for label in each(sheet, kind)]


def parts(sheet: Node) -> Iterator[Part]:
    library = {symbol[1]: symbol for symbols in each(sheet, "lib_symbols") for symbol in each(symbols, "symbol")}
    for part in each(sheet, "symbol"):
        symbol = library[next(each(part, "lib_id"))[1]]
        place = next(each(part, "at"))
        mirrored = any(mirror[1] == "y" for mirror in each(part, "mirror"))
        inner = list(each(symbol, "symbol"))
        strokes = [
            tuple(_placed((float(xy[1]), float(xy[2])), place, mirrored) for xy in each(next(each(line, "pts")), "xy"))
            for group in inner
            for line in each(group, "polyline")
        ]
        pins = [
            Pin(str(next(each(pin, "name"))[1]), str(pin[1]), _placed(point(pin, "at"), place, mirrored))
            for group in inner
            for pin in each(group, "pin")
        ]
        hidden = any(each(next(each(symbol, "pin_names")), "hide"))
        reference = next(prop[2] for prop in each(part, "property") if prop[1] == "Reference")
        yield Part(reference, tuple(pins), tuple(strokes), () if hidden else tuple(pin.name for pin in pins))


def frames(root: Node) -> Iterator[Part]:
    """The boxes of sheets."""
    for sheet in each(root, "sheet"):
        (x, y), (wide, high) = point(sheet, "at"), point(sheet, "size")
        corners = ((x, y), (x + wide, y), (x + wide, y + high), (x, y + high), (x, y))
        pins = tuple(Pin(pin[1], pin[2], point(pin, "at")) for pin in each(sheet, "pin"))
        name = next(prop[2] for prop in each(sheet, "property") if prop[1] == "Sheetname")
        yield Part(name, pins, (corners,), tuple(pin.name for pin in pins))


def _placed(stroke: Point, place: Node, mirrored: bool) -> Point:
    """A point of a symbol on the sheet: KiCad rotates counter-clockwise with y up, then mirrors."""
    x, y = stroke
    for _ in range(round(float(place[3]) / 90)):
        x, y = -y, x
    return float(place[1]) + (-x if mirrored else x), float(place[2]) - y


def around(points: list[Point]) -> Box:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def meet(one: Box, other: Box, least: float) -> bool:
    """Whether they overlap by more than `least` mm in both directions."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    return across > least and min(one[3], other[3]) - max(one[1], other[1]) > least


def collinear_overlaps(sheet: Node) -> list[tuple[Any, Any]]:
    """Wires that lie on one another, and so are indistinguishable."""
    lying = sorted((min(pair)[1], min(pair)[0], max(pair)[0]) for pair in wires(sheet) if pair[0][1] == pair[1][1])
    standing = sorted((min(pair)[0], min(pair)[1], max(pair)[1]) for pair in wires(sheet) if pair[0][0] == pair[1][0])
    return [
        (one, other)
        for group in (lying, standing)
        for one, other in pairwise(group)
        if one[0] == other[0] and other[1] < one[2]
    ]
