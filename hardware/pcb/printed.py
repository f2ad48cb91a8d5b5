# SPDX-License-Identifier: Apache-2.0
"""Places the silkscreen: references of plugs and test pads, and a dot at terminal 1 of polarised parts.

Each print avoids pads and parts. The pad nearest to a dot is the terminal it marks. A print without such a place is
omitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pcb.board import Board
from pcb.copper import Points
from pcb.footprints import Pad
from pcb.places import Box, Places, on_board

Flags = NDArray[np.bool_]
NAMED = ("J", "TP")
TURNABLE = ("U", "D", "Q", "J", "K", "T")  # a diode's 1 is its cathode
POLAR = {"c25F", "c220u_35V"}  # 1 is the plus
LETTER, PEN = 1.0, 0.15  # the least height of a letter and width of a line that a factory prints: JLCPCB
HEIGHT, A_LETTER = LETTER + 2 * PEN, 0.98 * LETTER  # of a text, with its pen
DOT = 0.25
SPARE = 0.25  # distance to pads and holes
EDGE, BEYOND = 0.6, 50.0  # margin within the edge, and outside of it
STEP = 0.2
FAR = 8.0  # greatest distance from the part


@dataclass(frozen=True, slots=True)
class Print:
    """A print: a dot if it has no text; `turned` is 0 or 90."""

    reference: str
    text: str
    x: float
    y: float
    turned: int = 0


@dataclass(slots=True)
class _Taken:
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    pads: list[tuple[float, float, float, float]] = field(default_factory=list)

    def next_to(self, x: Points, y: Points, pad: Box) -> Flags:
        """For which of the spots this pad is the nearest of all, by a tenth."""
        near = _within(self.pads, x.min() - FAR, y.min() - FAR, x.max() + FAR, y.max() + FAR)
        mine = np.array([(pad.left, pad.top, pad.right, pad.bottom)])
        others = near[(near != mine).any(axis=1)]
        nearer: Flags = _off(x, y, mine) + 0.1 < _off(x, y, others if len(others) else np.full((1, 4), 1e6))
        return nearer

    def add(self, box: Box, spare: float = 0.0) -> None:
        self.boxes.append((box.left - spare, box.top - spare, box.right + spare, box.bottom + spare))

    def around(self, x: Points, y: Points, reach: float) -> Points:
        """The boxes within `reach` of any of the spots: some dozens of thousands, selected once for all spots."""
        return _within(self.boxes, x.min() - reach, y.min() - reach, x.max() + reach, y.max() + reach)


def _within(
    boxes: list[tuple[float, float, float, float]], left: float, top: float, right: float, bottom: float
) -> Points:
    """The boxes that overlap the rectangle, as rows left, top, right, bottom."""
    found = [each for each in boxes if each[0] < right and each[2] > left and each[1] < bottom and each[3] > top]
    return np.array(found).reshape(-1, 4)


def _free(boxes: Points, taken: Points) -> Flags:
    """Which of the rows overlap none of `taken`."""
    over = (
        (boxes[:, None, 0] < taken[:, 2]) & (boxes[:, None, 2] > taken[:, 0])
        & (boxes[:, None, 1] < taken[:, 3]) & (boxes[:, None, 3] > taken[:, 1])
    )  # fmt: skip
    free: Flags = ~over.any(axis=1)
    return free


def _off(x: Points, y: Points, boxes: Points) -> Points:
    """Distance from each spot to the nearest box."""
    across = np.maximum(np.maximum(boxes[:, 0] - x[:, None], x[:, None] - boxes[:, 2]), 0)
    down = np.maximum(np.maximum(boxes[:, 1] - y[:, None], y[:, None] - boxes[:, 3]), 0)
    least: Points = np.hypot(across, down).min(axis=1)
    return least


def prints(board: Board, places: Places, also: list[Box]) -> Iterator[Print]:
    """All prints; the areas `also` are not available."""
    taken = _Taken()
    for box in also:
        taken.add(box, SPARE)
    for x, y, wide in [*places.holes, *((x, y, 2.0) for x, y in places.fiducials)]:
        taken.add(Box(x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2), SPARE)
    right, bottom = places.width + BEYOND, places.height + BEYOND
    taken.add(Box(-BEYOND, -BEYOND, EDGE, bottom))
    taken.add(Box(-BEYOND, -BEYOND, right, EDGE))
    taken.add(Box(places.width - EDGE, -BEYOND, right, bottom))
    taken.add(Box(-BEYOND, places.height - EDGE, right, bottom))
    outlines: dict[str, Box] = {}
    for reference, part in board.parts.items():
        footprint = board.footprints[board.footprint_of[part.kind_name]]
        left, top, right, bottom = footprint.courtyard()
        outlines[reference] = on_board(
            Pad("", (left + right) / 2, (top + bottom) / 2, right - left, bottom - top), places.place[reference]
        )
        taken.add(outlines[reference])
        for pad in footprint.pad_rows():
            box = on_board(pad, places.place[reference])
            taken.add(box, SPARE)
            taken.pads.append((box.left, box.top, box.right, box.bottom))
    for reference, part in board.parts.items():
        if part.prefix in TURNABLE or part.kind_name in POLAR:
            first = board.footprints[board.footprint_of[part.kind_name]].numbered()[0]
            box = on_board(first, places.place[reference])
            middle = ((box.left + box.right) / 2, (box.top + box.bottom) / 2)
            yield from _beside(taken, outlines[reference], middle, Print(reference, "", 0, 0), box)
    for reference, part in board.parts.items():
        if part.prefix in NAMED:
            box = outlines[reference]
            middle = ((box.left + box.right) / 2, (box.top + box.bottom) / 2)
            yield from _beside(taken, box, middle, Print(reference, reference, 0, 0))


def _beside(
    taken: _Taken, outline: Box, middle: tuple[float, float], what: Print, pad: Box | None = None
) -> Iterator[Print]:
    """The free place nearest to `middle`, outside the part."""
    found: list[tuple[float, Print, Box]] = []
    for turned in (0, 90) if what.text else (0,):
        across, down = (len(what.text) * A_LETTER, HEIGHT) if what.text else (2 * DOT, 2 * DOT)
        across, down = (down, across) if turned else (across, down)
        far = FAR + max(across, down) / 2 if what.text else FAR
        xs = np.arange(outline.left - far, outline.right + far, STEP)
        ys = np.arange(outline.top - far, outline.bottom + far, STEP)
        x: Points = np.meshgrid(xs, ys)[0].ravel()
        y: Points = np.meshgrid(xs, ys)[1].ravel()
        order = np.argsort(np.hypot(x - middle[0], y - middle[1]), kind="stable")
        if not what.text:
            order = order[np.hypot(x[order] - middle[0], y[order] - middle[1]) < FAR]
        x, y = x[order], y[order]
        if pad is not None and len(x):
            beside = taken.next_to(x, y, pad)
            x, y = x[beside], y[beside]
        if not len(x):
            continue
        around = taken.around(x, y, max(across, down))
        for begin in range(0, len(x), 200):
            some = slice(begin, begin + 200)
            rows = np.stack(
                [x[some] - across / 2, y[some] - down / 2, x[some] + across / 2, y[some] + down / 2], axis=1
            )
            free = np.flatnonzero(_free(rows, around))
            if len(free):
                at = begin + int(free[0])
                spot = Print(what.reference, what.text, round(float(x[at]), 2), round(float(y[at]), 2), turned)
                far_off = float(np.hypot(x[at] - middle[0], y[at] - middle[1]))
                found.append((far_off, spot, Box(*(float(each) for each in rows[int(free[0])]))))
                break
    if found:
        _, spot, box = min(found, key=lambda each: each[0])
        taken.add(box, 0.1)
        yield spot
