# SPDX-License-Identifier: Apache-2.0
"""A sheet as the text of a .kicad_sch file of KiCad 9, with its symbols in it."""

from __future__ import annotations

from collections.abc import Iterable

from drawing.layout import Label, Placed, lay_out
from drawing.sexpr import at, effects, mm, prop, quoted, uid, wire
from drawing.symbols import ANGLE, shape
from drawing.tables import Kind, Sheet

GENERATOR = '(generator "linetap_drawing") (generator_version "9.0")'
LICENCE = '(comment 2 "SPDX-License-Identifier: Apache-2.0")'
LIBRARY = "linetap"
PROJECT = "linetap"
LABEL_ANGLE = {"left": 180, "right": 0, "top": 90, "bottom": 270}
JUSTIFY = {"left": "right", "right": "left", "top": "left", "bottom": "right"}
MODELS = "circuit/models.lib"

Instances = list[tuple[str, int]]  # (path of the sheet, base of its references)


def schematic(sheet: Sheet, instances: Instances) -> str:
    layout = lay_out(sheet)
    kinds = {part.kind_name: part.kind for part in sheet.parts()}
    body = ["(lib_symbols", *(symbol(name, kind, f"{LIBRARY}:{name}") for name, kind in sorted(kinds.items())), ")"]
    for text, x, y in layout.headings:
        style = "(effects (font (size 2 2) (bold yes)) (justify left))"
        body.append(f"(text {quoted(text)} (exclude_from_sim no) {at(x, y)} {style} {uid(sheet.name, text)})")
    body += [wire(*ends, sheet.name, "wire") for ends in layout.wires]
    body += [
        f"(no_connect (at {mm(x)} {mm(y)}) {uid(sheet.name, 'open', str(x), str(y))})" for x, y in layout.open_pins
    ]
    body += [label(sheet, each) for each in layout.labels]
    body += [placed(sheet, each, instances) for each in layout.placed]
    return document(sheet.name, layout.paper, sheet.title, body)


def document(name: str, paper: str, title: str, body: Iterable[str]) -> str:
    warning = "Not approved, never built. Qualified persons only."
    lines = [
        f"(kicad_sch (version 20250114) {GENERATOR}",
        uid(name),
        f"(paper {quoted(paper)})",
        f"(title_block (title {quoted('linetap: ' + title)}) (comment 1 {quoted(warning)}) {LICENCE})",
        *body,
        "(embedded_fonts no)",
        ")",
    ]
    return "\n".join(lines) + "\n"


def symbol(name: str, kind: Kind, library_name: str) -> str:
    """For a library the bare name, within a sheet with the library's."""
    form = shape(kind)
    strokes = []
    for stroke in form.strokes:
        points = " ".join(f"(xy {mm(x)} {mm(-y)})" for x, y in stroke)
        strokes.append(f"(polyline (pts {points}) (stroke (width 0.254)) (fill (type none)))")
    pins = []
    for pin in form.pins:
        place = f"{at(pin.at[0], -pin.at[1], ANGLE[pin.pin.side])} (length {mm(pin.length)})"
        names = f"(name {quoted(pin.pin.name)} {effects()}) (number {quoted(pin.pin.number)} {effects()})"
        pins.append(f"(pin {pin.pin.type} line {place} {names})")
    flag = "" if kind.fitted else "(power)"
    hide = "" if form.names_shown else "(hide yes)"
    return "\n".join([
        f"(symbol {quoted(library_name)} {flag} (pin_numbers (hide yes)) (pin_names (offset 0.5) {hide})",
        _uses(kind, simulated=kind.fitted),
        prop("Reference", "U" if form.names_shown else kind.symbol[0], 0, form.top + 0.7, shown=True),
        prop("Value", kind.value, 0, -form.bottom - 0.9, shown=True),
        prop("Footprint", "", 0, 0, shown=False),
        prop("Datasheet", "", 0, 0, shown=False),
        f"(symbol {quoted(name + '_0_1')}", *strokes, ")",
        f"(symbol {quoted(name + '_1_1')}", *pins, ")",
        "(embedded_fonts no))",
    ])  # fmt: skip


def _uses(kind: Kind, simulated: bool) -> str:
    excluded, bought = "no" if simulated else "yes", "yes" if kind.fitted else "no"
    return f"(exclude_from_sim {excluded}) (in_bom {bought}) (on_board {bought})"


def placed(sheet: Sheet, each: Placed, instances: Instances) -> str:
    part, kind, pins = each.part, each.part.kind, each.part.kind.pin_rows()
    name = f"{part.prefix}{part.index}"
    aside = any(pin.side in ("top", "bottom") for pin in pins) and kind.fitted  # where a rail's label stands upright
    x, justify = (each.x + 1.5, "left") if aside else (each.x, "")
    hidden = {"Footprint": "", "Datasheet": ""}
    if kind.fitted:
        hidden |= {"Maker": kind.maker, "Number": kind.number}
    if kind.spice and sheet.simulated:
        nodes = " ".join(f"{pin.number}={pin.name}" for pin in pins)
        hidden |= {"Sim.Library": MODELS, "Sim.Name": kind.spice, "Sim.Device": "SUBCKT", "Sim.Pins": nodes}
    reference, above, below = part.reference(instances[0][1]), each.y - each.shape.top, each.y + each.shape.bottom
    lines = [
        f"(symbol (lib_id {quoted(f'{LIBRARY}:{part.kind_name}')}) {at(each.x, each.y)} (unit 1)",
        f"{_uses(kind, sheet.simulated)} (dnp no)",
        uid(sheet.name, name),
        prop("Reference", reference, x, above - 0.5, shown=kind.fitted, justify=justify),
        prop("Value", kind.value, x, below + 0.5, shown=True, justify=justify),
        *(prop(key, value, each.x, each.y, shown=False) for key, value in hidden.items()),
        *(f"(pin {quoted(pin.number)} {uid(sheet.name, name, pin.number)})" for pin in pins),
        f"(instances (project {quoted(PROJECT)}",
        *(f"(path {quoted(path)} (reference {quoted(part.reference(base))}) (unit 1))" for path, base in instances),
    ]
    return "\n".join([*lines, ")))"])


def label(sheet: Sheet, each: Label) -> str:
    kind = "global_label" if each.net in sheet.rails else "hierarchical_label" if each.net in sheet.ports else "label"
    outline, bottom = ("", " bottom") if kind == "label" else ("(shape passive)", "")
    style = effects(f"(justify {JUSTIFY[each.side]}{bottom})")
    where, who = (
        at(each.x, each.y, LABEL_ANGLE[each.side]),
        uid(sheet.name, "label", each.net, str(each.x), str(each.y)),
    )
    return f"({kind} {quoted(each.net)} {outline} {where} {style} {who})"
