# SPDX-License-Identifier: Apache-2.0
"""Writes a sheet as the text of a KiCad 9 .kicad_sch file, including its symbols."""

from __future__ import annotations

from collections.abc import Iterable

from drawing.laid import Label, Placed, Rail
from drawing.layout import lay_out
from drawing.route import Segment, Spot
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
LIES = {  # KiCad's angles, counter-clockwise
    "right": (0, ""),
    "down": (270, ""),
    "left": (180, ""),
    "up": (90, ""),
    "back": (0, "(mirror y)"),
}
SUPPLY = "supply"  # prefix of a supply symbol's name

Instances = list[tuple[str, int]]  # (path of the sheet, base of its references)


def schematic(sheet: Sheet, instances: Instances) -> str:
    layout = lay_out(sheet)
    kinds = {part.kind_name: part.kind for part in sheet.parts()}
    supplies = [supply(net, f"{LIBRARY}:") for net in sorted({rail.net for rail in layout.rails})]
    symbols = (symbol(name, kind, f"{LIBRARY}:{name}") for name, kind in sorted(kinds.items()))
    body = ["(lib_symbols", *symbols, *supplies, ")"]
    for each in layout.headings:
        style = "(effects (font (size 2 2) (bold yes)) (justify left))"
        place = f"{at(each.x, each.y)} {style} {uid(sheet.name, each.text)}"
        body.append(f"(text {quoted(each.text)} (exclude_from_sim no) {place})")
    body += drawn(sheet.name, layout.segments, layout.junctions)
    body += [
        f"(no_connect (at {mm(x)} {mm(y)}) {uid(sheet.name, 'open', str(x), str(y))})" for x, y in layout.open_pins
    ]
    body += [label(sheet, each) for each in layout.labels]
    body += [placed(sheet, each, instances) for each in layout.placed]
    body += [at_supply(sheet, each, i, instances) for i, each in enumerate(layout.rails, 1)]
    return document(sheet.name, layout.paper, sheet.title, body)


def drawn(name: str, segments: Iterable[Segment], junctions: Iterable[Spot]) -> list[str]:
    lines = [wire(*ends, name, "wire") for ends in segments]
    for x, y in junctions:
        lines.append(f"(junction (at {mm(x)} {mm(y)}) (diameter 0) {uid(name, 'junction', str(x), str(y))})")
    return lines


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
    """A symbol as text; its name is bare in a library, and prefixed with the library's name within a sheet."""
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
        _uses(kind, simulated=kind.bought),
        prop("Reference", "U" if form.names_shown else kind.symbol[0], 0, form.top + 0.7, shown=True),
        prop("Value", kind.value, 0, -form.bottom - 0.9, shown=True),
        prop("Footprint", "", 0, 0, shown=False),
        prop("Datasheet", "", 0, 0, shown=False),
        f"(symbol {quoted(name + '_0_1')}", *strokes, ")",
        f"(symbol {quoted(name + '_1_1')}", *pins, ")",
        "(embedded_fonts no))",
    ])  # fmt: skip


def _uses(kind: Kind, simulated: bool) -> str:
    excluded = "no" if simulated and kind.bought else "yes"
    bought, soldered = ("yes" if each else "no" for each in (kind.bought, kind.fitted))
    return f"(exclude_from_sim {excluded}) (in_bom {bought}) (on_board {soldered})"


def placed(sheet: Sheet, each: Placed, instances: Instances) -> str:
    part, kind, pins = each.part, each.part.kind, each.part.kind.pin_rows()
    name, (angle, mirror) = f"{part.prefix}{part.index}", LIES[each.turn]
    hidden = {"Footprint": "", "Datasheet": ""}
    if kind.bought:
        hidden |= {"Maker": kind.maker, "Number": kind.number}
    if kind.spice and sheet.simulated:
        nodes = " ".join(f"{pin.number}={pin.name}" for pin in pins)
        hidden |= {"Sim.Library": MODELS, "Sim.Name": kind.spice, "Sim.Device": "SUBCKT", "Sim.Pins": nodes}
    *first, value = each.texts()
    reference = first[0] if first else value
    level = 90 if angle in (90, 270) else 0  # KiCad rotates a part's texts with it
    lines = [
        f"(symbol (lib_id {quoted(f'{LIBRARY}:{part.kind_name}')}) {at(each.x, each.y, angle)} {mirror} (unit 1)",
        f"{_uses(kind, sheet.simulated)} (dnp no)",
        uid(sheet.name, name),
        prop("Reference", part.reference(instances[0][1]), reference.x, reference.y, shown=kind.fitted, angle=level),
        prop("Value", kind.value, value.x, value.y, shown=kind.symbol != "pad", angle=level),
        *(prop(key, text, each.x, each.y, shown=False) for key, text in hidden.items()),
        *(f"(pin {quoted(pin.number)} {uid(sheet.name, name, pin.number)})" for pin in pins),
        *_instances((path, part.reference(base)) for path, base in instances),
    ]
    return "\n".join([*lines, ")"])


