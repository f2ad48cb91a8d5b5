# SPDX-License-Identifier: Apache-2.0
"""The footprints of circuit/footprints.toml, and their text for KiCad. Lengths in mm, y down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from drawing.schematic import GENERATOR
from drawing.sexpr import quoted, uid
from drawing.tables import CIRCUIT
from linetap_core.errors import BadInput
from linetap_core.tomlfile.source import Source

LIBRARY = "linetap"
SPARE = 0.25  # from copper and body to the courtyard
SMALL = "(effects (font (size 0.8 0.8) (thickness 0.12)))"


@dataclass(frozen=True, slots=True)
class Pad:
    number: str
    x: float
    y: float
    width: float
    height: float
    drill: float = 0.0  # 0 where it does not go through


class Footprint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`like` is KiCad's own, as library/name. A `bare` one is copper alone: no paste, nothing to buy or place."""

    parts: list[str]
    body: tuple[float, float, float, float]
    pads: list[str]
    like: str
    bare: bool = False

    def pad_rows(self) -> list[Pad]:
        """BadInput with the row that is no pad."""
        rows: list[Pad] = []
        for row in self.pads:
            number, *lengths = row.split()
            try:
                rows.append(Pad(number, *map(float, lengths)))
            except (TypeError, ValueError):
                raise BadInput(f"footprints.toml: {row!r} is not: number x y width height [drill]") from None
        return rows

    def courtyard(self) -> tuple[float, float, float, float]:
        pads = self.pad_rows()
        left, top, right, bottom = self.body
        return (
            min(left, *(pad.x - pad.width / 2 for pad in pads)) - SPARE,
            min(top, *(pad.y - pad.height / 2 for pad in pads)) - SPARE,
            max(right, *(pad.x + pad.width / 2 for pad in pads)) + SPARE,
            max(bottom, *(pad.y + pad.height / 2 for pad in pads)) + SPARE,
        )


def load(path: Path = CIRCUIT / "footprints.toml") -> dict[str, Footprint]:
    """BadInput names the footprint and what is wrong with it."""
    found: dict[str, Footprint] = {}
    for name, entry in Source(path).data.items():
        try:
            found[name] = msgspec.convert(entry, Footprint)
        except msgspec.ValidationError as error:
            raise BadInput(f"{path}: [{name}]: {error}") from None
    return found


def by_part(footprints: dict[str, Footprint]) -> dict[str, str]:
    """Part of parts.toml -> the name of its footprint. BadInput when it has two."""
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


def body(
    name: str,
    footprint: Footprint,
    reference: str = "REF**",
    value: str = "",
    turned: float = 0,
    nets: dict[str, str] | None = None,
) -> list[str]:
    """What stands in a footprint, in the library and on a board alike; `nets` is the text for a pad's net."""
    pads, middle = footprint.pad_rows(), (footprint.body[0] + footprint.body[2]) / 2
    down = (footprint.body[1] + footprint.body[3]) / 2
    kind = "through_hole" if any(pad.drill for pad in pads) else "smd"
    lines = [
        '(layer "F.Cu")',
        _text("Reference", reference, middle, down, turned, reference, shown=True),
        _text("Value", value or name, middle, down + 1, turned, reference, shown=False),
        # Without these two KiCad adds them, with a new identity each time.
        *(_text(empty, "", 0, 0, turned, reference, shown=False) for empty in ("Datasheet", "Description")),
        f"(attr {kind} exclude_from_pos_files exclude_from_bom)" if footprint.bare else f"(attr {kind})",
        _box(footprint.courtyard(), "F.CrtYd", 0.05, reference, name),
        _box(footprint.body, "F.Fab", 0.1, reference, name),
    ]
    for pad in pads:
        shape = ("circle" if pad.width == pad.height else "oval") if pad.drill else "rect"
        hole = f"(drill {pad.drill:g})" if pad.drill else ""
        paste = "" if footprint.bare else ' "F.Paste"'
        layers = '"*.Cu" "*.Mask"' if pad.drill else f'"F.Cu" "F.Mask"{paste}'
        where = f"(at {pad.x:g} {pad.y:g} {turned:g}) (size {pad.width:g} {pad.height:g})"
        form = "thru_hole" if pad.drill else "smd"
        net = (nets or {}).get(pad.number, "")
        who = uid("pad", name, reference, pad.number)
        lines.append(f"(pad {quoted(pad.number)} {form} {shape} {where} {hole} (layers {layers}) {net} {who})")
    return lines


def _text(name: str, text: str, x: float, y: float, turned: float, reference: str, *, shown: bool) -> str:
    hide = "" if shown else "(hide yes)"
    where = f'(at {x:g} {y:g} {turned:g}) (layer "F.Fab") {hide} {uid("property", reference, name)}'
    return f"(property {quoted(name)} {quoted(text)} {where} {SMALL})"


def _box(corners: tuple[float, float, float, float], layer: str, width: float, *path: str) -> str:
    left, top, right, bottom = (round(each, 3) for each in corners)
    stroke = f'(stroke (width {width}) (type solid)) (fill no) (layer "{layer}")'
    return f"(fp_rect (start {left:g} {top:g}) (end {right:g} {bottom:g}) {stroke} {uid('box', layer, *path)})"
