# SPDX-License-Identifier: Apache-2.0
"""Parses KiCad's own picture of a sheet: each text with the box of its strokes, and all other lines. Lengths in mm.

KiCad draws texts as strokes, so the positions of texts are KiCad's own and not estimates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

from drawn_sheets import Box, Part, Point, around, meet

SVG = "{http://www.w3.org/2000/svg}"
SHAPES = (f"{SVG}path", f"{SVG}circle", f"{SVG}rect")
NUMBER = re.compile(r"-?\d+\.\d+")
PEN_MM = 0.1524  # of wires, pins, bodies and texts alike
TOUCH_MM = 0.05  # a name's p and g reach down to its wire; a smaller distance means that it lies on the wire
Line = tuple[Point, Point]


@dataclass(frozen=True)
class Text:
    text: str
    box: Box


@dataclass(frozen=True)
class Picture:
    texts: tuple[Text, ...]
    lines: tuple[Line, ...]


def picture(path: Path) -> Picture:
    """Reads a picture; a text drawn twice in one place counts once."""
    texts: dict[Text, None] = {}
    lines: dict[Line, None] = {}
    for node in _drawn(ElementTree.parse(path).getroot()):
        if node.tag == f"{SVG}g":
            strokes = [xy for each in node.iter(f"{SVG}path") for xy in _points(each)]
            if strokes:
                texts[Text(node.findtext(f"{SVG}desc", ""), around(strokes))] = None
        else:
            lines |= dict.fromkeys(pair for pair in pairwise(_outline(node)) if pair[0] != pair[1])
    return Picture(tuple(texts), tuple(lines))


def _drawn(node: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Groups that are a text, and shapes outside groups; without the paper."""
    for child in node:
        paper = child.tag == f"{SVG}rect" and child.get("x") == "0.000000"
        if child.get("class") == "stroked-text" or (child.tag in SHAPES and not paper):
            yield child
        elif child.tag == f"{SVG}g":
            yield from _drawn(child)


def _points(path: ElementTree.Element) -> list[Point]:
    numbers = [float(number) for number in NUMBER.findall(path.get("d", ""))]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _outline(node: ElementTree.Element) -> list[Point]:
    """The outline of a shape; a circle, the dot of a junction, is replaced by its horizontal diameter."""
    if node.tag == f"{SVG}path":
        points = _points(node)
        return [*points, points[0]] if "Z" in node.get("d", "") else points
    if node.tag == f"{SVG}circle":
        x, y, radius = (float(node.get(key, "")) for key in ("cx", "cy", "r"))
        return [(x - radius, y), (x + radius, y)]
    x, y, wide, high = (float(node.get(key, "")) for key in ("x", "y", "width", "height"))
    return [(x, y), (x + wide, y), (x + wide, y + high), (x, y + high), (x, y)]


def overlapping(found: Iterable[Text], least: float = 0.1) -> list[tuple[str, str]]:
    found = sorted(found, key=lambda text: text.box)
    pairs = []
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            if other.box[0] > one.box[2]:
                break
            if meet(one.box, other.box, least):
                pairs.append((one.text, other.text))
    return pairs


def on_lines(drawn: Picture, names: set[str]) -> list[tuple[str, Line]]:
    """Each text that touches a line, with the line. `names` lie on the wires that they name, and may touch them."""
    found = []
    for text in drawn.texts:
        gap = TOUCH_MM if text.text in names else PEN_MM
        box = (text.box[0] - gap, text.box[1] - gap, text.box[2] + gap, text.box[3] + gap)
        found += [(text.text, line) for line in drawn.lines if crosses(line, box)]
    return found


def crosses(line: Line, box: Box) -> bool:
    """Whether a part of the line is within the box."""
    start, end = 0.0, 1.0
    for axis in (0, 1):
        at, along = line[0][axis], line[1][axis] - line[0][axis]
        low, high = box[axis] - at, box[axis + 2] - at
        if along == 0:
            if not low < 0 < high:
                return False
        else:
            first, last = sorted((low / along, high / along))
            start, end = max(start, first), min(end, last)
    return start < end


def foreign(drawn: Picture, part: Part) -> list[str]:
    """Texts within the part's outline, except the names of its pins."""
    within = [text.text for text in drawn.texts if any(_inside(text.box, stroke) for stroke in part.strokes)]
    for name in part.texts:
        if name in within:
            within.remove(name)
    return within


def _inside(box: Box, stroke: tuple[Point, ...]) -> bool:
    """Whether the middle of the box is inside, by the crossings of a ray to the right; an open stroke has no inside."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    sides = [
        (x2 - x1) * (y - y1) / (y2 - y1) + x1 > x for (x1, y1), (x2, y2) in pairwise(stroke) if (y1 > y) != (y2 > y)
    ]
    return stroke[0] == stroke[-1] and sum(sides) % 2 == 1
