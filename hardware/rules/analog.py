# SPDX-License-Identifier: Apache-2.0
"""Rules for amplifiers, whose feedback goes to the inverting input, and for clamps, which lead to the protected part's
supply.

A simulator finds an operating point even for an amplifier with exchanged inputs: the unstable one.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import pi

from rules.card import Card

AMPLIFIERS = ("opamp", "opamp_precise")
CLAMP, BURDEN = "rail_clamp", "r237"
BAND_HZ = 300.0
REFERENCE, HOLD_UP = "REFC", {"VREF", "+3V3"}


def fed_back(card: Card) -> Iterator[str]:
    for part in card.of(*AMPLIFIERS):
        out = part.nets.get("out", "")
        back = {out, *(each.other(out) for each in card.on(out, "R"))}
        if part.nets.get("inn") not in back:
            yield f"{part.reference}: nothing leads from its output to its inverting input"
        if part.nets.get("inp") in back:
            yield f"{part.reference}: its output leads to the input that does not invert"


def coupled(card: Card) -> Iterator[str]:
    """A capacitor in series with a winding passes 300 Hz with the resistor before it alone, and the two halves of a
    burden meet on ground: a floating middle lets a surge on both wires through to the amplifier.
    """
    for part in card.of("transformer"):
        for net in part.nets.values():
            for each in card.on(net, "C"):
                ohm = max((series.value for series in card.on(each.other(net), "R")), default=0.0)
                if 2 * pi * BAND_HZ * ohm * each.value < 1:
                    yield f"{each.reference} ({each.kind.value}): with {ohm:g} ohm it does not pass {BAND_HZ:g} Hz"
            for each in card.on(net, "R"):
                if each.kind_name == BURDEN and each.other(net) != "GND":
                    yield f"{each.reference}: half of a burden, not to ground"


def held_up(card: Card) -> Iterator[str]:
    """The contacts' reference is held up by two supplies, and its path to ground has two parts in series."""
    over = {each.other(REFERENCE) for each in card.on(REFERENCE, "R")} & HOLD_UP
    if over != HOLD_UP:
        yield f"{REFERENCE}: held up by {' and '.join(sorted(over)) or 'nothing'} alone"
    for part in card.between(REFERENCE, "GND", "R") + card.between(REFERENCE, "GND", "C"):
        yield f"{REFERENCE}: {part.reference} alone, shorted, takes it to ground"


def clamped(card: Card) -> Iterator[str]:
    for part in card.of(CLAMP):
        behind = [each for each, pin in card.nets.get(part.nets.get("mid", ""), []) if pin in ("inp", "inn")]
        if not behind:
            yield f"{part.reference}: no amplifier at what it clamps"
        for each in behind:
            if (part.nets.get("k"), part.nets.get("a")) != (each.nets.get("vp"), each.nets.get("vn")):
                yield f"{part.reference}: does not clamp to the supply of {each.reference}"