def _instances(references: Iterable[tuple[str, str]]) -> list[str]:
    paths = (f"(path {quoted(path)} (reference {quoted(name)}) (unit 1))" for path, name in references)
    return [f"(instances (project {quoted(PROJECT)}", *paths, "))"]


def supply(net: str, library: str = "") -> str:
    """A supply symbol named after its net: a bar over its spot, for ground below it."""
    down = net == "GND"
    strokes = (
        (((0, 0), (0, 0.5)), ((-0.5, 0.5), (0.5, 0.5)), ((-0.3, 0.7), (0.3, 0.7)), ((-0.1, 0.9), (0.1, 0.9)))
        if down
        else (((0, 0), (0, -0.6)), ((-0.4, -0.6), (0.4, -0.6)))
    )
    lines = []
    for stroke in strokes:
        points = " ".join(f"(xy {mm(x)} {mm(-y)})" for x, y in stroke)
        lines.append(f"(polyline (pts {points}) (stroke (width 0.254)) (fill (type none)))")
    pin = f"(pin power_in line {at(0, 0, 270 if down else 90)} (length 0) (name {quoted(net)} {effects()})"
    name = f"{SUPPLY}_{net}"
    return "\n".join([
        f"(symbol {quoted(library + name)} (power) (pin_numbers (hide yes)) (pin_names (offset 0) (hide yes))",
        "(exclude_from_sim yes) (in_bom no) (on_board no)",
        prop("Reference", "#PWR", 0, 0, shown=False),
        prop("Value", net, 0, 1.1, shown=not down),
        prop("Footprint", "", 0, 0, shown=False),
        prop("Datasheet", "", 0, 0, shown=False),
        f"(symbol {quoted(name + '_0_1')}", *lines, ")",
        f"(symbol {quoted(name + '_1_1')} {pin} (number \"1\" {effects()})))",
        "(embedded_fonts no))",
    ])  # fmt: skip


def at_supply(sheet: Sheet, rail: Rail, index: int, instances: Instances) -> str:
    name = f"supply{index}"
    names = [(path, f"#PWR{base * 1000 + index}") for path, base in instances]
    return "\n".join([
        f"(symbol (lib_id {quoted(f'{LIBRARY}:{SUPPLY}_{rail.net}')}) {at(rail.x, rail.y)} (unit 1)",
        "(exclude_from_sim yes) (in_bom no) (on_board no) (dnp no)",
        uid(sheet.name, name),
        prop("Reference", names[0][1], rail.x, rail.y, shown=False),
        prop("Value", rail.net, rail.x, rail.y - 1.1, shown=rail.net != "GND"),
        f"(pin \"1\" {uid(sheet.name, name, '1')})",
        *_instances(names),
        ")",
    ])  # fmt: skip


def label(sheet: Sheet, each: Label) -> str:
    kind = "global_label" if each.net in sheet.rails else "hierarchical_label" if each.net in sheet.ports else "label"
    outline, bottom = ("", " bottom") if kind == "label" else ("(shape passive)", "")
    style = effects(f"(justify {JUSTIFY[each.side]}{bottom})")
    where, who = (
        at(each.x, each.y, LABEL_ANGLE[each.side]),
        uid(sheet.name, "label", each.net, str(each.x), str(each.y)),
    )
    return f"({kind} {quoted(each.net)} {outline} {where} {style} {who})"
