# SPDX-License-Identifier: Apache-2.0
"""Loads places.toml and cardplaces.toml: positions of a board's parts, net classes, and distances, in mm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import cos, radians, sin
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from drawing.tables import CIRCUIT
from linetap_core.errors import BadInput
from linetap_core.tomlfile.source import Source
from pcb.footprints import Pad

Length = Annotated[float, Meta(gt=0, le=500)]
TURNS = (0, 90, 180, 270)
OVER = 10.0  # greatest distance of a plug's middle beyond the edge


class NetClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    nets: list[str] = []
    width: Length
    clearance: Length
    via: Length
    drill: Length


class Barrier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    line_to_card: Length
    line_to_line: Length
    line_to_middle: Length
    middle_to_card: Length
    entry_to_card: Length


class Plane(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A plane; consecutive corners of `outline` are joined by horizontal or vertical edges."""

    net: str
    layer: str
    outline: list[tuple[float, float]]

    def rectangles(self) -> list[tuple[float, float, float, float]]:
        """The same area in strips: left, top, right, bottom."""
        sides = list(zip(self.outline, self.outline[1:] + self.outline[:1], strict=True))
        rows = sorted({y for _, y in self.outline})
        found = []
        for top, bottom in pairwise(rows):
            cuts = sorted(x for (x, y1), (x2, y2) in sides if x == x2 and min(y1, y2) <= top and max(y1, y2) >= bottom)
            found += [(left, top, right, bottom) for left, right in zip(cuts[::2], cuts[1::2], strict=True)]
        return found


class Pour(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Front copper that fills its outline, and its vias. Other nets stay clear of it."""

    net: str
    outline: list[tuple[float, float]]
    vias: list[tuple[float, float]] = []

    def plane(self) -> Plane:
        return Plane(net=self.net, layer="F.Cu", outline=self.outline)


class Places(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All places of a board. `place` has x, y and the counter-clockwise angle of each reference; `holes` x, y and
    diameter.

    `fiducials` are marks for a placing machine, on no net; printed.py describes `printed`.
    """

    width: Length
    height: Length
    planes: list[Plane] = msgspec.field(name="plane")
    pours: list[Pour] = msgspec.field(name="pour", default_factory=list)
    holes: list[tuple[float, float, float]] = []
    fiducials: list[tuple[float, float]] = []
    printed: bool = False
    classes: dict[str, NetClass] = msgspec.field(name="class")
    barrier: Barrier
    place: dict[str, tuple[float, float, float]]

    def complete(self, parts: Iterable[str]) -> None:
        """BadInput with the parts that have no place, and the places without a part."""
        if missing := sorted(set(parts) - self.place.keys()):
            raise BadInput(f"places.toml: no place for {', '.join(missing)}")
        if idle := sorted(self.place.keys() - set(parts)):
            raise BadInput(f"places.toml: a place and no part: {', '.join(idle)}")

    def class_of(self, net: str) -> str:
        """The class of a net, by the plain name that its board gives."""
        return next((name for name, each in self.classes.items() if net in each.nets), "CARD")

    def distance(self, one: str, two: str) -> float:
        """The least distance between copper of two classes."""
        sides = {name if name in ("LINE", "MIDDLE", "ENTRY") else "CARD" for name in (one, two)}
        if len(sides) == 1:
            return max(self.classes[one].clearance, self.classes[two].clearance)
        if "MIDDLE" in sides:
            return self.barrier.line_to_middle if "LINE" in sides else self.barrier.middle_to_card
        return self.barrier.line_to_card if "LINE" in sides else self.barrier.entry_to_card


@dataclass(frozen=True, slots=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float


def load(path: Path = CIRCUIT / "places.toml") -> Places:
    """Loads the places. BadInput with the fault."""
    return checked(path, Source(path).data)


def checked(path: Path, data: dict[str, Any]) -> Places:
    try:
        places = msgspec.convert(data, Places)
    except msgspec.ValidationError as error:
        raise BadInput(f"{path}: {error}") from None
    for reference, (x, y, turned) in places.place.items():
        if turned not in TURNS:
            raise BadInput(f"{path}: {reference}: {turned:g} is none of {TURNS}")
        if not (-OVER < x < places.width + OVER and -OVER < y < places.height + OVER):
            raise BadInput(f"{path}: {reference}: ({x:g}, {y:g}) is not on the board")
    return places


def on_board(pad: Pad, place: tuple[float, float, float]) -> Box:
    """The area of a pad of a placed part. KiCad's angles are counter-clockwise, with y down."""
    x, y, turned = place
    across, down = cos(radians(turned)), sin(radians(turned))
    middle_x, middle_y = x + pad.x * across + pad.y * down, y - pad.x * down + pad.y * across
    lying = turned % 180 == 0
    half_x, half_y = (pad.width / 2, pad.height / 2) if lying else (pad.height / 2, pad.width / 2)
    return Box(middle_x - half_x, middle_y - half_y, middle_x + half_x, middle_y + half_y)
