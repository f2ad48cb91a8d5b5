# SPDX-License-Identifier: Apache-2.0
"""Models of parts as upright prisms within their `body`, with the heights of circuit/footprints.toml.

They are for the picture, and for the design of a housing; leads below the board are not drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import cos, pi, sin

from linetap_core.errors import BadInput
from pcb.board import Board
from pcb.footprints import Footprint, Pad, model
from pcb.step import Colour, Prism, text

SIDES, FEW = 24, 8  # sides of a round body, and of one thinner than 2 mm
LEAD = 0.2  # thickness of a lead
# KiCad's viewer cannot distinguish two colours of equal distance from black (OCE plugin, GetColor).
COLOURS: dict[str, Colour] = {
    "black": (0.09, 0.09, 0.10),
    "dark": (0.17, 0.16, 0.18),
    "blue": (0.10, 0.18, 0.42),
    "green": (0.10, 0.47, 0.22),
    "brown": (0.36, 0.20, 0.13),
    "grey": (0.45, 0.46, 0.49),
    "silver": (0.74, 0.74, 0.76),
    "gold": (0.83, 0.67, 0.26),
    "tan": (0.72, 0.58, 0.40),
    "amber": (0.74, 0.44, 0.16),
    "red": (0.58, 0.13, 0.11),
    "white": (0.90, 0.90, 0.87),
    "lamp_red": (0.90, 0.12, 0.10),
    "lamp_green": (0.24, 0.74, 0.30),
    "lamp_blue": (0.20, 0.36, 0.86),
    "yellow": (0.82, 0.74, 0.38),
}
Box = tuple[float, float, float, float]
Solids = Iterator[Prism]


def files(footprints: dict[str, Footprint]) -> dict[str, str]:
    """File name -> text of the folder linetap.3dshapes."""
    found = {}
    for name, footprint in footprints.items():
        for look in footprint.looks():
            file = model(name, footprint, look)
            found[file] = text(file, solids(footprint, look.look, look.height))
    return found


def highest(board: Board) -> tuple[float, list[str]]:
    """Height of a board's tallest parts above it, and their references."""
    heights = {}
    for reference, part in board.parts.items():
        look = board.footprints[board.footprint_of[part.kind_name]].look_of(part.kind_name)
        heights[reference] = look.height if look else 0.0
    most = max(heights.values())
    return most, sorted(reference for reference, height in heights.items() if height == most)


def solids(footprint: Footprint, look: str, height: float) -> list[Prism]:
    """The prisms of a look. BadInput if there is no such look."""
    if look not in LOOKS:
        raise BadInput(f"footprints.toml: {look!r} is none of {', '.join(LOOKS)}")
    return list(LOOKS[look](footprint, height))


def box(corners: Box, bottom: float, top: float, colour: str) -> Prism:
    """A box; corners with y down, as in a footprint."""
    left, above, right, below = corners
    outline = ((left, -below), (right, -below), (right, -above), (left, -above))
    return Prism(outline, bottom, top, COLOURS[colour])


def round_(x: float, y: float, radius: float, bottom: float, top: float, colour: str) -> Prism:
    sides = SIDES if radius >= 1 else FEW
    turns = [2 * pi * i / sides for i in range(sides)]
    outline = tuple((round(x + radius * cos(each), 4), round(-y + radius * sin(each), 4)) for each in turns)
    return Prism(outline, bottom, top, COLOURS[colour])


def inset(corners: Box, across: float, down: float | None = None) -> Box:
    down = across if down is None else down
    return corners[0] + across, corners[1] + down, corners[2] - across, corners[3] - down


def _plain(colour: str) -> Callable[[Footprint, float], Solids]:
    def made(footprint: Footprint, height: float) -> Solids:
        yield box(footprint.body, 0, height, colour)

    return made


def _chip(footprint: Footprint, height: float) -> Solids:
    """A chip with leads to the pads that extend beyond it, and a dot at pin 1 if there is room."""
    left, top, right, bottom = footprint.body
    roomy = min(right - left, bottom - top) > 2
    yield box(footprint.body, 0.1, height - 0.02 * roomy, "black")
    if roomy:
        first = footprint.numbered()[0]
        x = left + 0.6 if first.x < (left + right) / 2 else right - 0.6
        y = top + 0.6 if first.y < (top + bottom) / 2 else bottom - 0.6
        yield round_(x, y, 0.3, height - 0.02, height, "grey")
    for pad in footprint.numbered():
        if lead := _lead(footprint.body, pad):
            yield lead


def _lead(body: Box, pad: Pad) -> Prism | None:
    """A lead, slightly narrower than its pad, over at most three quarters of the pad's length outside the body."""
    left, top, right, bottom = body
    half_x, half_y = pad.width / 2 * 0.8, pad.height / 2 * 0.8
    for beyond, corners in (
        (left - pad.x + pad.width / 2, lambda far: (left - far, pad.y - half_y, left, pad.y + half_y)),
        (pad.x + pad.width / 2 - right, lambda far: (right, pad.y - half_y, right + far, pad.y + half_y)),
        (top - pad.y + pad.height / 2, lambda far: (pad.x - half_x, top - far, pad.x + half_x, top)),
        (pad.y + pad.height / 2 - bottom, lambda far: (pad.x - half_x, bottom, pad.x + half_x, bottom + far)),
    ):
        if beyond > 0.5:
            return box(corners(beyond * 0.75), 0, LEAD, "silver")
    return None


