# SPDX-License-Identifier: Apache-2.0
"""The interface of a board, one line's or the card's, for the modules that make its files."""

from __future__ import annotations

from typing import Protocol

from drawing.tables import Part
from pcb.footprints import Footprint


class Board(Protocol):
    """A board. `nets`: KiCad's net name -> (reference, pad)."""

    name: str
    title: str
    parts: dict[str, Part]
    nets: dict[str, list[tuple[str, str]]]
    footprints: dict[str, Footprint]
    footprint_of: dict[str, str]

    def plain(self, net: str) -> str:
        """The net's name as used in the net classes."""

    def line_of(self, name: str) -> int:
        """The line, from 1, of a net or a part; 0 for those outside lines, and on a board with a single line."""

    def path_of(self, reference: str) -> str:
        """A part's path in KiCad's schematic."""
