# SPDX-License-Identifier: Apache-2.0
"""What the makers of a board ask of it: one line's, or the card's."""

from __future__ import annotations

from typing import Protocol

from drawing.tables import Part
from pcb.footprints import Footprint


class Board(Protocol):
    """`nets` as KiCad names them -> (reference, pad)."""

    name: str
    title: str
    parts: dict[str, Part]
    nets: dict[str, list[tuple[str, str]]]
    footprints: dict[str, Footprint]
    footprint_of: dict[str, str]

    def plain(self, net: str) -> str:
        """The net's name as the classes of nets have it."""

    def line_of(self, name: str) -> int:
        """The line, from 1, of a net or of a part; 0 of what is no line's, and where a board has one line alone."""

    def path_of(self, reference: str) -> str:
        """As KiCad finds a part in the schematic."""
