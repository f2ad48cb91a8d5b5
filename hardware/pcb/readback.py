# SPDX-License-Identifier: Apache-2.0
"""Reads a board's Gerber and drill files with gerbonara, a parser independent of ours and KiCad's, and derives its
nets.

Only copper and holes are used: the net names that KiCad writes into a Gerber file as comments are ignored.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from linetap_core.errors import Refusal
from pcb.board import Board
from pcb.copper import NEAR, Copper, Points, touch
from pcb.making import COPPER
from pcb.pcb import MOVED
from pcb.places import Places, on_board

WHERE = Path(__file__).resolve().parent.parent.parent / "build" / "gerbonara"


def differences(folder: Path, board: Board, places: Places) -> list[str]:
    """One line for each net in several pieces, and for each two connected nets. Refusal without gerbonara."""
    shapes, holes = _read(folder, board.name)
    bounds = _bounds(shapes)
    group, drilled = _joined(shapes, holes, bounds), np.array(holes).reshape(-1, 2)
    net_of = {node: net for net, nodes in board.nets.items() for node in nodes}
    pieces: dict[str, dict[int, list[str]]] = {}
    found: list[str] = []
    for reference, part in board.parts.items():
        for pad in board.footprints[board.footprint_of[part.kind_name]].pad_rows():
            box = on_board(pad, places.place[reference])
            middle = np.array([MOVED + (box.left + box.right) / 2, -MOVED - (box.top + box.bottom) / 2])
            name = f"{reference}.{pad.number}"
            if pad.drill and not (np.hypot(*(drilled - middle).T) < 0.01).any():
                found.append(f"{name} has no hole")
            here = [i for i in _around(middle, bounds) if shapes[i].layer == COPPER[0] and shapes[i].covers(middle)]
            if not here:
                found.append(f"{name} has no copper")
                continue
            # Two pads without a net may share a number, such as a shell's: each is separate.
            net = net_of.get((reference, pad.number), f"(none) {name} at {pad.x:g}, {pad.y:g}")
            pieces.setdefault(net, {}).setdefault(group[here[0]], []).append(name)
    owner: dict[int, str] = {}
    for net, parts in pieces.items():
        if len(parts) > 1:
            found.append(f"{net} is in {len(parts)} pieces: {' | '.join(' '.join(each) for each in parts.values())}")
        for piece in parts:
            if piece in owner:
                found.append(f"{owner[piece]} and {net} are one")
            owner[piece] = net
    return found


def _read(folder: Path, name: str) -> tuple[list[Copper], list[Points]]:
    if not WHERE.exists():
        raise Refusal(f"{WHERE} is not there: ./build.sh board fetches gerbonara, which reads the files back")
    if str(WHERE) not in sys.path:
        sys.path.append(str(WHERE))
    gerber, drill = import_module("gerbonara.rs274x").GerberFile, import_module("gerbonara.excellon").ExcellonFile
    unit = import_module("gerbonara.utils").MM
    shapes: list[Copper] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about KiCad's order of headers
        for layer in COPPER:
            for item in gerber.open(folder / f"{name}-{layer.replace('.', '_')}.gbr").objects:
                shapes += [_copper(layer, each) for each in item.to_primitives(unit=unit)]
        holes = drill.open(folder / f"{name}-PTH.drl").objects
    return shapes, [_middle(hole) for hole in holes]


def _middle(hole: Any) -> Points:
    """The middle of a hole; a slot is a line."""
    if hasattr(hole, "x1"):
        return np.array([(hole.x1 + hole.x2) / 2, (hole.y1 + hole.y2) / 2])
    return np.array([hole.x, hole.y])


def _copper(layer: str, each: Any) -> Copper:
    """The copper of an item. Refusal for items absent from our boards, such as an arc or subtracted copper."""
    kind = type(each).__name__
    if each.polarity_dark:
        if kind == "Line":
            return Copper(layer, np.array([[each.x1, each.y1], [each.x2, each.y2]]), each.width / 2)
        if kind == "Circle":
            return Copper(layer, np.array([[each.x, each.y]] * 2), each.r)
        if kind == "Rectangle" and each.rotation % (np.pi / 2) == 0:
            across, down = (each.w, each.h) if each.rotation % np.pi == 0 else (each.h, each.w)
            corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
            return Copper(layer, np.array([[each.x + x * across / 2, each.y + y * down / 2] for x, y in corners]))
        if kind == "ArcPoly" and not any(each.arc_centers or []):
            return Copper(layer, np.array(each.outline, dtype=float))
    raise Refusal(f"{layer}: {kind} is no copper that is understood here")


def _bounds(shapes: list[Copper]) -> Points:
    bounds: Points = np.array([shape.bounds() for shape in shapes]) + np.array([-NEAR, -NEAR, NEAR, NEAR])
    return bounds


def _around(point: Points, bounds: Points) -> list[int]:
    """The shapes whose bounds contain the point."""
    near = (bounds[:, :2] <= point).all(axis=1) & (bounds[:, 2:] >= point).all(axis=1)
    return [int(i) for i in np.flatnonzero(near)]


def _joined(shapes: list[Copper], holes: list[Points], bounds: Points) -> list[int]:
    """The component number of each shape: shapes connected on a layer or through plated holes share a number."""
    group = list(range(len(shapes)))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    layers = np.array([COPPER.index(shape.layer) for shape in shapes])
    for i, one in enumerate(shapes):
        left, top, right, bottom = bounds[i]
        near = (layers[:i] == layers[i]) & (bounds[:i, 0] <= right) & (bounds[:i, 2] >= left)
        for j in np.flatnonzero(near & (bounds[:i, 1] <= bottom) & (bounds[:i, 3] >= top)):
            if root(i) != root(int(j)) and touch(one, shapes[j]):
                group[root(i)] = root(int(j))
    for hole in holes:
        through = [i for i in _around(hole, bounds) if shapes[i].covers(hole)]
        for i in through[1:]:
            group[root(i)] = root(through[0])
    return [root(i) for i in range(len(shapes))]
