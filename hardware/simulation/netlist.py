# SPDX-License-Identifier: Apache-2.0
"""Reads and changes the SPICE netlist that KiCad exports from the drawing, one element a line."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from linetap_core.errors import BadInput

HARDWARE = Path(__file__).resolve().parent.parent
NETLIST = HARDWARE / "linetap.cir"
MODELS = HARDWARE / "circuit" / "models.lib"
MOST_BYTES = 4 << 20
UNITS = {"": 1.0, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "Meg": 1e6}
VALUE = re.compile(r"([0-9.]+(?:e[-+][0-9]+)?)(p|n|u|m|k|Meg|)")  # with an exponent if the value was scaled
ELEMENT = re.compile(r"X?([A-Z]+)([0-9]+)")


@dataclass(frozen=True, slots=True)
class Element:
    """An element. `what`: a resistor's or capacitor's value or the name of a subcircuit; `more`: its parameters."""

    reference: str
    nodes: tuple[str, ...]
    what: str
    subcircuit: bool
    more: str = ""

    @property
    def sheet(self) -> int:
        """1 to 8 for a line; the hundreds of the reference."""
        matched = ELEMENT.fullmatch(self.reference)
        assert matched
        return int(matched[2]) // 100

    @property
    def value(self) -> float:
        """The value in ohm or farad."""
        matched = VALUE.fullmatch(self.what)
        if not matched:
            raise BadInput(f"{self.reference}: {self.what!r} is no value")
        return float(matched[1]) * UNITS[matched[2]]

    def text(self) -> str:
        return " ".join([("X" if self.subcircuit else "") + self.reference, *self.nodes, self.what, self.more]).rstrip()


@dataclass(frozen=True, slots=True)
class Netlist:
    elements: dict[str, Element]

    @classmethod
    def read(cls, path: Path = NETLIST) -> Netlist:
        """Reads a netlist. BadInput names the first line that is no element."""
        text = path.read_bytes()[:MOST_BYTES].decode()
        found: dict[str, Element] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if line and line[0] not in ".*":
                words = line.split()
                matched = ELEMENT.fullmatch(words[0])
                if not matched or len(words) < 4:
                    raise BadInput(f"{path}:{number}: {line[:60]!r} is no element")
                reference = words[0].removeprefix("X") if words[0][0] == "X" else words[0]
                found[reference] = Element(reference, tuple(words[1:-1]), words[-1], words[0][0] == "X")
        return cls(found)

    def line(self, *numbers: int) -> Netlist:
        """The front ends of these lines, of line 1 if none is named, and the references."""
        wanted = {*(numbers or (1,)), 9}
        return Netlist({name: each for name, each in self.elements.items() if each.sheet in wanted})

    def touching(self, nets: set[str]) -> Netlist:
        """The elements with a node among these nets: a part of the circuit is simulated faster than the whole."""
        return Netlist({name: each for name, each in self.elements.items() if nets & set(each.nodes)})

    def text(self) -> str:
        return "\n".join(each.text() for each in self.elements.values())

    def scaled(self, factors: dict[str, float]) -> Netlist:
        return self._with({ref: f"{self.elements[ref].value * factor:.9g}" for ref, factor in factors.items()})

    def replaced(self, reference: str, what: str) -> Netlist:
        return self._with({reference: what})

    def rewired(self, reference: str, *nodes: str) -> Netlist:
        return Netlist(self.elements | {reference: replace(self.elements[reference], nodes=nodes)})

    def renamed(self, net: str, name: str) -> Netlist:
        """The netlist with a net renamed, which disconnects it from its driver."""
        nodes = {
            ref: tuple(name if node == net else node for node in each.nodes) for ref, each in self.elements.items()
        }
        return Netlist({ref: replace(each, nodes=nodes[ref]) for ref, each in self.elements.items()})

    def given(self, parameters: dict[str, str]) -> Netlist:
        """The netlist with other parameters for its subcircuits."""
        changed = {ref: replace(self.elements[ref], more=text) for ref, text in parameters.items()}
        return Netlist(self.elements | changed)

    def leaking(self, reference: str, ampere: float) -> Netlist:
        """The netlist with a current out of the part's first node, in addition to that of its model."""
        source = Element(f"I{reference.lstrip('D')}", (self.elements[reference].nodes[0], "0"), f"{ampere:.6g}", False)
        return Netlist(self.elements | {source.reference: source})

    def without(self, reference: str) -> Netlist:
        return Netlist({name: each for name, each in self.elements.items() if name != reference})

    def _with(self, what: dict[str, str]) -> Netlist:
        return Netlist(self.elements | {ref: replace(self.elements[ref], what=text) for ref, text in what.items()})


def committed(exported: str) -> str:
    """KiCad's export without machine-dependent text, in an order that is stable against changes of the drawing."""
    lines = [line for line in exported.splitlines() if line and line[0] not in ".*"]
    lines.sort(key=lambda line: (_sheet_and_name(line), line))
    head = [
        "* SPDX-License-Identifier: Apache-2.0",
        "* Exported by KiCad from linetap.kicad_sch (tools/draw.py). Not written by hand.",
    ]
    return "\n".join([*head, *lines, ".end"]) + "\n"


def _sheet_and_name(line: str) -> tuple[int, str, int]:
    matched = ELEMENT.fullmatch(line.split()[0])
    if not matched:
        raise BadInput(f"KiCad exported {line[:60]!r}, which is no element")
    return int(matched[2]) // 100, matched[1], int(matched[2])
