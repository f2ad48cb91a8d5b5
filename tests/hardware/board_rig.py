# SPDX-License-Identifier: Apache-2.0
"""The content of a board's file, for the tests of both boards."""

from __future__ import annotations

from pcb.boardfile import BoardFile

Nets = dict[str, list[tuple[str, str]]]


def on_copper(board: BoardFile) -> tuple[list[str], Nets]:
    """References in order, and net -> its (reference, pad), each pad's name once."""
    found: dict[str, set[tuple[str, str]]] = {}
    for pad in board.pads:
        if pad.net:
            found.setdefault(pad.net, set()).add((pad.reference, pad.number))
    return sorted(board.parts), {net: sorted(nodes) for net, nodes in found.items()}
