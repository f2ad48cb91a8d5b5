# SPDX-License-Identifier: Apache-2.0
"""One line of the card on a board of its own: its sheet with an edge, and the KiCad project around it."""

from __future__ import annotations

import json
import re

from drawing import schematic
from drawing.schematic import GENERATOR, PROJECT
from drawing.sexpr import identity
from drawing.tables import CIRCUIT, Kind, Part, Sheet, load_kinds, load_sheet
from linetap_core.errors import BadInput
from pcb import footprints
from pcb.places import Places

NAME = "lineboard"
BASE = 1  # its parts have line 1's references
SYMBOL = re.compile(r'(\(lib_id "linetap:(\w+)"\).*?\(property "Footprint" )""', re.DOTALL)


class LineBoard:
    """`nets` as KiCad names them -> (reference, pad)."""

    def __init__(self) -> None:
        """BadInput names file, line and what is wrong."""
        self.kinds: dict[str, Kind] = load_kinds() | load_kinds(CIRCUIT / f"{NAME}.toml")
        self.footprints = footprints.load()
        self.footprint_of = footprints.by_part(self.footprints)
        line = load_sheet(CIRCUIT / "line.sheet", self.kinds)
        self.sheet: Sheet = load_sheet(CIRCUIT / f"{NAME}.sheet", self.kinds)
        self.sheet.rails = list(line.rails)
        self.sheet.blocks[:0] = line.blocks
        self.parts: dict[str, Part] = {part.reference(BASE): part for part in self.sheet.parts() if part.kind.fitted}
        self.nets: dict[str, list[tuple[str, str]]] = {}
        for reference, part in self.parts.items():
            if part.kind_name not in self.footprint_of:
                raise BadInput(f"footprints.toml: {reference}: {part.kind_name} has no footprint")
            for pin in part.kind.pin_rows():
                if pin.name in part.nets:
                    self.nets.setdefault(self.net_name(part.nets[pin.name]), []).append((reference, pin.number))

    def net_name(self, net: str) -> str:
        return net if net in self.sheet.rails else f"/{net}"

    def net_of(self, reference: str) -> dict[str, str]:
        """Pad -> net, of one part."""
        return {pad: net for net, nodes in self.nets.items() for part, pad in nodes if part == reference}

    def files(self, places: Places) -> dict[str, str]:
        """File name -> text, but for the board itself."""
        return {
            f"{NAME}.kicad_sch": self._schematic(),
            f"{NAME}.kicad_pro": _project(self, places),
            f"{NAME}.kicad_dru": _rules(places),
            "linetap.kicad_sym": self._symbols(),
            "sym-lib-table": _table("sym", "linetap.kicad_sym"),
            "fp-lib-table": _table("fp", "linetap.pretty"),
        } | {f"linetap.pretty/{name}": text for name, text in footprints.library(self.footprints).items()}

    def _schematic(self) -> str:
        """The drawing's own text, in another project and with footprints."""
        text = schematic.schematic(self.sheet, [(f"/{identity(NAME)}", BASE)])
        text = text.replace(f'(project "{PROJECT}"', f'(project "{NAME}"')
        return SYMBOL.sub(self._with_footprint, text)

    def _with_footprint(self, found: re.Match[str]) -> str:
        name = self.footprint_of.get(found[2])
        return f'{found[1]}"{footprints.LIBRARY}:{name}"' if name else found[0]

    def _symbols(self) -> str:
        """The library of the symbols that the sheet brings along."""
        brought = self._schematic().split("(lib_symbols\n", 1)[1].split("\n)\n(text ", 1)[0]
        body = brought.replace(f'(symbol "{footprints.LIBRARY}:', '(symbol "')
        return f"(kicad_symbol_lib (version 20241209) {GENERATOR}\n{body}\n)\n"


def _table(kind: str, file: str) -> str:
    row = f'(lib (name "linetap")(type "KiCad")(uri "${{KIPRJMOD}}/{file}")(options "")(descr ""))'
    return f"({kind}_lib_table\n  (version 7)\n  {row}\n)\n"


def _project(board: LineBoard, places: Places) -> str:
    classes = [
        {
            "name": "Default" if name == "CARD" else name,
            "clearance": each.clearance,
            "track_width": each.width,
            "via_diameter": each.via,
            "via_drill": each.drill,
        }
        for name, each in places.classes.items()
    ]
    patterns = [
        {"netclass": name, "pattern": board.net_name(net)} for name, each in places.classes.items() for net in each.nets
    ]
    rules = {
        "min_clearance": 0.2,
        "min_track_width": 0.2,
        "min_via_diameter": 0.6,
        "min_through_hole_diameter": 0.3,
        "min_copper_edge_clearance": 0.5,
        "min_hole_to_hole": 0.25,
        "min_via_annular_width": 0.13,
    }
    return (
        json.dumps(
            {
                "board": {"design_settings": {"rules": rules}},
                "meta": {"filename": f"{NAME}.kicad_pro", "version": 3},
                "net_settings": {"classes": classes, "meta": {"version": 4}, "netclass_patterns": patterns},
            },
            indent=2,
        )
        + "\n"
    )


def _rules(places: Places) -> str:
    """The barrier, as KiCad checks it. A pad without a net is a relay's other contact: the pair's as well."""
    card = "A.NetClass != 'LINE' && A.NetClass != 'MIDDLE' && A.NetName != ''"
    contact = "B.Type == 'Pad' && B.NetName == '' && B.memberOfFootprint('K*')"
    barrier = places.barrier
    rows = [
        ("pair to card", "creepage", f"{card} && B.NetClass == 'LINE'", barrier.line_to_card),
        ("pair to card, in air", "clearance", f"{card} && B.NetClass == 'LINE'", barrier.line_to_card),
        ("open contact to card", "clearance", f"{card} && {contact}", barrier.line_to_card),
        ("middle to card", "clearance", f"{card} && B.NetClass == 'MIDDLE'", barrier.middle_to_card),
        ("middle to pair", "clearance", "A.NetClass == 'MIDDLE' && B.NetClass == 'LINE'", barrier.line_to_middle),
    ]
    lines = ["(version 1)"]
    for name, kind, condition, least in rows:
        lines.append(f'(rule "{name}"\n  (condition "{condition}")\n  (constraint {kind} (min {least:g}mm)))')
    return "\n".join(lines) + "\n"
