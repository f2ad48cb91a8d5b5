# SPDX-License-Identifier: Apache-2.0
"""Fills the planes of the named board and saves it. Runs in Debian's Python, which has KiCad's module."""

from __future__ import annotations

import sys

import pcbnew

if __name__ == "__main__":
    board = pcbnew.LoadBoard(sys.argv[1])
    if not pcbnew.ZONE_FILLER(board).Fill(board.Zones()):
        sys.exit(f"{sys.argv[1]}: KiCad could not fill the planes")
    board.Save(sys.argv[1])
