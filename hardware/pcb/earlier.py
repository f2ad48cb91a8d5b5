# SPDX-License-Identifier: Apache-2.0
"""The tracks that a board's file has, so that the next layout begins with them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import hypot

from pcb.board import Board
from pcb.pcb import MOVED
from pcb.places import Box, Places, on_board
from pcb.routing import BACK, BOTH, FRONT, Track

PIECE = re.compile(r"\n\t\((segment|via)\n(.*?)\n\t\)", re.DOTALL)
REACH = 0.11
SPOT = re.compile(r"\((?:start|end|at) ([-\d.]+) ([-\d.]+)\)")


def tracks(text: str, nets: Iterable[str], beside: Iterable[Track]) -> list[Track]:
    """As KiCad writes them. A line's, those `beside` and those of nets that are no more are left out."""
    names = dict(re.findall(r'\n\t\(net (\d+) "([^"]+)"\)', text))
    known, laid = set(nets), {_key(each) for each in beside}
    found = []
    for kind, body in PIECE.findall(text):
        net = re.search(r"\(net (\d+)\)", body)
        ends = [(float(x) - MOVED, float(y) - MOVED) for x, y in SPOT.findall(body)]
        if not net or names.get(net[1]) not in known or not ends or names[net[1]].startswith("/Line"):
            continue
        layers = BOTH if kind == "via" else FRONT if '"F.Cu"' in body else BACK
        track = Track(names[net[1]], layers, *ends[0], *ends[-1])
        if _key(track) not in laid:
            found.append(track)
    return found


def led_somewhere(found: list[Track], beside: Iterable[Track], board: Board, places: Places) -> list[Track]:
    """Without those that end where a pad or another track was and is no more."""
    fixed: dict[str, list[Track]] = {}
    mine: dict[str, list[Track]] = {}
    for track in beside:
        fixed.setdefault(track.net, []).append(track)
    for track in found:
        mine.setdefault(track.net, []).append(track)
    boxes = _boxes(board, places)
    for net, rows in mine.items():
        before = len(rows) + 1
        while len(rows) < before:
            before = len(rows)
            others = [*rows, *fixed.get(net, ())]
            rows[:] = [each for each in rows if _held(each, others, boxes.get(net, []))]
    return [track for rows in mine.values() for track in rows]


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


def _held(track: Track, others: list[Track], boxes: list[tuple[Box, int]]) -> bool:
    """Both ends of a track, and a via by one other thing."""
    ends = {(track.x1, track.y1), (track.x2, track.y2)}
    return all(_touches(track, end, others, boxes) for end in ends)


def _touches(track: Track, end: tuple[float, float], others: list[Track], boxes: list[tuple[Box, int]]) -> bool:
    x, y = end
    for box, layers in boxes:
        if layers & track.layers and box.left <= x <= box.right and box.top <= y <= box.bottom:
            return True
    return any(each is not track and each.layers & track.layers and _near(each, x, y) for each in others)


def _near(each: Track, x: float, y: float) -> bool:
    """Within a tenth of its middle: the router's ends lie on one another."""
    right, down = each.x2 - each.x1, each.y2 - each.y1
    long = right * right + down * down
    part = min(1.0, max(0.0, ((x - each.x1) * right + (y - each.y1) * down) / long)) if long else 0.0
    return hypot(x - each.x1 - part * right, y - each.y1 - part * down) < REACH


def _key(track: Track) -> tuple[str | float, ...]:
    ends = (round(each, 3) for each in (track.x1, track.y1, track.x2, track.y2))
    return (track.net, track.layers, *ends)
