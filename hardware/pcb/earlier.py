# SPDX-License-Identifier: Apache-2.0
"""Reads the tracks of an existing board file, with which the next layout begins."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from linetap_core.errors import BadInput
from pcb.board import Board
from pcb.boardfile import BoardFile
from pcb.copper import from_point
from pcb.pcb import MOVED
from pcb.places import Box, Places, on_board
from pcb.routing import BACK, BOTH, FRONT, Track

REACH = 0.11  # a tenth from a track's middle: the router's ends coincide
LAYERS = {"": BOTH, "F.Cu": FRONT, "B.Cu": BACK}


def tracks(file: BoardFile, nets: Iterable[str], beside: Iterable[Track]) -> list[Track]:
    """The tracks of the file, without a line's tracks `beside` and those of removed nets. BadInput for a track on an
    inner layer.
    """
    known, laid = set(nets), {_key(each) for each in beside}
    found = []
    for each in file.tracks:
        if each.net not in known or each.net.startswith("/Line"):
            continue
        if each.layer not in LAYERS:
            raise BadInput(f"board file: a track of {each.net} is on {each.layer}: the router has F.Cu and B.Cu")
        ends = (each.x1 - MOVED, each.y1 - MOVED, each.x2 - MOVED, each.y2 - MOVED)
        track = Track(each.net, LAYERS[each.layer], *ends)
        if _key(track) not in laid:
            found.append(track)
    return found


def led_somewhere(found: list[Track], beside: Iterable[Track], board: Board, places: Places) -> list[Track]:
    """The tracks without those of which an end lies at no pad or track any more."""
    mine, fixed, boxes = _by_net(found), _by_net(beside), _boxes(board, places)
    for net, rows in mine.items():
        before = len(rows) + 1
        while rows and len(rows) < before:
            before = len(rows)
            rows[:] = _held(rows, [*rows, *fixed.get(net, ())], boxes.get(net, []))
    return [track for rows in mine.values() for track in rows]


def _by_net(tracks: Iterable[Track]) -> dict[str, list[Track]]:
    found: dict[str, list[Track]] = {}
    for track in tracks:
        found.setdefault(track.net, []).append(track)
    return found


def _boxes(board: Board, places: Places) -> dict[str, list[tuple[Box, int]]]:
    """The pads of each net, and their layers."""
    net_of = {node: net for net, nodes in board.nets.items() for node in nodes}
    found: dict[str, list[tuple[Box, int]]] = {}
    for reference, part in board.parts.items():
        for pad in board.footprints[board.footprint_of[part.kind_name]].pad_rows():
            if net := net_of.get((reference, pad.number)):
                box = on_board(pad, places.place[reference])
                found.setdefault(net, []).append((box, BOTH if pad.drill else FRONT))
    return found


def _held(rows: list[Track], every: list[Track], boxes: list[tuple[Box, int]]) -> list[Track]:
    """The tracks with a pad or another track at both ends, a via at its one spot. `every` begins with `rows`."""
    begins = np.array([(each.x1, each.y1) for each in every])
    ends = np.array([(each.x2, each.y2) for each in every])
    layers = np.array([each.layers for each in every])
    met = (layers[: len(rows), None] & layers) != 0
    np.fill_diagonal(met, val=False)
    touched = [
        (met & (from_point(spots[: len(rows), None], begins, ends) < REACH)).any(axis=1) for spots in (begins, ends)
    ]
    return [
        each
        for each, begin, end in zip(rows, *touched, strict=True)
        if (begin or _on_pad(each.x1, each.y1, each.layers, boxes))
        and (end or _on_pad(each.x2, each.y2, each.layers, boxes))
    ]


def _on_pad(x: float, y: float, layers: int, boxes: list[tuple[Box, int]]) -> bool:
    return any(on & layers and box.left <= x <= box.right and box.top <= y <= box.bottom for box, on in boxes)


def _key(track: Track) -> tuple[str | float, ...]:
    ends = (round(each, 3) for each in (track.x1, track.y1, track.x2, track.y2))
    return (track.net, track.layers, *ends)
