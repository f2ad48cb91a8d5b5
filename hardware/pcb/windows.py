# SPDX-License-Identifier: Apache-2.0
"""Cuts out of a board the surroundings of its pairs, so that KiCad's creepage check of eight lines terminates.

KiCad compares all copper of each net with all copper of each other net, planes included. A violation at a pair is
within a few millimetres of it: windows around the pairs' copper, larger than the rule's distance, contain each
violation whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np

from pcb.boardfile import BoardFile
from pcb.copper import Points
from pcb.places import Box

BEYOND = 5.0  # margin around the copper: more than the rule's distance
CELL = 40.0  # greatest size of the copper in one window
POLYGON = re.compile(r'\n\t\t\(filled_polygon\n\t\t\t\(layer "(.+?)"\)(.*?)\n\t\t\)', re.DOTALL)
CORNER = re.compile(r"\(xy (\S+) (\S+)\)")
LISTED = re.compile(r'\n\t\(net (\d+) "[^"\n]*"\)')  # a row of the board's list of nets
NET_OF = re.compile(r"\n\t\t+\(net (\d+)")  # of an item

Item = tuple[re.Match[str], BoardFile]  # from boardfile.items


def around(copper: Iterable[Box]) -> list[Box]:
    """Windows that contain all of the copper with a margin."""
    cells = dict[tuple[int, int], Box]()
    for box in copper:
        columns = range(int(box.left // CELL), int(box.right // CELL) + 1)
        for column, row in product(columns, range(int(box.top // CELL), int(box.bottom // CELL) + 1)):
            left, top = max(box.left, column * CELL), max(box.top, row * CELL)
            right, bottom = min(box.right, (column + 1) * CELL), min(box.bottom, (row + 1) * CELL)
            old = cells.get((column, row), Box(left, top, right, bottom))
            cells[column, row] = Box(
                min(old.left, left), min(old.top, top), max(old.right, right), max(old.bottom, bottom)
            )
    return [
        Box(each.left - BEYOND, each.top - BEYOND, each.right + BEYOND, each.bottom + BEYOND)
        for _, each in sorted(cells.items())
    ]


def boxes(copper: BoardFile) -> Iterator[tuple[str, Box]]:
    """The bounding box of each track and pad, with its net."""
    for track in copper.tracks:
        pen = track.width / 2
        left, right, top, bottom = *sorted((track.x1, track.x2)), *sorted((track.y1, track.y2))
        yield track.net, Box(left - pen, top - pen, right + pen, bottom + pen)
    for pad in copper.pads:
        across, down = pad.width / 2, pad.height / 2
        yield pad.net, Box(pad.x - across, pad.y - down, pad.x + across, pad.y + down)


def cut(text: str, items: Iterable[Item], windows: list[Box]) -> str:
    """The board file with only the items that reach into a window: tracks and parts whole, planes clipped at its edge.

    All copper keeps its position, so no distance is smaller than on the board. Nets without an item are left out:
    KiCad's creepage check compares each net of the list with each, which took 25 times as long.
    """
    kept, end = list[str](), 0
    for item, copper in items:
        kept.append(text[end : item.start()])
        end = item.end()
        if item[1] == "zone":
            kept.append(POLYGON.sub(lambda polygon: _clipped(polygon, windows), item[0]))
        elif any(_overlap(box, window) for _, box in boxes(copper) for window in windows):
            kept.append(item[0])
    made = "".join(kept) + text[end:]
    used = {"0", *NET_OF.findall(made)}
    return LISTED.sub(lambda row: row[0] if row[1] in used else "", made)


def _overlap(one: Box, other: Box) -> bool:
    across = one.left <= other.right and other.left <= one.right
    return across and one.top <= other.bottom and other.top <= one.bottom


def _clipped(polygon: re.Match[str], windows: list[Box]) -> str:
    """A filled polygon of a plane, clipped to each window that it reaches."""
    whole = np.array(CORNER.findall(polygon[2]), np.float64)
    written = list[str]()
    for window in windows:
        corners = whole
        for axis, edge, side in (
            (0, window.left, 1),
            (0, window.right, -1),
            (1, window.top, 1),
            (1, window.bottom, -1),
        ):
            corners = _on_side(corners, axis, edge, side)
        if len(corners):
            points = "".join(f"\n\t\t\t\t(xy {x:.6f} {y:.6f})" for x, y in corners.tolist())
            written.append(f'\n\t\t(filled_polygon\n\t\t\t(layer "{polygon[1]}")\n\t\t\t(pts{points}\n\t\t\t)\n\t\t)')
    return "".join(written)


def _on_side(corners: Points, axis: int, edge: float, side: int) -> Points:
    """Clips an outline, (n, 2), to the part beyond an edge (side 1) or before it (-1), after Sutherland and Hodgman."""
    before, to = np.roll(corners, 1, axis=0), (corners[:, axis] - edge) * side
    from_ = np.roll(to, 1)
    crosses = (from_ < 0) != (to < 0)
    part = np.divide(from_, from_ - to, out=np.zeros(len(to)), where=crosses)
    each = np.stack([before + part[:, None] * (corners - before), corners], axis=1)
    kept: Points = each.reshape(-1, 2)[np.stack([crosses, to >= 0], axis=1).ravel()]
    return kept
