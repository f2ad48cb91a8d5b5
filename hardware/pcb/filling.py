# SPDX-License-Identifier: Apache-2.0
"""Run by Debian's Python, which has KiCad's module: fills the planes of the board that is named, and saves it."""

from __future__ import annotations

import sys

import pcbnew

if __name__ == "__main__":
    board = pcbnew.LoadBoard(sys.argv[1])
    if not pcbnew.ZONE_FILLER(board).Fill(board.Zones()):
        sys.exit(f"{sys.argv[1]}: KiCad could not fill the planes")
    board.Save(sys.argv[1])
