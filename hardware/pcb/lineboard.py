# SPDX-License-Identifier: Apache-2.0
"""One line of the card on its own board: its sheet with an edge, and the KiCad project around it."""

from __future__ import annotations

from drawing import schematic
from drawing.project import table
from drawing.schematic import GENERATOR, PROJECT
from drawing.sexpr import identity
from drawing.tables import CIRCUIT, Kind, Part, Sheet, load_kinds, load_sheet
from linetap_core.errors import BadInput
from pcb import footprints, project
from pcb.places import Places

NAME = "lineboard"
BASE = 1  # its parts have line 1's references


class LineBoard:
    """The board of one line. `nets`: KiCad's net name -> (reference, pad)."""

    name = NAME

    def __init__(self, *, edge: bool = True) -> None:
        """Loads the line; without its edge it is the block that the card repeats eight times. BadInput names file, line
        and fault.
        """
        self.kinds: dict[str, Kind] = load_kinds() | load_kinds(CIRCUIT / f"{NAME}.toml")
        self.footprints = footprints.load()
        self.footprint_of = footprints.by_part(self.footprints)
        line = load_sheet(CIRCUIT / "line.sheet", self.kinds)
        self.sheet: Sheet = load_sheet(CIRCUIT / f"{NAME}.sheet", self.kinds)
        self.sheet.rails = list(line.rails)
        self.sheet.blocks = line.blocks + (self.sheet.blocks if edge else [])
        self.title = self.sheet.title
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

    def plain(self, net: str) -> str:
        return net.removeprefix("/")

    def line_of(self, name: str) -> int:  # noqa: ARG002
        """0: the board has a single line."""
        return 0

    def path_of(self, reference: str) -> str:
        """A part's path in KiCad's schematic."""
        part = self.parts[reference]
        return "/" + identity(self.sheet.name, f"{part.prefix}{part.index}")

    def net_of(self, reference: str) -> dict[str, str]:
        """Pad -> net, of one part."""
        return {pad: net for net, nodes in self.nets.items() for part, pad in nodes if part == reference}

    def files(self, places: Places) -> dict[str, str]:
        """File name -> text of the project, without the board itself."""
        patterns = {name: [self.net_name(net) for net in each.nets] for name, each in places.classes.items()}
        return {
            f"{NAME}.kicad_sch": self._schematic(),
            f"{NAME}.kicad_pro": project.settings(NAME, places, patterns),
            f"{NAME}.kicad_dru": project.rules(places),
            "linetap.kicad_sym": self._symbols(),
            "sym-lib-table": table("sym", "linetap.kicad_sym"),
            "fp-lib-table": table("fp", f"../{footprints.FOLDER}"),
        }

    def _schematic(self) -> str:
        """The drawing's own text, for another project and with footprints."""
        text = schematic.schematic(self.sheet, [(f"/{identity(NAME)}", BASE)])
        text = text.replace(f'(project "{PROJECT}"', f'(project "{NAME}"')
        return footprints.in_schematic(text, self.footprint_of)

    def _symbols(self) -> str:
        """The library of the sheet's symbols."""
        brought = self._schematic().split("(lib_symbols\n", 1)[1].split("\n)\n(text ", 1)[0]
        body = brought.replace(f'(symbol "{footprints.LIBRARY}:', '(symbol "')
        return f"(kicad_symbol_lib (version 20241209) {GENERATOR}\n{body}\n)\n"
