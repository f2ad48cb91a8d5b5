# SPDX-License-Identifier: Apache-2.0
"""Between a line and what a person may touch: which parts cross it, and what each of them stands.

Pieces of the card that any part joins are one; a part that insulates joins its sides only each within itself. What is
left must fall into the lines, the unit, and the 12 V side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rules.card import Card, Fitted

ASKED_VRMS = 1500  # the hi-pot test of hardware/README.md, between a line and the unit
APART = {  # kind: its sides, which it insulates from each other
    "transformer": ({"p1", "p2"}, {"s1", "s2"}),
    "relay": ({"c1", "c2"}, {"p1", "o1", "p2", "o2"}),
    "relay_closed": ({"c1", "c2"}, {"p1", "b1", "p2", "b2"}),
    "buck": ({"vin", "ret"}, {"vout", "gnd"}),
}
FUNCTIONAL = {"buck": "both sides are of the touchable kind: it keeps the 12 V side's ground apart, no line"}
HIGH_OHM = "hv_4M99"  # a resistor of the sense path: two in a row, and what comes through is microamperes
IN_A_ROW = 2
MANY_LINES = "rj21"  # a connector that keeps its contacts apart
LINE = re.compile(r"/(TIP|RING|TIP_TEL)(\d)")
TOUCHABLE, SUPPLY_SIDE = "GND", "/supply/vin"


def crossed(card: Card) -> Iterator[str]:
    pieces = card.joined(sides)
    lines = {net: matched[2] for net in card.nets if (matched := LINE.fullmatch(net))}
    where: dict[str, str] = {}
    for net, side in [(TOUCHABLE, "the unit"), (SUPPLY_SIDE, "the 12 V side"), *lines.items()]:
        if net not in pieces:
            yield f"{net} is not there"
        elif (other := where.setdefault(pieces[net], side)) != side:
            yield f"{net}: without insulation between {_name(other)} and {_name(side)}"
    for part in card.parts.values():
        if part.kind_name == HIGH_OHM:
            yield from _resistor(card, pieces, where, part)
        if part.kind_name in APART and part.kind_name not in FUNCTIONAL and part.kind.insulates_v < ASKED_VRMS:
            yield f"{part.reference} ({part.kind.value}) insulates {part.kind.insulates_v:g} V, asked {ASKED_VRMS}"


def _name(side: str) -> str:
    return f"line {side}" if side.isdigit() else side


def _resistor(card: Card, pieces: dict[str, str], where: dict[str, str], part: Fitted) -> Iterator[str]:
    """Never from side to side alone: each has a net of its own with the next of the row."""
    sides = [where.get(pieces[net]) for net in part.nets.values()]
    if sides.count(None) != IN_A_ROW - 1:
        yield f"{part.reference}: crosses the barrier alone" if None not in sides else f"{part.reference}: in no row"
    for net in part.nets.values():
        if where.get(pieces[net]) is None and {each.kind_name for each in card.on(net)} != {HIGH_OHM}:
            yield f"{net}: something else between two resistors of the barrier"


def sides(part: Fitted) -> Iterator[tuple[str, ...]]:
    """The nets that it joins."""
    if part.kind_name not in (HIGH_OHM, MANY_LINES):
        for side in APART.get(part.kind_name, (set(part.nets),)):
            if nets := tuple(part.nets[pin] for pin in part.nets if pin in side):
                yield nets
