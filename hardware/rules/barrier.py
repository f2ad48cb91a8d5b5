# SPDX-License-Identifier: Apache-2.0
"""Checks the insulation between a line and touchable parts: the parts across the barrier, and the insulation of each.

Nets joined by any part form one piece; an insulating part joins only nets of the same side. Each remaining piece must
belong to a line, the unit, or the 12 V side. The requirement for a crossing part depends on its two sides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import sqrt
from typing import NamedTuple

from rules.card import Card, Fitted

RANKS = {"": 0, "functional": 0, "basic": 1, "supplementary": 1, "reinforced": 2}


class Asked(NamedTuple):
    """A requirement. `peak_v`: the electric strength test; `each_v`: the rating of each of two resistors in series."""

    grade: str
    peak_v: float
    each_v: float


# A pair rings at 150 V: ES2, or TNV-3. TI (SLUP419, 2.7) requires basic insulation between it and a user, and in its
# table 2 reinforced insulation to unearthed parts. The unit's earth is not certain, so reinforced insulation is
# required. 1500 V between a pair and the unit (decision 0230) are then tested with 2500 V peak, with 1500 V as basic
# (IEC 62368-1, table 25).
TOUCHED = Asked("reinforced", 2500.0, 1500.0)
BETWEEN = {
    frozenset({"line", "the unit"}): TOUCHED,
    frozenset({"line", "the 12 V side"}): TOUCHED,
    frozenset({"the 12 V side", "the unit"}): Asked("functional", 0.0, 0.0),  # both are below 60 V and touchable
}
# Kinds below the required grade, with the grade stated by their makers: open questions of hardware/laboratory.md.
OPEN = {
    "transformer": "",  # P2001: IEC 60950 certified, 6.5 kVDC on each; no grade on the pages read (ETALDOC 100/17)
}

APART = {  # kind: its sides, insulated from each other
    "transformer": ({"p1", "p2"}, {"s1", "s2"}),
    "relay": ({"c1", "c2"}, {"p1", "o1", "p2", "o2"}),
    "relay_closed": ({"c1", "c2"}, {"p1", "b1", "p2", "b2"}),
    "buck": ({"vin", "ret"}, {"vout", "gnd"}),
}
HIGH_OHM = "hv_4M99"  # a resistor of the sense path: two in series pass only microamperes
IN_A_ROW = 2
MANY_LINES = "rj21"  # a connector whose contacts are insulated from each other
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
    """Of the parts between a line and the unit: the number below the required grade or of unknown grade; and their
    total.
    """
    across = card.of(*(APART.keys() - {"buck"}))
    return sum(RANKS[part.kind.insulation] < RANKS[TOUCHED.grade] for part in across), len(across)


def _name(side: str) -> str:
    return f"line {side}" if side.isdigit() else side


def _insulates(pieces: dict[str, str], where: dict[str, str], part: Fitted) -> Iterator[str]:
    """The part's insulation suffices for its two sides; there is no requirement between two nets of one side."""
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
    """A resistor never spans two sides alone: each has its own net in common with the next of the series."""
    sides = [where.get(pieces[net]) for net in part.nets.values()]
    if sides.count(None) != IN_A_ROW - 1:
        yield f"{part.reference}: crosses the barrier alone" if None not in sides else f"{part.reference}: in no row"
    for net in part.nets.values():
        if where.get(pieces[net]) is None and {each.kind_name for each in card.on(net)} != {HIGH_OHM}:
            yield f"{net}: something else between two resistors of the barrier"
    if part.kind.stands_v < TOUCHED.each_v:
        yield f"{part.reference} ({part.kind.value}) stands {part.kind.stands_v:g} V, asked {TOUCHED.each_v:g} each"


def sides(part: Fitted) -> Iterator[tuple[str, ...]]:
    """The groups of nets that the part joins."""
    if part.kind_name not in (HIGH_OHM, MANY_LINES):
        for side in APART.get(part.kind_name, (set(part.nets),)):
            if nets := tuple(part.nets[pin] for pin in part.nets if pin in side):
                yield nets
