# SPDX-License-Identifier: Apache-2.0
"""Reads the copper of a KiCad 9 .kicad_pcb file. In mm from the sheet's corner, y down.

It parses KiCad's indented lines, not a tree: nearly all of the card's 8 MB are coordinates of outlines.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import cos, radians, sin
from typing import NamedTuple

import numpy as np

from linetap_core.errors import BadInput
from pcb.copper import Points

KINDS = "segment|via|arc|zone|footprint"
BEGINS = re.compile(rf"\(({KINDS})\s")
ITEM = re.compile(rf"\n\t\(({KINDS})[ \n](.*?)\n\t\)", re.DOTALL)
FIELD = re.compile(r"\((\w+) ([^()]+)\)")
NET = re.compile(r'\n\t\(net (\d+) "([^"]*)"\)')
REFERENCE = re.compile(r'\(property "Reference" "([^"]+)"')
PLACED = re.compile(r"\n\t\t\(at ([^()]+)\)")
ON_NET = re.compile(r'\(net \d+ "([^"]*)"\)')
PAD = re.compile(r'\n(\t+)\(pad "([^"]*)" (\w+) (\w+)\n(.*?)\n\1\)', re.DOTALL)
FILLED = re.compile(r'\(filled_polygon\s+\(layer "(.+?)"\)\s+(?:\(island\)\s+)?\(pts(.*?)\n\t\t\t\)', re.DOTALL)


class Drawn(NamedTuple):
    """A track; if `layer` is empty a via, whose end is its beginning and whose width is that of its copper."""

    net: str
    layer: str
    x1: float
    y1: float
    x2: float
    y2: float
    width: float


class Pad(NamedTuple):
    """A pad of copper. `net` is empty for a pad without a net; `width` is horizontal on the board. An oval is replaced
    by its bounding rectangle.
    """

    reference: str
    number: str
    net: str
    x: float
    y: float
    width: float
    height: float
    circle: bool
    through: bool


class Area(NamedTuple):
    """A piece of a plane as filled by KiCad; its holes are cut into the outline."""

    net: str
    layer: str
    outline: Points


@dataclass(frozen=True, slots=True)
class BoardFile:
    """The copper items in the file's order."""

    parts: list[str] = field(default_factory=list)
    tracks: list[Drawn] = field(default_factory=list)
    pads: list[Pad] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)


def read(text: str) -> BoardFile:
    """Reads the copper. BadInput if an item is not in KiCad 9's form: no item is silently skipped."""
    board = BoardFile()
    for _, item in items(text):
        board.parts.extend(item.parts)
        board.tracks.extend(item.tracks)
        board.pads.extend(item.pads)
        board.areas.extend(item.areas)
    return board


def items(text: str) -> Iterator[tuple[re.Match[str], BoardFile]]:
    """Each item's position in the file, and its copper. BadInput as `read`."""
    nets, found = dict(NET.findall(text)), list(ITEM.finditer(text))
    asked, read_as = Counter(BEGINS.findall(text)), Counter(item[1] for item in found)
    for kind, many in asked.items():
        if many != read_as[kind]:
            raise BadInput(f"board file: {read_as[kind]} of {many} ({kind} stand where KiCad 9 writes them")
    for item in found:
        kind, body = item.groups()
        one = BoardFile()
        try:
            if kind == "zone":
                one.areas.extend(_areas(body, nets))
            elif kind == "footprint":
                reference = REFERENCE.findall(body)[0]
                one.parts.append(reference)
                one.pads.extend(_pads(body, reference))
            else:
                one.tracks.append(_drawn(kind, dict(FIELD.findall(body)), nets))
        except (LookupError, ValueError, TypeError):
            raise BadInput(f"board file: not as KiCad 9 writes it: ({kind} {' '.join(body.split())[:80]}") from None
        yield item, one


def pad_fields(text: str) -> Iterator[tuple[str, str, str, dict[str, str]]]:
    """Number, form, shape and further fields of each pad of a footprint's text, on a board or in a library.

    Its `net` is only the name, which may contain brackets.
    """
    for _, number, form, shape, body in PAD.findall(text):
        (net,) = ON_NET.findall(body) if "(net " in body else [""]
        yield number, form, shape, dict(FIELD.findall(body)) | {"net": net}


def _drawn(kind: str, fields: dict[str, str], nets: dict[str, str]) -> Drawn:
    """A track or via. BadInput for an arc (`mid`): our routers draw none."""
    if kind == "via":
        x, y = _numbers(fields["at"])
        return Drawn(nets[fields["net"]], "", x, y, x, y, float(fields["size"]))
    if "mid" in fields:
        raise ValueError(kind)
    (x1, y1), (x2, y2) = _numbers(fields["start"]), _numbers(fields["end"])
    return Drawn(nets[fields["net"]], fields["layer"].strip('"'), x1, y1, x2, y2, float(fields["width"]))


def _areas(body: str, nets: dict[str, str]) -> Iterator[Area]:
    filled = FILLED.findall(body)
    if len(filled) != body.count("(filled_polygon"):
        raise ValueError(body)
    for layer, points in filled:
        outline = np.array(_numbers(points.replace("(xy ", "").replace(")", " "))).reshape(-1, 2)
        yield Area(nets[dict(FIELD.findall(body[:200]))["net"]], layer, outline)


def _pads(body: str, reference: str) -> Iterator[Pad]:
    """The pads of a footprint on the board. KiCad's angles are counter-clockwise with y down; a pad's own angle is the
    board's.
    """
    x, y, *turned = _numbers(PLACED.findall(body)[0])
    across, down = (cos(radians(turned[0])), sin(radians(turned[0]))) if turned else (1.0, 0.0)
    for number, form, shape, fields in pad_fields(body):
        if form == "np_thru_hole" or ".Cu" not in fields["layers"]:
            continue
        right, below, *angle = _numbers(fields["at"])
        size = _numbers(fields["size"])
        width, height = size[::-1] if angle and angle[0] % 180 else size
        middle = x + right * across + below * down, y - right * down + below * across
        through = '"*.Cu"' in fields["layers"]
        yield Pad(reference, number, fields["net"], *middle, width, height, shape == "circle", through)


def _numbers(words: str) -> list[float]:
    return [float(word) for word in words.split()]
