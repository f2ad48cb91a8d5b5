# SPDX-License-Identifier: Apache-2.0
"""What a pin needs beside it to work at all: a level at rest, a crystal with its capacitors, a divider, a plug."""

from __future__ import annotations

from collections.abc import Iterator

from rules.card import Card, Fitted

SUPPLIED = "supplied"
RESTS = {  # kind, pin: where a resistor holds it while nothing else does
    ("meter", "tamper"): SUPPLIED,
    ("eeprom", "wp"): SUPPLIED,
    ("pi_header", "GPIO27"): "GND",
    ("load_switch", "on"): "GND",
    ("oneshot", "a"): "GND",
}
REST_OHM = (1e3, 100e3)
OUTSIDE = {  # kind, pin: what of the card's edge must reach it, straight or through one resistor
    ("meter", "tamper"): "terminal2",
    ("eeprom", "wp"): "terminal2",
    ("buck", "vin"): "pmos",
    ("pmos", "d"): "fuse_5A",
    ("fuse_5A", "1"): "terminal2",
    ("buck", "ret"): "terminal2",
    ("oneshot", "a"): "terminal2",
    ("pi_header", "GPIO27"): "terminal2",
    ("meter", "swdio"): "header4",
    ("meter", "swclk"): "header4",
    ("hub", "up_dp"): "usb",
    ("hub", "up_dm"): "usb",
}
BOTH = {
    "usb": ("usb_esd", ("dp", "dm")),
    "pi_header": ("eeprom", ("ID_SD", "ID_SC")),
}  # by which pins it needs the other
CRYSTAL_F = (10e-12, 30e-12)
HALF = (0.4, 0.6)
STORES_F = {  # kind, pin: where a capacitor leads from it, and the least it needs; from memory of the data sheets
    ("meter", "vref"): ("vss", 0.08e-6),
    ("reference", "out"): ("gnd", 0.08e-6),
    ("holdup", "vsys"): ("gnd", 8e-6),
    ("holdup", "vin"): ("gnd", 8e-6),
    ("holdup", "cap"): ("gnd", 8e-6),
    ("holdup", "cpf"): ("gnd", 1e-9),
    ("ldo", "out"): ("gnd", 0.8e-6),
    ("ldo", "in"): ("gnd", 0.8e-6),
    ("hub", "crfilt"): ("vss", 0.8e-6),
    ("hub", "pllfilt"): ("vss", 0.8e-6),
    ("adc4", "vref"): ("agnd", 0.8e-6),
    ("adc4", "ldo"): ("dgnd", 0.08e-6),
    ("dac8", "vcom"): ("agnd1", 8e-6),
    ("load_switch", "vout"): ("gnd", 0.08e-6),
}
PARTS = {"meter": 1, "eeprom": 1, "holdup": 1, "reference": 1, "hub": 1, "oneshot": 1, "load_switch": 1}


def beside(card: Card) -> Iterator[str]:
    for kind, count in PARTS.items():
        if len(card.of(kind)) != count:
            yield f"{len(card.of(kind))} of {kind}, asked {count}"
    for (kind, pin), to in RESTS.items():
        for part in card.of(kind):
            net = part.nets.get(pin, "")
            pulls = [each for each in card.on(net, "R") if REST_OHM[0] <= each.value <= REST_OHM[1]]
            if not any(_held(card, each.other(net), to) for each in pulls):
                yield f"{part.reference}: nothing holds {pin} while nobody drives it"
    for (kind, pin), plug in OUTSIDE.items():
        for part in card.of(kind):
            net = part.nets.get(pin, "")
            near = [net, *(each.other(net) for each in card.on(net, "R"))]
            if not any(each.kind_name == plug for one in near if one not in ("GND", "+3V3") for each in card.on(one)):
                yield f"{part.reference}: {pin} reaches no {plug}"
    for kind, (other, pins) in BOTH.items():
        for part in card.of(kind):
            if not any(_has(each, part, pins) for each in card.of(other)):
                yield f"{part.reference}: no {other} at {' and '.join(pins)}"
    for (kind, pin), (ground, least) in STORES_F.items():
        for part in card.of(kind):
            stored = card.between(part.nets.get(pin, ""), part.nets.get(ground, ""), "C")
            if sum(each.value for each in stored) < least:
                yield f"{part.reference}: less than {least * 1e6:g} uF at {pin}"


def _held(card: Card, net: str, to: str) -> bool:
    if to != SUPPLIED:
        return net == to
    return net != "GND" and any(part.type_of(pin) == "power_in" for part, pin in card.nets[net])


def _has(one: Fitted, other: Fitted, pins: tuple[str, ...]) -> bool:
    return {other.nets.get(pin) for pin in pins} <= set(one.nets.values())


def timed(card: Card) -> Iterator[str]:
    """The hub's crystal with its two capacitors; half of the Pi's 5 V tells the hub that a host is there."""
    for hub in card.of("hub"):
        xin, xout = hub.nets.get("xin", ""), hub.nets.get("xout", "")
        if not any({xin, xout} <= set(each.nets.values()) for each in card.of("crystal_24MHz")):
            yield f"{hub.reference}: no crystal"
        for net in (xin, xout):
            loads = [each.value for each in card.between(net, "GND", "C")]
            if len(loads) != 1 or not CRYSTAL_F[0] <= loads[0] <= CRYSTAL_F[1]:
                yield f"{hub.reference}: {net} has not one capacitor of {CRYSTAL_F[0]:g} to {CRYSTAL_F[1]:g} F"
        there = hub.nets.get("vbus", "")
        below = [each.value for each in card.between(there, "GND", "R")]
        above = [
            each.value
            for each in card.on(there, "R")
            if any(part.kind_name == "usb" and pin == "vbus" for part, pin in card.nets[each.other(there)])
        ]
        if len(below) != 1 or len(above) != 1 or not HALF[0] <= below[0] / (below[0] + above[0]) <= HALF[1]:
            yield f"{hub.reference}: vbus is not half of the plug's"
