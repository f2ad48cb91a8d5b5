# SPDX-License-Identifier: Apache-2.0
"""The whole card as a board: the parts and nets of all sheets, and one line's copper eight times."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import msgspec

from drawing.project import LINE_SHEET, LINES, Circuit, net_name
from drawing.schematic import PROJECT
from drawing.sexpr import identity
from drawing.tables import CIRCUIT, Part
from linetap_core.errors import BadInput
from linetap_core.tomlfile.source import Source
from pcb import footprints, project
from pcb.lineboard import LineBoard
from pcb.places import Places, checked
from pcb.routing import Track

NAME = PROJECT
INNER = re.compile(r"/Line\d/(.+)")
OF_LINE = re.compile(r"/(?:TIP|RING|TIP_TEL)(\d)|/Line(\d)/.+|K(\d)\d\d")


class CardBoard:
    """The card's board. `nets`: KiCad's net name, those of deliberately open pins included -> (reference, pad)."""

    name = NAME
    title = "the whole card, eight lines"

    def __init__(self) -> None:
        """Loads the circuit. BadInput names file, line and fault."""
        self.circuit = Circuit()
        self._line = self.circuit.sheets[LINE_SHEET]
        self.footprints = footprints.load()
        self.footprint_of = footprints.by_part(self.footprints)
        self.parts: dict[str, Part] = {}
        self.nets = self.circuit.nets()
        self._path: dict[str, str] = {}
        for sheet in self.circuit.sheets.values():
            for instance, base in self.circuit.instances(sheet.name):
                for part in sheet.parts():
                    if part.kind.fitted:
                        self.parts[part.reference(base)] = part
                        where = (identity("sheet", instance), identity(sheet.name, f"{part.prefix}{part.index}"))
                        self._path[part.reference(base)] = "/" + "/".join(where)
        for reference, part in self.parts.items():
            if part.kind_name not in self.footprint_of:
                raise BadInput(f"footprints.toml: {reference}: {part.kind_name} has no footprint")
            for pin in part.kind.pin_rows():
                if pin.name not in part.nets:
                    name = "" if pin.name == pin.number else f"{pin.name}-"
                    self.nets[f"unconnected-({reference}-{name}Pad{pin.number})"] = [(reference, pin.number)]

    def plain(self, net: str) -> str:
        if inner := INNER.fullmatch(net):
            return inner[1]
        port = net[1:-1]
        return port if net.startswith("/") and port in self._line.ports else net

    def line_of(self, name: str) -> int:
        matched = OF_LINE.fullmatch(name)
        return int(next(filter(None, matched.groups()))) if matched else 0

    def path_of(self, reference: str) -> str:
        return self._path[reference]

    def files(self, places: Places) -> dict[str, str]:
        """File name -> text of the project's other files; its sheets are the drawing's own."""
        return {
            f"{NAME}.kicad_pro": project.settings(NAME, places, self._patterns(places)),
            # Creepage is checked by windows (windows.py).
            f"{NAME}.kicad_dru": project.rules(places, "clearance", lines=LINES),
        }

    def _patterns(self, places: Places) -> dict[str, list[str]]:
        """KiCad's names of the nets of each class; a question mark stands for the line's number. Each line's pair has a
        class too.
        """

        def pattern(net: str) -> str:
            if "/" in net or net in self._line.rails:
                return net
            return f"/{net}?" if net in self._line.ports else f"/Line?/{net}"

        found = {name: [pattern(net) for net in each.nets] for name, each in places.classes.items()}
        pairs = {
            f"{project.PAIR}{line}": [net.replace("?", str(line)) for net in found["LINE"]]
            for line in range(1, LINES + 1)
        }
        return found | pairs


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The place of one line: its corner, and whether it is rotated by 180 degrees."""

    line: int
    x: float
    y: float
    turned: bool = False

    def spot(self, x: float, y: float, line: Places) -> tuple[float, float]:
        return (self.x + line.width - x, self.y + line.height - y) if self.turned else (self.x + x, self.y + y)


def load(line: Places, path: Path = CIRCUIT / "cardplaces.toml") -> tuple[Places, list[Block]]:
    """Loads the card's places, with one line's eight times. BadInput with the fault."""
    data = Source(path).data
    rows = data.pop("block", [])
    try:
        blocks = msgspec.convert(rows, list[Block])
    except msgspec.ValidationError as error:
        raise BadInput(f"{path}: block: {error}") from None
    data["barrier"] = msgspec.to_builtins(line.barrier)
    data["class"] = msgspec.to_builtins(line.classes) | data.get("class", {})
    card = checked(path, data)
    for block in blocks:
        for reference, (x, y, turned) in line.place.items():
            if reference[0] != "J":
                other = re.sub(r"1(\d\d)$", rf"{block.line}\1", reference)
                card.place[other] = (*block.spot(x, y, line), (turned + 180 * block.turned) % 360)
    return card, blocks


def of_one_line(line: Places) -> tuple[LineBoard, Places]:
    """The source of the copies: one line without its edge."""
    alone = LineBoard(edge=False)
    return alone, msgspec.structs.replace(line, place={each: line.place[each] for each in alone.parts})


def copied(tracks: list[Track], blocks: list[Block], line: Places, card: CardBoard) -> list[Track]:
    """One line's tracks, copied to all lines."""
    sheet = card.circuit.sheets[LINE_SHEET]
    found = []
    for block in blocks:
        for track in tracks:
            net = net_name(sheet, f"Line{block.line}", block.line, track.net.removeprefix("/"))
            x1, y1 = block.spot(track.x1, track.y1, line)
            x2, y2 = block.spot(track.x2, track.y2, line)
            found.append(replace(track, net=net, x1=x1, y1=y1, x2=x2, y2=y2))
    return found
