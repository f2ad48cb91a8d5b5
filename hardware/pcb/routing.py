# SPDX-License-Identifier: Apache-2.0
"""Runs router.c to find the tracks of a board."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from linetap_core.errors import Refusal
from pcb.board import Board
from pcb.footprints import Pad
from pcb.places import Places, on_board

ROUTER = Path(__file__).with_name("router.c")
MOST_S = 1500  # four times the run's duration on an idle machine
FRONT, BACK, BOTH = 1, 2, 3
MARK = 1.0  # no track within the opening of a mark in the mask


@dataclass(frozen=True, slots=True)
class Track:
    """A track; with `layers` BOTH a via, at its beginning."""

    net: str
    layers: int
    x1: float
    y1: float
    x2: float
    y2: float


def route(
    board: Board, places: Places, given: Sequence[Track] = (), earlier: Sequence[Track] = ()
) -> tuple[list[Track], int]:
    """New tracks in addition to the given ones, and the number of unrouted connections. Refusal without gcc, or if it
    fails.

    Tracks of an earlier run are kept unless a part has moved into their way.
    """
    places.complete(board.parts)
    with tempfile.TemporaryDirectory(prefix="linetap-router-") as scratch:
        return answered(built(Path(scratch)), asked(board, places, given, earlier), list(board.nets))


def stitched(places: Places) -> list[Track]:
    """The vias of the pours."""
    return [Track(pour.net, BOTH, x, y, x, y) for pour in places.pours for x, y in pour.vias]


def built(folder: Path) -> Path:
    program = folder / "router"
    _run(["gcc", "-O2", "-std=c17", "-Wall", "-o", str(program), str(ROUTER), "-lm"], "")
    return program


def answered(program: Path, text: str, nets: list[str]) -> tuple[list[Track], int]:
    """Runs the router on the text. Refusal with the router's error message if it rejects the text."""
    *rows, last = _run([str(program)], text).splitlines()
    tracks: list[Track] = []
    for row in rows:
        net, layers, *ends = row.split()
        x1, y1, x2, y2 = map(float, ends)
        tracks.append(Track(nets[int(net)], int(layers), x1, y1, x2, y2))
    return tracks, int(last.removeprefix("open "))


def asked(board: Board, places: Places, given: Sequence[Track], earlier: Sequence[Track]) -> str:
    """The input text of router.c."""
    names, classes = list(board.nets), list(places.classes)
    number = {net: i for i, net in enumerate(names)}
    lines = []
    for name in classes:
        each = places.classes[name]
        row = [each.width / 2, each.via / 2, *(places.distance(name, other) for other in classes)]
        lines.append(" ".join(map(str, row)))
    kind_of = [classes.index(places.class_of(board.plain(net))) for net in names]
    lines += [f"{kind} {_line(board, classes[kind], net)}" for net, kind in zip(names, kind_of, strict=True)]
    pads = _pads(board, places, number, kind_of, classes)
    tracks = [f"{number[t.net]} {t.layers} {t.x1:.4f} {t.y1:.4f} {t.x2:.4f} {t.y2:.4f}" for t in (*given, *earlier)]
    planes = [
        f"{number[plane.net]} {' '.join(map(str, each))}" for plane in places.planes for each in plane.rectangles()
    ]
    holes = [f"{x} {y} {wide / 2}" for x, y, wide in places.holes] + _pegs(board, places)
    holes += [f"{x} {y} {MARK}" for x, y in places.fiducials]
    sizes = f"{len(classes)} {len(names)} {len(pads)} {len(given)} {len(earlier)} {len(planes)} {len(holes)}"
    head = f"{places.width} {places.height} {places.barrier.line_to_line} {sizes}"
    return "\n".join([head, *lines, *pads, *tracks, *planes, *holes]) + "\n"


def _pads(board: Board, places: Places, number: dict[str, int], kind_of: list[int], classes: list[str]) -> list[str]:
    rows = []
    net_of = {node: net for net, nodes in board.nets.items() for node in nodes}
    for reference, part in board.parts.items():
        for pad in board.footprints[board.footprint_of[part.kind_name]].pad_rows():
            box, net = on_board(pad, places.place[reference]), net_of.get((reference, pad.number))
            # A relay's unconnected contact still belongs to the pair.
            kind = kind_of[number[net]] if net else classes.index("LINE" if part.prefix == "K" else "CARD")
            corners = f"{box.left:.4f} {box.top:.4f} {box.right:.4f} {box.bottom:.4f}"
            line = _line(board, classes[kind], net or reference)
            rows.append(f"{number[net] if net else -1} {kind} {line} {corners} {BOTH if pad.drill else FRONT}")
    for pour in places.pours:
        of = f"{number[pour.net]} {kind_of[number[pour.net]]} 0"
        rows += [f"{of} {' '.join(map(str, corners))} {FRONT}" for corners in pour.plane().rectangles()]
    return rows


def _line(board: Board, kind: str, name: str) -> int:
    """The line of a pair's net. A line's other nets count as the card's: their distance to the next line is that of any
    two nets.
    """
    return board.line_of(name) if kind == "LINE" else 0


def _pegs(board: Board, places: Places) -> list[str]:
    rows = []
    for reference, part in board.parts.items():
        for x, y, drill in board.footprints[board.footprint_of[part.kind_name]].peg_rows():
            box = on_board(Pad("", x, y, 0, 0), places.place[reference])
            rows.append(f"{box.left:.4f} {box.top:.4f} {drill / 2}")
    return rows


def _run(command: list[str], text: str) -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=MOST_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refusal(f"{command[0]}: {error}") from None
    if done.returncode:
        raise Refusal(f"{command[0]} ended with {done.returncode}: {done.stderr[:1000]}")
    return done.stdout
