#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lays out the board of one line and that of the whole card and checks both; factory files go to build/board.

Run it as `./build.sh board`, when a sheet, footprints.toml, places.toml or cardplaces.toml in circuit/ has changed. The
card's tracks stay unless a part has moved into them; with --anew all are routed again. `variants` makes the factory's
files for each variant of the committed card, without a new layout.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HARDWARE = ROOT / "hardware"
sys.path.insert(0, str(HARDWARE))

from drawing import kicad, variants  # noqa: E402
from linetap_core.errors import LinetapError  # noqa: E402
from pcb import (  # noqa: E402
    assembly,
    boardfile,
    bodies,
    cardboard,
    earlier,
    making,
    pcb,
    places,
    readback,
    routing,
    usbpairs,
)
from pcb.board import Board  # noqa: E402
from pcb.lineboard import LineBoard  # noqa: E402
from pcb.places import Places  # noqa: E402

OUT = ROOT / "build" / "board"


def main() -> int:
    wanted = [name for name in sys.argv[1:] if name != "--anew"] or ["line", "card"]
    try:
        return max([BOARDS[name]() for name in wanted])
    except KeyError as error:
        print(f"board: {error.args[0]!r} is none of {', '.join(BOARDS)}", file=sys.stderr)
    except LinetapError as error:
        print(f"board: {error}", file=sys.stderr)
    return 1


def _line() -> int:
    board, where = LineBoard(), places.load()
    tracks, not_routed = routing.route(board, where)
    folder, out = HARDWARE / board.name, OUT / board.name
    wrong = _made(board, where, tracks, not_routed, board.files(where), folder / "lineboard.svg")
    making.assembly_files(folder, board.name, out, board.name)
    assembly.parts_list(board, out / f"{board.name}-bom.csv")
    return wrong


def _card() -> int:
    board, line = cardboard.CardBoard(), places.load()
    where, blocks = cardboard.load(line)
    one, open_in_one = routing.route(*cardboard.of_one_line(line))
    given = cardboard.copied(one, blocks, line, board) + routing.stitched(where)
    before = HARDWARE / f"{board.name}.kicad_pcb"
    text = before.read_text() if before.exists() and "--anew" not in sys.argv else ""
    before_it = earlier.tracks(boardfile.read(text), board.nets, given)
    kept = earlier.led_somewhere(before_it, given, board, where)
    found, not_routed = routing.route(board, where, given, kept)
    print(f"one line, copied to {len(blocks)}: {len(one)} tracks and vias of {len(given) + len(found)}")
    wrong = _made(board, where, given + found, not_routed + open_in_one, board.files(where), HARDWARE / "card.png")
    pairs = usbpairs.measured(boardfile.read(before.read_text()))
    print("\n".join(f"USB, {each.said()}" for each in pairs))
    return max(wrong, _variants(), *(int(not (each.matched() and each.within())) for each in pairs))


def _variants() -> int:
    board = cardboard.CardBoard()
    where, _ = cardboard.load(places.load())
    wrong = 0
    for name, variant in variants.load().items():
        made = assembly.made(HARDWARE, board, where, name, variant, OUT / board.name)
        wrong |= int(bool(made.wrong))
        print(f"{variant.title}: {made.fitted} parts fitted, {made.left_out} not, {made.positions} positions; ", end="")
        print(f"KiCad's lists and sheets: {len(made.wrong)} differences")
        print("\n".join(made.wrong[:20]), end="\n" if made.wrong else "")
    return wrong


BOARDS: dict[str, Callable[[], int]] = {"line": _line, "card": _card, "variants": _variants}


def _made(
    board: Board, where: Places, tracks: list[routing.Track], not_routed: int, files: dict[str, str], picture: Path
) -> int:
    folder, out = picture.parent, OUT / board.name
    text = making.filled(board.name, pcb.text(board, where, tracks), files)
    making.written(folder, files | {f"{board.name}.kicad_pcb": text})
    found, electrical = making.design_rules(folder, board.name), making.electrical_rules(folder, board.name)
    too_near = making.creepage(folder, board, where, out / "creepage")
    making.copper_files(folder, board.name, out)
    making.other_files(folder, board.name, out)
    not_as_drawn = readback.differences(out, board, where)
    _picture(out / f"{board.name}.svg", picture)
    making.solid_picture(folder, board.name, folder / f"{board.name}-3d.png", where)
    vias = sum(track.layers == routing.BOTH for track in tracks)
    print(
        f"{board.title}: {where.width:g} x {where.height:g} mm, parts {len(board.parts)}, nets {len(board.nets)}, ",
        end="",
    )
    print(f"tracks {len(tracks) - vias}, vias {vias}")
    most, which = bodies.highest(board)
    print(f"above the board at most {most:g} mm: {', '.join(which)}")
    print(f"connections that the router left open: {not_routed}")
    print(
        f"KiCad: design rules {found.broken}, unconnected {found.open}, parity {found.parity}, ERC {electrical}, ",
        end="",
    )
    print(f"creepage {len(too_near)}")
    print(f"Gerber and drill files, read back by gerbonara: {len(not_as_drawn)} differences from the drawing's nets")
    print("\n".join(not_as_drawn[:20]), end="\n" if not_as_drawn else "")
    for first in [found.first, *too_near[:1]]:
        if first:
            print(f"the first: {first}")
    print(f"the barrier: {where.barrier.line_to_card:g} mm. NOT REVIEWED, NOT APPROVED. Files are in {out}")
    wrong = (not_routed, found.broken, found.open, found.parity, electrical, too_near, not_as_drawn)
    return int(any(wrong))


def _picture(drawn: Path, picture: Path) -> None:
    """Renders the whole card as pixels: as vectors it has too many lines for a page."""
    if picture.suffix == ".svg":
        picture.write_text(re.sub(r" date [\d/: ]+", "", drawn.read_text()))
    else:
        subprocess.run(
            [*kicad.RASTER, "-i", str(drawn), str(picture)], check=True, timeout=120, stdin=subprocess.DEVNULL
        )


if __name__ == "__main__":
    sys.exit(main())
