# SPDX-License-Identifier: Apache-2.0
"""Asks router.c for the tracks of a board."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from linetap_core.errors import Refusal
from pcb.lineboard import LineBoard
from pcb.places import Places, on_board

ROUTER = Path(__file__).with_name("router.c")
PLANES = ("GND", "+3V3")
MOST_S = 300
FRONT, BACK, BOTH = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Track:
    """Of `layers` BOTH it is a via, at its beginning."""

    net: str
    layers: int
    x1: float
    y1: float
    x2: float
    y2: float


def route(board: LineBoard, places: Places) -> tuple[list[Track], int]:
    """The tracks, and how many connections found no way. Refusal without gcc, or when the router gives up."""
    places.complete(board.parts)
    with tempfile.TemporaryDirectory(prefix="linetap-router-") as scratch:
        return answered(built(Path(scratch)), asked(board, places), list(board.nets))


def built(folder: Path) -> Path:
    program = folder / "router"
    _run(["gcc", "-O2", "-std=c17", "-Wall", "-o", str(program), str(ROUTER), "-lm"], "")
    return program


def answered(program: Path, text: str, nets: list[str]) -> tuple[list[Track], int]:
    """Refusal with the router's own line when it does not take the text."""
    *rows, last = _run([str(program)], text).splitlines()
    tracks: list[Track] = []
    for row in rows:
        net, layers, *ends = row.split()
        x1, y1, x2, y2 = map(float, ends)
        tracks.append(Track(nets[int(net)], int(layers), x1, y1, x2, y2))
    return tracks, int(last.removeprefix("open "))


def asked(board: LineBoard, places: Places) -> str:
    """What router.c reads: sizes, classes with their distances, nets, pads."""
    names, classes = list(board.nets), list(places.classes)
    lines = [f"{places.width} {places.height} {' '.join(map(str, places.plane))} {len(classes)} {len(names)}"]
    for name in classes:
        each = places.classes[name]
        row = [each.width / 2, each.via / 2, *(places.distance(name, other) for other in classes)]
        lines.append(" ".join(map(str, row)))
    lines += [f"{classes.index(places.class_of(net))} {int(net in PLANES)}" for net in names]
    pads: list[str] = []
    for reference, part in board.parts.items():
        nets = board.net_of(reference)
        for pad in board.footprints[board.footprint_of[part.kind_name]].pad_rows():
            box, net = on_board(pad, places.place[reference]), nets.get(pad.number)
            # A relay's contact that nothing is wired to is the pair's all the same.
            kind = classes.index(places.class_of(net) if net else "LINE")
            corners = f"{box.left:.4f} {box.top:.4f} {box.right:.4f} {box.bottom:.4f}"
            pads.append(f"{names.index(net) if net else -1} {kind} {corners} {BOTH if pad.drill else FRONT}")
    lines[0] += f" {len(pads)}"
    return "\n".join([*lines, *pads]) + "\n"


def _run(command: list[str], text: str) -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=MOST_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refusal(f"{command[0]}: {error}") from None
    if done.returncode:
        raise Refusal(f"{command[0]} ended with {done.returncode}: {done.stderr[:1000]}")
    return done.stdout
