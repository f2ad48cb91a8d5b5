# SPDX-License-Identifier: Apache-2.0
"""Writes all files of the KiCad project: the root with its sheets, and the libraries."""

from __future__ import annotations

from pathlib import Path

from drawing.root import Instance, root
from drawing.schematic import GENERATOR, LIBRARY, PROJECT, schematic, supply, symbol
from drawing.sexpr import identity
from drawing.tables import CIRCUIT, Kind, Sheet, load_kinds, load_sheet
from pcb import bodies, footprints

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
SUPPLIES = ("+3V3", "+5V", "GND", "PI3V3")


class Circuit:
    """The whole circuit, read from its tables."""

    def __init__(self, folder: Path = CIRCUIT) -> None:
        """Loads the tables. BadInput names file, line and fault."""
        self.kinds = load_kinds(folder / "parts.toml")
        names = [LINE_SHEET, *(name for name in OTHERS if (folder / f"{name}.sheet").exists())]
        self.sheets = {name: load_sheet(folder / f"{name}.sheet", self.kinds) for name in names}

    def instances(self, name: str) -> list[tuple[str, int]]:
        """(name on the root, base of the references) of each instance of a sheet; the line's sheet has eight."""
        return [(f"Line{i}", i) for i in range(1, LINES + 1)] if name == LINE_SHEET else [(name, OTHERS[name])]

    def nets(self) -> dict[str, list[tuple[str, str]]]:
        """Net of the whole card -> its (reference, pin number), under KiCad's net names."""
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
    """The name of a sheet's port on the root; a line's port gets the line's number."""
    return f"{port}{base}" if sheet.name == LINE_SHEET else port


def _instances(circuit: Circuit) -> list[Instance]:
    return [
        Instance(sheet, name, {port: outer_name(sheet, base, port) for port in sheet.ports})
        for sheet in circuit.sheets.values()
        for name, base in circuit.instances(sheet.name)
    ]


def files(circuit: Circuit) -> dict[str, str]:
    """File name -> text of all drawn files; the board's writer writes the project's settings."""
    known = footprints.load()
    named = footprints.by_part(known)
    texts = {f"{PROJECT}.kicad_sch": root(_instances(circuit))}
    for name, sheet in circuit.sheets.items():
        paths = [(f"/{identity(PROJECT)}/{identity('sheet', i)}", base) for i, base in circuit.instances(name)]
        texts[f"{name}.kicad_sch"] = footprints.in_schematic(schematic(sheet, paths), named)
    texts[f"{PROJECT}.kicad_sym"] = _library(circuit.kinds)
    texts["sym-lib-table"] = table("sym", f"{LIBRARY}.kicad_sym")
    texts["fp-lib-table"] = table("fp", footprints.FOLDER)
    texts |= {f"{footprints.FOLDER}/{name}": text for name, text in footprints.library(known).items()}
    return texts | {f"{footprints.MODELS}/{name}": text for name, text in bodies.files(known).items()}


def table(kind: str, file: str) -> str:
    row = f'(lib (name "{LIBRARY}")(type "KiCad")(uri "${{KIPRJMOD}}/{file}")(options "")(descr ""))'
    return f"({kind}_lib_table\n  (version 7)\n  {row}\n)\n"


def _library(kinds: dict[str, Kind]) -> str:
    body = "\n".join(symbol(name, kind, name) for name, kind in sorted(kinds.items()))
    body += "\n" + "\n".join(supply(net) for net in SUPPLIES)
    return f"(kicad_symbol_lib (version 20241209) {GENERATOR}\n{body}\n)\n"
