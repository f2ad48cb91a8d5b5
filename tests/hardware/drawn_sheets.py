# SPDX-License-Identifier: Apache-2.0
"""Reads the committed .kicad_sch files, and KiCad's own picture of them, without the programs that drew them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

STEP_MM = 2.54
WORDS = re.compile(r'"(?:[^"\\]|\\.)*"|[()]|[^\s()"]+')
SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]  # left, upper, right, lower; mm
Node = list[Any]


@dataclass(frozen=True)
class Text:
    text: str
    box: Box


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


def point(node: Node, name: str) -> tuple[float, float]:
    found = next(each(node, name))
    return float(found[1]), float(found[2])


def wires(sheet: Node) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    found = []
    for wire in each(sheet, "wire"):
        first, second = ((float(xy[1]), float(xy[2])) for xy in each(next(each(wire, "pts")), "xy"))
        found.append((first, second))
    return found


def labels(sheet: Node) -> list[str]:
    return [str(label[1]) for kind in ("label", "hierarchical_label", "global_label") for label in each(sheet, kind)]


def bodies(sheet: Node) -> Iterator[tuple[str, Box]]:
    """Reference and outline of each part, without its pins."""
    library = {symbol[1]: symbol for symbol in each(next(each(sheet, "lib_symbols")), "symbol")}
    for part in each(sheet, "symbol"):
        place = next(each(part, "at"))
        mirrored = any(mirror[1] == "y" for mirror in each(part, "mirror"))
        strokes = [
            (float(xy[1]), float(xy[2]))
            for inner in each(library[next(each(part, "lib_id"))[1]], "symbol")
            for line in each(inner, "polyline")
            for xy in each(next(each(line, "pts")), "xy")
        ]
        at = [_placed(stroke, place, mirrored) for stroke in strokes]
        name = next(prop[2] for prop in each(part, "property") if prop[1] == "Reference")
        yield name, _around(at)


def _placed(stroke: tuple[float, float], place: Node, mirrored: bool) -> tuple[float, float]:
    """KiCad turns against the clock with y up, then mirrors."""
    x, y = stroke
    for _ in range(round(float(place[3]) / 90)):
        x, y = -y, x
    return float(place[1]) + (-x if mirrored else x), float(place[2]) - y


def texts(picture: Path) -> list[Text]:
    """What KiCad wrote on a sheet, with the box of its strokes. It draws some twice in one place."""
    found: dict[Text, None] = {}
    for group in ElementTree.parse(picture).iter(f"{SVG}g"):
        if group.get("class") == "stroked-text":
            numbers = [
                float(number)
                for path in group.iter(f"{SVG}path")
                for number in re.findall(r"-?\d+\.\d+", path.get("d", ""))
            ]
            if numbers:
                found[
                    Text(group.findtext(f"{SVG}desc", ""), _around(list(zip(numbers[::2], numbers[1::2], strict=True))))
                ] = None
    return list(found)


def _around(points: list[tuple[float, float]]) -> Box:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def meet(one: Box, other: Box, least: float) -> bool:
    """By more than `least` mm in both directions."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    return across > least and min(one[3], other[3]) - max(one[1], other[1]) > least


def overlapping(found: list[Text], least: float = 0.1) -> list[tuple[str, str]]:
    found = sorted(found, key=lambda text: text.box)
    pairs = []
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            if other.box[0] > one.box[2]:
                break
            if meet(one.box, other.box, least):
                pairs.append((one.text, other.text))
    return pairs


def collinear_overlaps(sheet: Node) -> list[tuple[Any, Any]]:
    """Wires that lie on one another: they cannot be told apart."""
    lying = sorted((min(pair)[1], min(pair)[0], max(pair)[0]) for pair in wires(sheet) if pair[0][1] == pair[1][1])
    standing = sorted((min(pair)[0], min(pair)[1], max(pair)[1]) for pair in wires(sheet) if pair[0][0] == pair[1][0])
    return [
        (one, other)
        for group in (lying, standing)
        for one, other in pairwise(group)
        if one[0] == other[0] and other[1] < one[2]
    ]
