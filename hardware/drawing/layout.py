# SPDX-License-Identifier: Apache-2.0
"""Puts the parts of a sheet in rows and says where wires and labels are. Lengths in steps of 2.54 mm.

A row goes from left to right. Where a part ends on the net on which the next begins, a wire joins them; every other
pin has a label of its net. Nothing crosses anything, so a drawing shows what the table says and no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from drawing.symbols import OUT, PlacedPin, Shape, shape
from drawing.tables import Part, Sheet
from linetap_core.errors import BadInput

MARGIN, TITLE_ROWS, COLUMN_GAP = 6, 18, 4
RAIL_ROOM = 4  # for a rail's label that stands upright
LETTER = 0.45  # how wide one is
PAPERS = {"A4": (116, 82), "A3": (165, 116), "A2": (233, 165), "A1": (331, 233)}


@dataclass(frozen=True, slots=True)
class Label:
    net: str
    x: int
    y: int
    side: str
    on_wire: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    part: Part
    shape: Shape
    x: int
    y: int


@dataclass(slots=True)
class Layout:
    paper: str = "A4"
    placed: list[Placed] = field(default_factory=list)
    wires: list[tuple[int, int, int, int]] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    open_pins: list[tuple[int, int]] = field(default_factory=list)
    headings: list[tuple[str, int, int]] = field(default_factory=list)


def lay_out(sheet: Sheet) -> Layout:
    """On the smallest paper that holds it, its blocks in columns. BadInput when none does."""
    for paper, (width, height) in PAPERS.items():
        layout = Layout(paper)
        if _columns(layout, sheet, height - TITLE_ROWS) <= width - MARGIN:
            return layout
    raise BadInput(f"{sheet.name}: does not fit on {paper}")


def _columns(layout: Layout, sheet: Sheet, bottom: int) -> int:
    """Where the last column ends. A block is never divided."""
    left, y, widest, outer = MARGIN, MARGIN, MARGIN, {*sheet.rails, *sheet.ports}
    for block in sheet.blocks:
        rows = [[shape(part.kind) for part in row] for row in block.rows]
        high = 2 + sum(_above(shapes) + _below(shapes) for shapes in rows)
        if y > MARGIN and y + high > bottom:
            left, y = widest + COLUMN_GAP, MARGIN
        layout.headings.append((block.heading, left, y))
        y += 1
        for row, shapes in zip(block.rows, rows, strict=True):
            y += _above(shapes)
            widest = max(widest, _row(layout, row, shapes, left, y, outer))
            y += _below(shapes)
        y += 1
    return widest


def _above(shapes: list[Shape]) -> int:
    return max(each.top + (RAIL_ROOM if any(pin.pin.side == "top" for pin in each.pins) else 2) for each in shapes)


def _below(shapes: list[Shape]) -> int:
    return max(
        each.bottom + (RAIL_ROOM if any(pin.pin.side == "bottom" for pin in each.pins) else 2) for each in shapes
    )


def _row(layout: Layout, row: list[Part], shapes: list[Shape], x: int, y: int, outer: set[str]) -> int:
    """Where the row ends."""
    joined = False
    for i, (part, form) in enumerate(zip(row, shapes, strict=True)):
        x += form.left + (0 if joined else _room(part, form, "left", outer))
        layout.placed.append(Placed(part, form, x, y))
        following = _end(row[i + 1], shapes[i + 1], "left") if i + 1 < len(row) else None
        last = _end(part, form, "right")
        joins = following is not None and following == last and last not in outer
        for pin in form.pins:
            _pin(layout, part, pin, x, y, joined, joins)
        x += form.right
        if joins:
            assert last is not None
            gap = max(2, round(len(last) * LETTER + 1))
            layout.wires.append((x, y, x + gap, y))
            layout.labels.append(Label(last, x, y, "right", on_wire=True))
            x += gap
        else:
            x += _room(part, form, "right", outer) + 1
        joined = joins
    return x


def _end(part: Part, form: Shape, side: str) -> str | None:
    """The net with which a part can be joined to its neighbour: that of its only pin on this side, in the middle."""
    pins = [pin for pin in form.pins if pin.pin.side == side]
    return part.nets.get(pins[0].pin.name) if len(pins) == 1 and pins[0].at[1] == 0 else None


def _pin(layout: Layout, part: Part, pin: PlacedPin, x: int, y: int, joined: bool, joins: bool) -> None:
    side, at = pin.pin.side, (x + pin.at[0], y + pin.at[1])
    if (joined and side == "left") or (joins and side == "right"):
        return
    net = part.nets.get(pin.pin.name)
    if net is None:
        layout.open_pins.append(at)
        return
    end = (at[0] + OUT[side][0], at[1] + OUT[side][1])
    layout.wires.append((*at, *end))
    layout.labels.append(Label(net, *end, side))


def _room(part: Part, form: Shape, side: str, outer: set[str]) -> int:
    """For the longest label on this side, with its stub."""
    nets = [part.nets.get(pin.pin.name, "") for pin in form.pins if pin.pin.side == side]
    return 1 + max((round(len(net) * LETTER + (2 if net in outer else 0.5)) for net in nets), default=0)
