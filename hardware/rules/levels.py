# SPDX-License-Identifier: Apache-2.0
"""Rules for static levels and signals: pull-ups to a chip's own supply, levels at rest, grounds."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rules.card import Card, Fitted
from rules.needed import RESTS, SUPPLIED
from simulation.budget import VOLTS

GROUND, PI_SUPPLY = "GND", "PI3V3"
NOMINAL_V = {**VOLTS, GROUND: 0.0, PI_SUPPLY: 3.3, "/usb/v33a": 3.3}
GROUNDS = re.compile(r"[ad]?gnd\d?|GND[A-H]|vss|vn|shield")  # names of pins
HIGH, LOW_V = 0.7, 0.99  # of a CMOS input: share of its supply (STM32G0, 74HC); 0.3 of 3.3 V
PULLED = {"input", "bidirectional"}  # an open collector may be pulled to the supply of the chip that reads it
PULL_OHM = 470.0  # a smaller resistor is in series with a signal
RESET_HIGH = {("meter", "nrst"), ("hub", "reset")}


def grounded(card: Card) -> Iterator[str]:
    """A pin that its part names ground, and each shield, is on GND."""
    for part in card.parts.values():
        for pin, net in part.nets.items():
            if GROUNDS.fullmatch(pin) and net != GROUND:
                yield f"{part.reference} ({part.kind.value}): {pin} is on {net}"


def supplies(card: Card) -> set[str]:
    """The nets that feed a chip."""
    return {
        net
        for net, ends in card.nets.items()
        if net not in (GROUND, "/supply/ret")
        and any(part.reference.startswith("U") and part.type_of(pin) == "power_in" for part, pin in ends)
    }


def pulled(card: Card) -> Iterator[str]:
    """A pull-up leads to a supply of each chip whose pin it pulls; of the Pi's pins it is the Pi's own 3.3 V.

    Another supply exceeds the pin's limits, or feeds a chip through it while its own supply is off.
    """
    rails = supplies(card)
    for net in card.nets.keys() - rails:
        for pull in card.on(net, "R"):
            rail = pull.other(net)
            if rail not in rails or pull.value < PULL_OHM:
                continue
            for part, pin in card.nets[net]:
                own = _own(part, pin)
                if own and rail not in own:
                    yield f"{pull.reference}: pulls {pin} of {part.reference} to {rail}, its supply is {min(own)}"


def _own(part: Fitted, pin: str) -> set[str]:
    if part.kind_name == "pi_header":
        return {PI_SUPPLY} if re.match("GPIO|ID_", pin) else set()
    if part.reference.startswith("U") and part.symbol != "amp" and part.type_of(pin) in PULLED:
        return {net for name, net in part.nets.items() if part.type_of(name).startswith("power")} - {GROUND}
    return set()


def level_v(card: Card, net: str) -> float | None:
    """The voltage that the resistors to supplies and ground set on an undriven net; None without such a resistor."""
    ends = [(NOMINAL_V[far], each.value) for each in card.on(net, "R") if (far := each.other(net)) in NOMINAL_V]
    return sum(volts / ohm for volts, ohm in ends) / sum(1 / ohm for _, ohm in ends) if ends else None


def rests(card: Card) -> Iterator[str]:
    """Resets, open collectors and inputs with a required level rest at it, whatever else is on their net."""
    for net, ends in card.nets.items():
        asked = {_rests_at(part, pin) for part, pin in ends} - {None}
        found = level_v(card, net)
        if not asked or found is None:
            continue
        supply = max((NOMINAL_V.get(far, 0.0) for each in card.on(net, "R") if (far := each.other(net))), default=0.0)
        if SUPPLIED in asked and found < HIGH * supply:
            yield f"{net}: rests at {found:.2g} V, asked {HIGH * supply:.2g} and more"
        if GROUND in asked and found > LOW_V:
            yield f"{net}: rests at {found:.2g} V, asked {LOW_V:g} and less"


def _rests_at(part: Fitted, pin: str) -> str | None:
    if (part.kind_name, pin) in RESTS:
        return RESTS[part.kind_name, pin][0]
    if (part.kind_name, pin) in RESET_HIGH or (part.symbol != "amp" and part.type_of(pin) == "open_collector"):
        return SUPPLIED
    return None
