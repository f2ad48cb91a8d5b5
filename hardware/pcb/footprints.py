# SPDX-License-Identifier: Apache-2.0
"""Loads circuit/footprints.toml, and writes its footprints for KiCad. Lengths in mm, y down."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from drawing.schematic import GENERATOR
from drawing.sexpr import quoted, uid
from drawing.tables import CIRCUIT
from linetap_core.errors import BadInput
from linetap_core.tomlfile.source import Source

LIBRARY = "linetap"
FOLDER = f"{LIBRARY}.pretty"
SYMBOL = re.compile(r'(\(lib_id "linetap:(\w+)"\).*?\(property "Footprint" )""', re.DOTALL)
SPARE = 0.25  # distance of the courtyard from copper and body
MODELS = f"{LIBRARY}.3dshapes"
FIDUCIAL = "fiducial"
CORNER = 0.25  # greatest radius of an opening's corners
SMALL = "(effects (font (size 0.8 0.8) (thickness 0.12)))"


@dataclass(frozen=True, slots=True)
class Pad:
    number: str
    x: float
    y: float
    width: float
    height: float
    drill: float = 0.0  # 0 without a hole
    slot: float = 0.0  # the drill's height, if it is a slot


@dataclass(frozen=True, slots=True)
class Look:
    """One of bodies.LOOKS, for the parts whose names begin with `who`, and its greatest height above the board."""

    who: str
    look: str
    height: float


class Footprint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A footprint. `like` is KiCad's own, as library/name, turned by `turned`; it lacks the pads `own`.

    Without such a footprint, `cover` is that of another part in a case of the same size, whose pads ours cover.

    `tall` is the source of the heights of `solids`.

    `mates` states, for two rows, the side of the board from which the mating half comes (`wrong_way`).

    `openings` are those of the stencil over large pads: x, y, width, height, with rounded corners. A pad below the
    middle of one has no paste of its own.

    A `bare` footprint is copper alone: no paste, nothing to buy or place. One with a `mask` is a round mark without net
    and sheet; `mask` is the opening in the solder mask.
    """

    parts: list[str]
    body: tuple[float, float, float, float]
    solids: list[str] = []
    tall: str = ""
    pads: list[str]
    names: list[str] = []
    pegs: list[str] = []
    openings: list[str] = []
    own: list[str] = []
    mates: Literal["", "above", "below"] = ""
    like: str
    turned: int = 0
    cover: str = ""
    bare: bool = False
    mask: float = 0.0

    def pad_rows(self) -> list[Pad]:
        """The pads, with the drawing's names. BadInput with the first invalid row."""
        names = {number: name for row in self.names for number, name in _named(row)}
        return [replace(pad, number=names.get(pad.number, pad.number)) for pad in self.numbered()]

    def numbered(self) -> list[Pad]:
        """The pads, with the maker's numbers."""
        return [pad for row in self.pads for pad in pads_of_row(row)]

    def looks(self) -> list[Look]:
        """The looks. BadInput with the first invalid row."""
        return [_look(row) for row in self.solids]

    def look_of(self, part: str) -> Look | None:
        """The look of a part; None for bare copper. BadInput if none of several applies to the part."""
        found = [each for each in self.looks() if each.who == "*" or part.startswith(each.who)]
        if self.solids and not found:
            raise BadInput(f"footprints.toml: {part} has no body among {', '.join(self.solids)}")
        return found[0] if found else None

    def peg_rows(self) -> list[tuple[float, float, float]]:
        """x, y, drill of each peg."""
        return [(pad.x, pad.y, pad.width) for row in self.pegs for pad in pads_of_row(f"- {row} 0")]

    def opening_rows(self) -> list[Pad]:
        """The openings of the stencil, without numbers."""
        return [pad for row in self.openings for pad in pads_of_row(f"- {row}")]

    def pasted(self, pad: Pad) -> bool:
        """Whether the stencil opens the whole pad."""
        across, down = pad.width / 2, pad.height / 2
        divided = any(abs(each.x - pad.x) < across and abs(each.y - pad.y) < down for each in self.opening_rows())
        return not (self.bare or pad.drill or divided)

    def courtyard(self) -> tuple[float, float, float, float]:
        pads = self.pad_rows()
        left, top, right, bottom = self.body
        return (
            min(left, *(pad.x - pad.width / 2 for pad in pads)) - SPARE,
            min(top, *(pad.y - pad.height / 2 for pad in pads)) - SPARE,
            max(right, *(pad.x + pad.width / 2 for pad in pads)) + SPARE,
            max(bottom, *(pad.y + pad.height / 2 for pad in pads)) + SPARE,
        )


