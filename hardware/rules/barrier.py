# SPDX-License-Identifier: Apache-2.0
"""Between a line and what a person may touch: which parts cross it, and what each of them insulates.

Pieces of the card that any part joins are one; a part that insulates joins its sides only each within itself. What is
left must fall into the lines, the unit, and the 12 V side. What is asked of a crossing depends on the two sides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import sqrt
from typing import NamedTuple

from rules.card import Card, Fitted

RANKS = {"": 0, "functional": 0, "basic": 1, "supplementary": 1, "reinforced": 2}


class Asked(NamedTuple):
    """`peak_v` is that of the electric strength test; each of two resistors in a row stands `each_v`."""

    grade: str
    peak_v: float
    each_v: float


# A pair rings at 150 V: ES2, or TNV-3. TI (SLUP419, 2.7) has basic insulation from that to a user, and in its table 2
# reinforced to what is not earthed. Nothing earths the unit for certain, so it is reinforced. 1500 V between a pair
# and the unit (decision 0230) are tested with 2500 V peak then, with 1500 V as basic (IEC 62368-1, table 25).
TOUCHED = Asked("reinforced", 2500.0, 1500.0)
BETWEEN = {
    frozenset({"line", "the unit"}): TOUCHED,
    frozenset({"line", "the 12 V side"}): TOUCHED,
    frozenset({"the 12 V side", "the unit"}): Asked("functional", 0.0, 0.0),  # both are below 60 V, and may be touched
}
# Kinds that are not what is asked, with the grade that their makers state: open questions of hardware/laboratory.md.
OPEN = {
    "relay": "supplementary",  # G6S-Y: EN 60950 and EN 41003, 250 V, pollution degree 2 (Omron's sheet)
    "transformer": "",  # P3126: EN 60950, safety isolation, 6.5 kVDC on each; no grade was read (ETALDOC 501/4)
}

APART = {  # kind: its sides, which it insulates from each other
    "transformer": ({"p1", "p2"}, {"s1", "s2"}),
    "relay": ({"c1", "c2"}, {"p1", "o1", "p2", "o2"}),
    "relay_closed": ({"c1", "c2"}, {"p1", "b1", "p2", "b2"}),
    "buck": ({"vin", "ret"}, {"vout", "gnd"}),
}
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
        if part.kind_name in APART:
            yield from _insulates(pieces, where, part)


def open_grades(card: Card) -> tuple[int, int]:
    """Of the parts between a line and the unit: how many have not the grade asked, or none that is known; and all."""
    across = card.of(*(APART.keys() - {"buck"}))
    return sum(RANKS[part.kind.insulation] < RANKS[TOUCHED.grade] for part in across), len(across)


def _name(side: str) -> str:
    return f"line {side}" if side.isdigit() else side


def _insulates(pieces: dict[str, str], where: dict[str, str], part: Fitted) -> Iterator[str]:
    """Enough for the sides that it is between; between two nets of one side nothing is asked."""
    found = [{where.get(pieces[part.nets[pin]]) for pin in side if pin in part.nets} for side in APART[part.kind_name]]
    for one, other in ((a, b) for a in found[0] for b in found[1] if a and b and a != b):
        pair = frozenset("line" if side.isdigit() else side for side in (one, other))
        if pair not in BETWEEN:
            yield f"{part.reference} ({part.kind.value}) is between {_name(one)} and {_name(other)}"
            continue
        asked, kind = BETWEEN[pair], part.kind
        if (peak_v := sqrt(2) * kind.insulates_v) < asked.peak_v:
            yield f"{part.reference} ({kind.value}) insulates {peak_v:.0f} V peak, asked {asked.peak_v:g}"
        enough = RANKS[kind.insulation] >= RANKS[asked.grade]
        if not enough and OPEN.get(part.kind_name) != kind.insulation:
            yield f"{part.reference} ({kind.value}): insulation {kind.insulation or 'of no grade'}, asked {asked.grade}"
        if enough and asked.grade == TOUCHED.grade and part.kind_name in OPEN:
            yield f"{part.reference} ({kind.value}): is {asked.grade}, and still an open question (OPEN)"


def _resistor(card: Card, pieces: dict[str, str], where: dict[str, str], part: Fitted) -> Iterator[str]:
    """Never from side to side alone: each has a net of its own with the next of the row."""
    sides = [where.get(pieces[net]) for net in part.nets.values()]
    if sides.count(None) != IN_A_ROW - 1:
        yield f"{part.reference}: crosses the barrier alone" if None not in sides else f"{part.reference}: in no row"
    for net in part.nets.values():
        if where.get(pieces[net]) is None and {each.kind_name for each in card.on(net)} != {HIGH_OHM}:
            yield f"{net}: something else between two resistors of the barrier"
    if part.kind.stands_v < TOUCHED.each_v:
        yield f"{part.reference} ({part.kind.value}) stands {part.kind.stands_v:g} V, asked {TOUCHED.each_v:g} each"


def sides(part: Fitted) -> Iterator[tuple[str, ...]]:
    """The nets that it joins."""
    if part.kind_name not in (HIGH_OHM, MANY_LINES):
        for side in APART.get(part.kind_name, (set(part.nets),)):
            if nets := tuple(part.nets[pin] for pin in part.nets if pin in side):
                yield nets