def _ended(colour: str) -> Callable[[Footprint, float], Solids]:
    """A body between two metal ends."""

    def made(footprint: Footprint, height: float) -> Solids:
        left, top, right, bottom = footprint.body
        end = (right - left) * 0.2
        yield box((left, top, left + end, bottom), 0, height, "silver")
        yield box((right - end, top, right, bottom), 0, height, "silver")
        yield box((left + end, top, right - end, bottom), 0.02, height - 0.02, colour)

    return made


def _diode(footprint: Footprint, height: float) -> Solids:
    """A diode with its band at terminal 1, the cathode."""
    left, top, right, bottom = footprint.body
    band = left + (right - left) * 0.18
    yield box((left, top, band, bottom), 0.1, height, "grey")
    yield box((band, top, right, bottom), 0.1, height, "black")
    for pad in footprint.numbered():
        if lead := _lead(footprint.body, pad):
            yield lead


def _can(footprint: Footprint, height: float) -> Solids:
    left, top, right, bottom = footprint.body
    yield box(footprint.body, 0, 1.2, "black")
    yield round_((left + right) / 2, (top + bottom) / 2, (right - left) / 2 - 0.2, 1.2, height, "silver")


def _drum(footprint: Footprint, height: float) -> Solids:
    left, top, right, bottom = footprint.body
    x, y, radius = (left + right) / 2, (top + bottom) / 2, (right - left) / 2
    yield round_(x, y, radius, 0, height - 0.3, "blue")
    yield round_(x, y, radius * 0.8, height - 0.3, height, "silver")


def _terminal(footprint: Footprint, height: float) -> Solids:
    """A terminal block with a screw over each terminal."""
    yield box(footprint.body, 0, height * 0.6, "green")
    lying = footprint.pad_rows()[0].y == footprint.pad_rows()[-1].y
    upper = inset(footprint.body, 0, 1.6) if lying else inset(footprint.body, 1.6, 0)
    yield box(upper, height * 0.6, height - 0.4, "green")
    for pad in footprint.pad_rows():
        yield round_(pad.x, pad.y, 1.7, height - 0.4, height, "silver")


def _pins(footprint: Footprint, height: float) -> Solids:
    yield box(footprint.body, 0, 2.5, "black")
    for pad in footprint.pad_rows():
        yield box((pad.x - 0.32, pad.y - 0.32, pad.x + 0.32, pad.y + 0.32), 2.5, height, "gold")


def _socket(footprint: Footprint, height: float) -> Solids:
    yield box(footprint.body, 0, height - 0.05, "black")
    for pad in footprint.pad_rows():
        yield box((pad.x - 0.4, pad.y - 0.4, pad.x + 0.4, pad.y + 0.4), height - 0.05, height, "gold")


def _wires(footprint: Footprint, height: float) -> Solids:
    for i, pad in enumerate(footprint.pad_rows()):
        yield round_(pad.x, pad.y, 0.75, 0, height, "white" if i < len(footprint.pad_rows()) / 2 else "yellow")


def _plug(footprint: Footprint, height: float) -> Solids:
    """A D plug for horizontal mounting: the block of its pins, the flange, and the shell at the board's edge."""
    left, top, right, bottom = footprint.body
    flange = bottom - 6.5
    yield box((left + 6, top, right - 6, flange), 0, height - 1.5, "dark")
    yield box((left, flange, right, flange + 0.8), 0, height, "silver")
    yield box((left + 7, flange + 0.8, right - 7, bottom), 2, height - 2, "silver")


def _lens(colour: str) -> Callable[[Footprint, float], Solids]:
    def made(footprint: Footprint, height: float) -> Solids:
        left, top, right, bottom = footprint.body
        x, y = (left + right) / 2, (top + bottom) / 2
        for radius, low, high in ((2.9, 0, 1), (2.5, 1, height - 1.7), (2.1, height - 1.7, height - 0.8)):
            yield round_(x, y, radius, low, high, colour)
        yield round_(x, y, 1.3, height - 0.8, height, colour)

    return made


def _cased(side: str, top: str) -> Callable[[Footprint, float], Solids]:
    """A case with a lid or a label."""

    def made(footprint: Footprint, height: float) -> Solids:
        left, above, right, below = footprint.body
        yield box(footprint.body, 0, height - 0.1, side)
        yield box(inset(footprint.body, (right - left) * 0.08, (below - above) * 0.08), height - 0.1, height, top)

    return made


LOOKS: dict[str, Callable[[Footprint, float], Solids]] = {
    "chip": _chip,
    "resistor": _ended("dark"),
    "ceramic": _ended("tan"),
    "fuse": _ended("white"),
    "green": _ended("green"),
    "diode": _diode,
    "can": _can,
    "drum": _drum,
    "film": _plain("red"),
    "y2": _plain("yellow"),
    "white": _plain("white"),
    "amber": _plain("amber"),
    "transformer": _cased("dark", "brown"),
    "converter": _cased("dark", "grey"),
    "ceramic_lid": _cased("tan", "silver"),
    "metal": _plain("silver"),
    "terminal": _terminal,
    "pins": _pins,
    "socket": _socket,
    "wires": _wires,
    "plug": _plug,
    "lens_green": _lens("lamp_green"),
    "lens_red": _lens("lamp_red"),
    "lens_blue": _lens("lamp_blue"),
}