def pads_of_row(row: str) -> list[Pad]:
    number, *words = row.split()
    try:
        lengths = [float(word) for word in words]
        if ".." not in number:
            return [Pad(number, *lengths)]
        x, y, right, down, *size = lengths
        return [Pad(each, x + i * right, y + i * down, *size) for i, each in enumerate(_run(number))]
    except (TypeError, ValueError):
        raise BadInput(f"footprints.toml: {row!r} is not: number x y width height [drill]") from None


def _look(row: str) -> Look:
    try:
        who, look, height = row.split()
        return Look(who, look, float(height))
    except ValueError:
        raise BadInput(f"footprints.toml: {row!r} is not: part look height") from None


def model(name: str, footprint: Footprint, look: Look) -> str:
    """The file name of a body; a footprint with several looks has one file for each."""
    return f"{name}.step" if len(footprint.solids) == 1 else f"{name}-{look.look}.step"


def _run(numbers: str) -> list[str]:
    """Expands `A4..A9` to A4 to A9."""
    first, last = numbers.split("..")
    letters = first.rstrip("0123456789")
    begin, end = int(first.removeprefix(letters)), int(last.removeprefix(letters))
    return [f"{letters}{i}" for i in range(begin, end + 1)]


def _named(row: str) -> list[tuple[str, str]]:
    """Expands `A4 vbus cc1` to A4 vbus, A5 cc1."""
    first, *names = row.split()
    letters = first.rstrip("0123456789")
    begin = int(first.removeprefix(letters))
    return [(f"{letters}{begin + i}", name) for i, name in enumerate(names)]


def wrong_way(footprint: Footprint) -> str:
    """The fault if odd and even pins of two rows would be exchanged; otherwise empty.

    On the Pi, seen from above with 3 below 1, pin 2 is to the right of 1. It is to the left in a socket that accepts
    pins from above, because the mating plug faces down.
    """
    pads = {pad.number: pad for pad in footprint.numbered()}
    first, second, third = (pads[number] for number in ("1", "2", "3"))
    turn = (second.x - first.x) * (third.y - first.y) - (second.y - first.y) * (third.x - first.x)
    socket = {look.look for look in footprint.looks()} == {"socket"}
    mirrored = socket == (footprint.mates == "above")
    if mirrored == (turn < 0):
        return ""
    side = "left" if mirrored else "right"
    return f"{'socket' if socket else 'pins'}, the other half from {footprint.mates}: 2 has to be to the {side} of 1"


def load(path: Path = CIRCUIT / "footprints.toml") -> dict[str, Footprint]:
    """Loads the footprints. BadInput names the footprint and its fault."""
    found: dict[str, Footprint] = {}
    for name, entry in Source(path).data.items():
        try:
            found[name] = msgspec.convert(entry, Footprint)
        except msgspec.ValidationError as error:
            raise BadInput(f"{path}: [{name}]: {error}") from None
        if found[name].mates and (said := wrong_way(found[name])):
            raise BadInput(f"{path}: [{name}]: {said}")
    return found


def compared(footprints: dict[str, Footprint]) -> set[str]:
    """Names of KiCad's footprints with which ours are compared."""
    return {name for each in footprints.values() for name in (each.like, each.cover) if name}


def by_part(footprints: dict[str, Footprint]) -> dict[str, str]:
    """Part of parts.toml -> the name of its footprint. BadInput if it has two."""
    names: dict[str, str] = {}
    for name, footprint in footprints.items():
        for part in footprint.parts:
            if part in names:
                raise BadInput(f"footprints.toml: {part} has two footprints, {names[part]} and {name}")
            names[part] = name
    return names


def library(footprints: dict[str, Footprint]) -> dict[str, str]:
    """File name -> text of the folder linetap.pretty."""
    head = f"(version 20241229) {GENERATOR}"
    return {
        f"{name}.kicad_mod": "\n".join([f"(footprint {quoted(name)} {head}", *body(name, each), ")"]) + "\n"
        for name, each in footprints.items()
    }


def in_schematic(text: str, footprint_of: dict[str, str]) -> str:
    """A sheet's text with the footprint of each part that has one."""

    def named(found: re.Match[str]) -> str:
        name = footprint_of.get(found[2])
        return f'{found[1]}"{LIBRARY}:{name}"' if name else found[0]

    return SYMBOL.sub(named, text)


