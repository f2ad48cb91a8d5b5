# SPDX-License-Identifier: Apache-2.0
"""All files of the KiCad project: the root with its sheets, the library, the settings."""

from __future__ import annotations

import json
from pathlib import Path

from drawing.schematic import GENERATOR, LIBRARY, PROJECT, document, schematic, symbol
from drawing.sexpr import at, effects, identity, mm, prop, quoted, uid, wire
from drawing.tables import CIRCUIT, Kind, Sheet, load_kinds, load_sheet

LINES = 8
LINE_SHEET = "line"
OTHERS = {
    "references": 9,
    "supply": 10,
    "meter": 11,
    "audio": 12,
    "connectors": 13,
    "panel": 14,
    "usb": 15,
}  # base of their references
WIDTH, GAP, EDGE, ACROSS = 16, 14, 8, 5  # of the sheets on the root, and how many side by side


class Circuit:
    """The whole circuit as its tables say it."""

    def __init__(self, folder: Path = CIRCUIT) -> None:
        """BadInput names file, line and what is wrong."""
        self.kinds = load_kinds(folder / "parts.toml")
        names = [LINE_SHEET, *(name for name in OTHERS if (folder / f"{name}.sheet").exists())]
        self.sheets = {name: load_sheet(folder / f"{name}.sheet", self.kinds) for name in names}

    def instances(self, name: str) -> list[tuple[str, int]]:
        """(name on the root, base of its references); the line's sheet is there eight times."""
        return [(f"Line{i}", i) for i in range(1, LINES + 1)] if name == LINE_SHEET else [(name, OTHERS[name])]

    def nets(self) -> dict[str, list[tuple[str, str]]]:
        """Net of the whole card -> its (reference, pin number), as KiCad names nets."""
        nets: dict[str, list[tuple[str, str]]] = {}
        for sheet in self.sheets.values():
            for instance, base in self.instances(sheet.name):
                for part in sheet.parts():
                    for pin in part.kind.pin_rows():
                        if pin.name in part.nets and part.kind.fitted:
                            net = net_name(sheet, instance, base, part.nets[pin.name])
                            nets.setdefault(net, []).append((part.reference(base), pin.number))
        return {net: sorted(nodes) for net, nodes in sorted(nets.items())}


def net_name(sheet: Sheet, instance: str, base: int, net: str) -> str:
    if net in sheet.rails:
        return net
    if net in sheet.ports:
        return f"/{outer_name(sheet, base, net)}"
    return f"/{instance}/{net}"


def outer_name(sheet: Sheet, base: int, port: str) -> str:
    """A line's port has the line's number on the root."""
    return f"{port}{base}" if sheet.name == LINE_SHEET else port


def files(circuit: Circuit) -> dict[str, str]:
    """File name -> text, of everything that is drawn."""
    texts = {f"{PROJECT}.kicad_sch": _root(circuit)}
    for name, sheet in circuit.sheets.items():
        paths = [(f"/{identity(PROJECT)}/{identity('sheet', i)}", base) for i, base in circuit.instances(name)]
        texts[f"{name}.kicad_sch"] = schematic(sheet, paths)
    texts[f"{PROJECT}.kicad_sym"] = _library(circuit.kinds)
    texts[f"{PROJECT}.kicad_pro"] = (
        json.dumps({"meta": {"filename": f"{PROJECT}.kicad_pro", "version": 3}}, indent=2) + "\n"
    )
    row = f'(lib (name "{LIBRARY}")(type "KiCad")(uri "${{KIPRJMOD}}/{LIBRARY}.kicad_sym")(options "")(descr ""))'
    texts["sym-lib-table"] = f"(sym_lib_table\n  (version 7)\n  {row}\n)\n"
    return texts


def _library(kinds: dict[str, Kind]) -> str:
    body = "\n".join(symbol(name, kind, name) for name, kind in sorted(kinds.items()))
    return f"(kicad_symbol_lib (version 20241209) {GENERATOR}\n{body}\n)\n"


def _root(circuit: Circuit) -> str:
    body: list[str] = []
    x, y, deepest, across, page = EDGE, EDGE, 0, 0, 1
    for sheet in circuit.sheets.values():
        for instance, base in circuit.instances(sheet.name):
            if across == ACROSS:
                x, y, deepest, across = EDGE, y + deepest + 4, 0, 0
            page += 1
            body += _sheet(sheet, instance, base, x, y, page)
            x, across, deepest = x + WIDTH + GAP, across + 1, max(deepest, len(sheet.ports) + 2)
    return document(PROJECT, "A3", "a card of eight lines", [*body, '(sheet_instances (path "/" (page "1")))'])


def _sheet(sheet: Sheet, instance: str, base: int, x: int, y: int, page: int) -> list[str]:
    """The sheet's box with its ports on the right, each with the label of its net."""
    right, high = x + WIDTH, len(sheet.ports) + 2
    box = (
        f"(at {mm(x)} {mm(y)}) (size {mm(WIDTH)} {mm(high)}) (stroke (width 0.15) (type solid)) (fill (color 0 0 0 0))"
    )
    lines = [
        f"(sheet {box} {uid('sheet', instance)}",
        prop("Sheetname", instance, x, y - 0.3, shown=True, justify="left bottom"),
        prop("Sheetfile", f"{sheet.name}.kicad_sch", x, y + high + 0.3, shown=True, justify="left top"),
    ]
    outside: list[str] = []
    for i, port in enumerate(sheet.ports, y + 1):
        name, inner, outer = outer_name(sheet, base, port), effects("(justify right)"), effects("(justify left bottom)")
        lines.append(f"(pin {quoted(port)} passive {at(right, i)} {uid('pin', instance, port)} {inner})")
        outside.append(wire(right, i, right + 1, i, "stub", instance, port))
        outside.append(f"(label {quoted(name)} {at(right + 1, i)} {outer} {uid('outside', instance, port)})")
    path = f"(path {quoted('/' + identity(PROJECT))} (page {quoted(str(page))}))"
    return [*lines, f"(instances (project {quoted(PROJECT)} {path})))", *outside]
