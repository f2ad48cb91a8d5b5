# SPDX-License-Identifier: Apache-2.0
"""circuit/places.toml: where the parts of a board lie, its classes of nets and the distances between them, in mm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import cos, radians, sin
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from drawing.tables import CIRCUIT
from linetap_core.errors import BadInput
from linetap_core.tomlfile.source import Source
from pcb.footprints import Pad

Length = Annotated[float, Meta(gt=0, le=500)]
TURNS = (0, 90, 180, 270)


class NetClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    nets: list[str] = []
    width: Length
    clearance: Length
    via: Length
    drill: Length


class Barrier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    line_to_card: Length
    line_to_middle: Length
    middle_to_card: Length


class Places(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`place` has x, y and the angle against the clock of each reference."""

    width: Length
    height: Length
    plane: tuple[float, float, float, float]
    classes: dict[str, NetClass] = msgspec.field(name="class")
    barrier: Barrier
    place: dict[str, tuple[float, float, float]]

    def complete(self, parts: Iterable[str]) -> None:
        """BadInput with the parts that have no place, or a place and no part."""
        if missing := sorted(set(parts) - self.place.keys()):
            raise BadInput(f"places.toml: no place for {', '.join(missing)}")
        if idle := sorted(self.place.keys() - set(parts)):
            raise BadInput(f"places.toml: a place and no part: {', '.join(idle)}")

    def class_of(self, net: str) -> str:
        return next((name for name, each in self.classes.items() if net.removeprefix("/") in each.nets), "CARD")

    def distance(self, one: str, two: str) -> float:
        """Between copper of two classes."""
        if one == two:
            return self.classes[one].clearance
        pair = {one, two}
        if pair == {"LINE", "CARD"}:
            return self.barrier.line_to_card
        return self.barrier.line_to_middle if "LINE" in pair else self.barrier.middle_to_card


@dataclass(frozen=True, slots=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float


def load(path: Path = CIRCUIT / "places.toml") -> Places:
    """BadInput says what is wrong."""
    try:
        places = msgspec.convert(Source(path).data, Places)
    except msgspec.ValidationError as error:
        raise BadInput(f"{path}: {error}") from None
    for reference, (x, y, turned) in places.place.items():
        if turned not in TURNS:
            raise BadInput(f"{path}: {reference}: {turned:g} is none of {TURNS}")
        if not (0 < x < places.width and 0 < y < places.height):
            raise BadInput(f"{path}: {reference}: ({x:g}, {y:g}) is not on the board")
    return places


def on_board(pad: Pad, place: tuple[float, float, float]) -> Box:
    """Where a pad of a placed part is. KiCad turns against the clock, with y down."""
    x, y, turned = place
    across, down = cos(radians(turned)), sin(radians(turned))
    middle_x, middle_y = x + pad.x * across + pad.y * down, y - pad.x * down + pad.y * across
    lying = turned % 180 == 0
    half_x, half_y = (pad.width / 2, pad.height / 2) if lying else (pad.height / 2, pad.width / 2)
    return Box(middle_x - half_x, middle_y - half_y, middle_x + half_x, middle_y + half_y)
