#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lays out the board of one line anew and checks it; what a factory asks for is then in build/board.

Run it as `./build.sh board`, when circuit/line.sheet, footprints.toml or places.toml has changed.
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HARDWARE = ROOT / "hardware"
sys.path.insert(0, str(HARDWARE))

from drawing.project import Circuit  # noqa: E402
from linetap_core.errors import LinetapError  # noqa: E402
from pcb import making, pcb, places, readback, routing  # noqa: E402
from pcb.lineboard import NAME, LineBoard  # noqa: E402

OUT = ROOT / "build" / "board"


def main() -> int:
    try:
        return _made()
    except LinetapError as error:
        print(f"board: {error}", file=sys.stderr)
        return 1


def _made() -> int:
    board, where = LineBoard(), places.load()
    tracks, not_routed = routing.route(board, where)
    files = board.files(where)
    folder = HARDWARE / NAME
    text = making.filled(pcb.text(board, where, tracks), files)
    making.written(folder, files | {f"{NAME}.kicad_pcb": text})
    found, electrical = making.design_rules(folder), making.electrical_rules(folder)
    making.copper_files(folder, OUT)
    making.other_files(folder, OUT)
    not_as_drawn = readback.differences(OUT, board, where)
    picture = (OUT / f"{NAME}.svg").read_text()
    (folder / f"{NAME}.svg").write_text(re.sub(r" date [\d/: ]+", "", picture))
    _parts_list(board, OUT / f"{NAME}-bom.csv")
    vias = sum(track.layers == routing.BOTH for track in tracks)
    print(f"parts {len(board.parts)}, nets {len(board.nets)}, tracks {len(tracks) - vias}, vias {vias}")
    print(_of_the_card(board))
    print(f"connections that the router left open: {not_routed}")
    print(f"KiCad: design rules {found.broken}, unconnected {found.open}, parity {found.parity}, ERC {electrical}")
    print(f"Gerber and drill files, read back by gerbonara: {len(not_as_drawn)} differences from the sheet's nets")
    print("\n".join(not_as_drawn[:20]), end="\n" if not_as_drawn else "")
    if found.first:
        print(f"the first: {found.first}")
    print(f"the barrier: {where.barrier.line_to_card:g} mm. NOT REVIEWED, NOT APPROVED. Files are in {OUT}")
    return int(bool(not_routed or found.broken or found.open or found.parity or electrical or not_as_drawn))


def _of_the_card(board: LineBoard) -> str:
    circuit = Circuit()
    kinds: list[str] = []
    for sheet in circuit.sheets.values():
        fitted = [part.kind_name for part in sheet.parts() if part.kind.fitted]
        kinds += fitted * len(circuit.instances(sheet.name))
    bare = sum(kind not in board.footprint_of for kind in kinds)
    return f"of the whole card's {len(kinds)} parts {bare} have no footprint; none is placed on a board of its own"


def _parts_list(board: LineBoard, path: Path) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("reference", "value", "maker", "number", "second source", "footprint"))
        for reference, part in board.parts.items():
            kind = part.kind
            fixed = (kind.value, kind.maker, kind.number, kind.second, board.footprint_of[part.kind_name])
            rows.writerow((reference, *fixed))


if __name__ == "__main__":
    sys.exit(main())
