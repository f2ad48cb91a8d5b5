# SPDX-License-Identifier: Apache-2.0
"""Writes the assembly files of each variant of the card: list of parts, positions, assembly drawing.

They are made from a copy of board and sheets in which the parts not fitted have KiCad's mark (do not populate). Copper,
paste and holes are those of the committed board.
"""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from drawing import kicad, variants
from drawing.project import files
from drawing.sexpr import quoted, uid
from drawing.variants import Variant
from linetap_core.errors import BadInput
from pcb import boardfile, making
from pcb.board import Board
from pcb.boardfile import REFERENCE
from pcb.cardboard import CardBoard
from pcb.pcb import MOVED
from pcb.places import Places

ATTRIBUTES = re.compile(r"\n\t\t\(attr ([^()]*)\)")
BESIDE, LINE, HIGH = 24.0, 6.0, 3.0  # of the notes: distance from the board's edge, line spacing, letter height
SOCKET = "J1301"  # the socket whose first pin is marked
OUTSIDE = 2.0  # pitches between the mark and its pad


@dataclass(frozen=True, slots=True)
class Assembled:
    """The result for one variant; `wrong` has a sentence for each difference between KiCad's files and the variant's
    list.
    """

    fitted: int
    left_out: int
    positions: int
    wrong: list[str]


def made(folder: Path, board: CardBoard, places: Places, name: str, variant: Variant, into: Path) -> Assembled:
    """Writes the variant's files. `folder` has the committed project; BadInput if it is not in KiCad 9's form."""
    without = variants.left_out(board.circuit, variant)
    into.mkdir(parents=True, exist_ok=True)
    parts = parts_list(board, into / f"{name}-bom.csv", without)
    with tempfile.TemporaryDirectory(prefix="linetap-variant-") as scratch:
        copy = project(folder, board, without, Path(scratch))
        file = copy / f"{board.name}.kicad_pcb"
        file.write_text(noted(file.read_text(), places, name, variant))
        making.assembly_files(copy, board.name, into, name)
        placed = positions(into / f"{name}-pos.csv")
        wrong = [
            *(f"KiCad's list of parts: {each}" for each in sorted(bought(copy) ^ parts)),
            *(f"KiCad's positions: {each}" for each in sorted(placed ^ parts)),
            *(f"board and sheets: {each}" for each in differences(copy, board)),
        ]
    return Assembled(len(parts), len(without), len(placed), wrong)


def project(folder: Path, board: CardBoard, without: set[str], scratch: Path) -> Path:
    """Copies the project, with the parts not fitted marked on its sheets and on its board."""
    copy = making.copied(folder, scratch)
    making.written(copy, variants.marked(files(board.circuit), without))
    file = copy / f"{board.name}.kicad_pcb"
    file.write_text(marked(file.read_text(), without))
    return copy


def bought(folder: Path) -> set[str]:
    """References in KiCad's own list of fitted parts, from the sheets."""
    return {reference for reference, _, _ in kicad.parts(folder, fitted=True)}


def differences(folder: Path, board: CardBoard) -> list[str]:
    """Differences between the parts of a project's board and its sheets. Removes the board's copper first, which saves
    minutes.
    """
    file = folder / f"{board.name}.kicad_pcb"
    file.write_text(without_copper(file.read_text()))
    return making.parity(folder, board.name)


def parts_list(board: Board, path: Path, without: Collection[str] = ()) -> set[str]:
    """Writes the factory's list, one row for each kind of part; returns its references."""
    parts = {each: part for each, part in board.parts.items() if part.kind.bought and each not in without}
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("reference", "value", "maker", "number", "second source", "footprint"))
        for reference, part in parts.items():
            kind = part.kind
            footprint = board.footprint_of[part.kind_name]
            rows.writerow((reference, kind.value, kind.maker, kind.number, kind.second, footprint))
    return set(parts)


def positions(path: Path) -> set[str]:
    """References in a file of positions, without the fiducials."""
    with path.open(newline="") as file:
        return {row["Ref"] for row in csv.DictReader(file) if not row["Ref"].startswith("FID")}


def marked(text: str, without: Collection[str]) -> str:
    """The board with the parts `without` marked. BadInput if one of them is not on the board."""
    left = set(without)

    def mark(found: re.Match[str]) -> str:
        if found[1] != "footprint" or (reference := REFERENCE.findall(found[0])[0]) not in left:
            return found[0]
        left.remove(reference)
        return ATTRIBUTES.sub(r"\n\t\t(attr \1 dnp)", found[0])

    marked_text = boardfile.ITEM.sub(mark, text)
    if left:
        raise BadInput(f"board file: no {', '.join(sorted(left))} to mark")
    return marked_text


def noted(text: str, places: Places, name: str, variant: Variant) -> str:
    """The board with the variant's title and notes beside it; used only for the assembly drawing."""
    lines = [f"linetap, {variant.title}", "Crossed out: not fitted.", *variant.notes]
    x = MOVED + places.width + BESIDE
    items = [_text(each, x, MOVED + LINE * i, HIGH, "(justify left)", name) for i, each in enumerate(lines, 1)]
    items.append(_first_pin(text, name))
    return text.rstrip().removesuffix(")") + "\n".join(items) + "\n)\n"


def _first_pin(text: str, name: str) -> str:
    """A text at pin 1 of the socket, outside of it, in the direction from pin 3 to pin 1."""
    pads = {pad.number: pad for pad in boardfile.read(text).pads if pad.reference == SOCKET}
    first, third = pads["1"], pads["3"]
    x, y = (one + OUTSIDE * (one - other) for one, other in ((first.x, third.x), (first.y, third.y)))
    return _text("pin 1", x, y, 1.5, "", name)


def _text(words: str, x: float, y: float, high: float, justify: str, name: str) -> str:
    style = f"(effects (font (size {high:g} {high:g}) (thickness {high / 8:g})) {justify})"
    return f'(gr_text {quoted(words)} (at {x:g} {y:g} 0) (layer "F.Fab") {uid("note", name, words)} {style})'


def without_copper(text: str) -> str:
    """The board with its parts alone."""
    return boardfile.ITEM.sub(lambda found: found[0] if found[1] == "footprint" else "", text)