def body(
    name: str,
    footprint: Footprint,
    reference: str = "REF**",
    value: str = "",
    turned: float = 0,
    nets: dict[str, str] | None = None,
    part: str = "",
) -> list[str]:
    """The content of a footprint, the same in the library and on a board; `nets` is the text for a pad's net.

    In the library it has the 3D body of the first of its parts.
    """
    pads, middle = footprint.pad_rows(), (footprint.body[0] + footprint.body[2]) / 2
    down = (footprint.body[1] + footprint.body[3]) / 2
    kind = "through_hole" if any(pad.drill for pad in pads) else "smd"
    lines = [
        '(layer "F.Cu")',
        _text("Reference", reference, middle, down, turned, reference, shown=True),
        _text("Value", value or name, middle, down + 1, turned, reference, shown=False),
        # KiCad adds missing ones, with a new identity each time.
        *(_text(empty, "", 0, 0, turned, reference, shown=False) for empty in ("Datasheet", "Description")),
        f"(attr {_attributes(kind, footprint)})",
        _box(footprint.courtyard(), "F.CrtYd", 0.05, reference, name),
        _box(footprint.body, "F.Fab", 0.1, reference, name),
    ]
    for i, (x, y, drill) in enumerate(footprint.peg_rows()):
        where = f"(at {x:g} {y:g} {turned:g}) (size {drill:g} {drill:g}) (drill {drill:g})"
        who = uid("peg", name, reference, str(i))
        lines.append(f'(pad "" np_thru_hole circle {where} (layers "*.Cu" "*.Mask") {who})')
    for i, pad in enumerate(pads):
        shape = ("circle" if pad.width == pad.height else "oval") if pad.drill or footprint.mask else "rect"
        hole = f"(drill oval {pad.drill:g} {pad.slot:g})" if pad.slot else f"(drill {pad.drill:g})" if pad.drill else ""
        paste = ' "F.Paste"' if footprint.pasted(pad) else ""
        layers = '"*.Cu" "*.Mask"' if pad.drill else f'"F.Cu" "F.Mask"{paste}'
        where = f"(at {pad.x:g} {pad.y:g} {turned:g}) (size {pad.width:g} {pad.height:g})"
        form = "thru_hole" if pad.drill else "smd"
        net = (nets or {}).get(pad.number, "")
        twin = [] if pad.number not in (each.number for each in pads[:i]) else [str(i)]
        who = uid("pad", name, reference, pad.number, *twin)
        margin = f"(solder_mask_margin {footprint.mask:g}) " if footprint.mask else ""
        lines.append(f"(pad {quoted(pad.number)} {form} {shape} {where} {hole} (layers {layers}) {net} {margin}{who})")
    for i, each in enumerate(footprint.opening_rows()):
        where = f"(at {each.x:g} {each.y:g} {turned:g}) (size {each.width:g} {each.height:g})"
        ratio = f"(roundrect_rratio {corner(each) / min(each.width, each.height):.4g})"
        who = uid("opening", name, reference, str(i))
        lines.append(f'(pad "" smd roundrect {where} (layers "F.Paste") {ratio} {who})')
    if footprint.solids:
        look = footprint.look_of(part or footprint.parts[0])
        assert look
        # Relative to the library's folder, as KiCad 9 resolves it: one folder of bodies for both projects.
        where = quoted(f"../{MODELS}/{model(name, footprint, look)}")
        lines.append(f"(model {where} (offset (xyz 0 0 0)) (scale (xyz 1 1 1)) (rotate (xyz 0 0 0)))")
    return lines


def corner(opening: Pad) -> float:
    """The radius of an opening's corners, as in KiCad's footprints."""
    return min(CORNER, opening.width / 4, opening.height / 4)


def _attributes(kind: str, footprint: Footprint) -> str:
    """The footprint's attributes. A mark is included in the positions, because the placing machine needs it."""
    if footprint.mask:
        return f"{kind} board_only exclude_from_bom"
    return f"{kind} exclude_from_pos_files exclude_from_bom" if footprint.bare else kind


def _text(name: str, text: str, x: float, y: float, turned: float, reference: str, *, shown: bool) -> str:
    hide = "" if shown else "(hide yes)"
    where = f'(at {x:g} {y:g} {turned:g}) (layer "F.Fab") {hide} {uid("property", reference, name)}'
    return f"(property {quoted(name)} {quoted(text)} {where} {SMALL})"


def _box(corners: tuple[float, float, float, float], layer: str, width: float, *path: str) -> str:
    left, top, right, bottom = (round(each, 3) for each in corners)
    stroke = f'(stroke (width {width}) (type solid)) (fill no) (layer "{layer}")'
    return f"(fp_rect (start {left:g} {top:g}) (end {right:g} {bottom:g}) {stroke} {uid('box', layer, *path)})"
