# SPDX-License-Identifier: Apache-2.0
"""Rules for the parts that a pin requires: a resting level, a crystal with its capacitors, a divider, a plug."""

from __future__ import annotations

from collections.abc import Iterator

from rules.card import Card, Fitted

SUPPLIED = "supplied"
RESTS = {  # kind, pin: where a resistor holds it when undriven, and the greatest ohms
    ("meter", "tamper"): (SUPPLIED, 100e3),
    # The pin draws 120 uA below 0.7 of 3.13 V (CAT24C32/D, Rev. 26, table 4 and note 5); the Pi's design guide has 1
    # kohm.
    ("eeprom", "wp"): (SUPPLIED, 7.5e3),
    ("pi_header", "GPIO27"): ("GND", 100e3),
    ("load_switch", "on"): ("GND", 100e3),
    ("oneshot", "a"): ("GND", 100e3),
}
REST_OHM = 0.99e3
RAILS = ("GND", "+3V3", "PI3V3")  # rails do not count as a connection
OUTSIDE = {  # kind, pin: the plug's pin that it must reach, directly or through one resistor
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
    ("usb_a", "vbus"): "ptc",
    ("hub", "up_dp"): "usb",
    ("hub", "up_dm"): "usb",
}
BOTH = {
    "usb": ("usb_esd", ("dp", "dm")),
    "pi_header": ("eeprom", ("ID_SD", "ID_SC")),
}  # the pins by which each requires the other
LOADED_F = {"crystal_24MHz": 18e-12}  # ABM8-24.000MHZ-B2-T, by public projects' lists
CRYSTAL_ENDS = 3  # of each of its nets: hub, crystal, capacitor
STRAY_F = (4e-12, 10e-12)  # capacitance of a pin with its pad and track; from memory
HALF = (0.4, 0.6)
HALF_OHM = 110e3  # 10 uA of leakage are then 0.55 V of 2.5 (DS00001692C, table 6-4, and the maker's list: 100k)
OWN = {  # kind: pins that their chip drives itself: no supply, other chip or transistor is on them
    "adc4": ("vref", "ldo"),
    "dac8": ("vcom",),
    "hub": ("crfilt", "pllfilt"),
    "rtc": ("vbackup",),
    "holdup": ("cap", "mid", "cpf", "sw", "prog", "capflt"),
    "load_switch": ("ilim",),
    "oneshot": ("cext", "rcext"),
    "rs232": ("c1p", "c1n", "c2p", "c2n", "vpos", "vneg", "dout"),
}
# Pins of two kinds on one net. VREF+ may exceed the meter's supply by 0.4 V at most (STM32G0's sheet, as quoted by a
# public project), so the meter's supply feeds the reference; the reference needs 50 mV above 3.0 V (SBVS032K), and has
# at least 0.21.
TOGETHER = {("reference", "in"): ("meter", "vdd")}
ANY = float("inf")
STORES_F = {  # kind, pin: the capacitors' other pin, and the limits of their sum; without a sheet's name from memory
    ("meter", "vref"): ("vss", 1.8e-6, ANY),  # AN5096 has 1 uF and 100 nF at VREF+; the reference has 1 uF of its own
    ("reference", "out"): ("gnd", 0.08e-6, ANY),
    ("holdup", "vsys"): ("gnd", 8e-6, ANY),
    ("holdup", "vin"): ("gnd", 8e-6, ANY),
    ("holdup", "cap"): ("gnd", 8e-6, ANY),
    ("holdup", "cpf"): ("gnd", 8e-9, 20e-9),  # 10 nF (LTC4041's demonstration board)
    ("rtc", "vbackup"): ("vss", 8e-6, ANY),  # 10 uF carry 45 nA for a minute
    ("usb_a", "vbus"): ("gnd", 8e-6, ANY),
    ("ldo", "out"): ("gnd", 0.8e-6, ANY),
    ("ldo", "in"): ("gnd", 0.8e-6, ANY),
    # "Up to a 0.1 uF" (DS00001692C, table 3-1), "at least 0.1" (SC571231, the maker's list for schematics).
    ("hub", "crfilt"): ("vss", 0.09e-6, 0.11e-6),
    ("hub", "pllfilt"): ("vss", 0.09e-6, 0.11e-6),
    ("adc4", "vref"): ("agnd", 0.8e-6, ANY),  # 1 uF (SLAS831D, pin functions); 10.1 on the next line
    ("adc4", "ldo"): ("dgnd", 8e-6, ANY),
    ("dac8", "vcom"): ("agnd1", 8e-6, ANY),
    ("load_switch", "vout"): ("gnd", 0.08e-6, ANY),
    ("rs232", "vpos"): ("gnd", 0.08e-6, 0.5e-6),  # 0.1 uF each at 3.3 V, 0.47 up to 5.5 (SLLS410O, table 9-1)
    ("rs232", "vneg"): ("gnd", 0.08e-6, 0.5e-6),
    ("rs232", "c1p"): ("c1n", 0.08e-6, 0.5e-6),
    ("rs232", "c2p"): ("c2n", 0.08e-6, 0.5e-6),
    ("buck", "vin"): ("ret", 220e-6, ANY),  # with its ceramic capacitors, for a surge of 2 kV (TRACO, THN 30WI)
    ("usb", "vbus"): ("gnd", 0.9e-6, 10e-6),  # 1 uF (SC571231); 1 to 10 (USB 2.0, 7.2.4.1, from memory)
}
# kind, pin: a small capacitor of its own on its sheet, in addition to larger ones.
QUICK = {
    ("oneshot", "vcc"): "gnd",  # 0.1 uF (SCES586D)
    ("meter", "vref"): "vss",  # AN5096, beside its 1 uF
    ("adc4", "avdd"): "agnd",  # 0.1 uF at each of the three (SLAS831D, pin functions)
    ("adc4", "dvdd"): "dgnd",
    ("adc4", "ldo"): "dgnd",
}
QUICK_F = (90e-9, 220e-9)


def beside(card: Card) -> Iterator[str]:
    for (kind, pin), (to, most) in RESTS.items():
        for part in card.of(kind):
            net = part.nets.get(pin, "")
            pulls = [each for each in card.on(net, "R") if REST_OHM <= each.value <= most]
            if not any(_held(card, each.other(net), to) for each in pulls):
                yield f"{part.reference}: nothing holds {pin} while nobody drives it"
    for (kind, pin), plug in OUTSIDE.items():
        for part in card.of(kind):
            net = part.nets.get(pin, "")
            near = [net, *(each.other(net) for each in card.on(net, "R"))]
            if not any(each.kind_name == plug for one in near if one not in RAILS for each in card.on(one)):
                yield f"{part.reference}: {pin} reaches no {plug}"
    for (kind, pin), (other, theirs) in TOGETHER.items():
        for part in card.of(kind):
            if any(each.nets.get(theirs) != part.nets.get(pin) for each in card.of(other)):
                yield f"{part.reference}: {pin} is not on the net of {theirs} of {other}"
    for kind, (other, pins) in BOTH.items():
        for part in card.of(kind):
            if not any(_has(each, part, pins) for each in card.of(other)):
                yield f"{part.reference}: no {other} at {' and '.join(pins)}"
    for (kind, pin), (ground, least, most) in STORES_F.items():
        for part in card.of(kind):
            stores = card.between(part.nets.get(pin, ""), part.nets.get(ground, ""), "C")
            if not least <= (stored := sum(each.value for each in stores)) <= most:
                yield f"{part.reference}: {stored * 1e6:g} uF at {pin}, asked {least * 1e6:g} to {most * 1e6:g}"
    for kind, names in OWN.items():
        for part in card.of(kind):
            for pin in names:
                for each, name in card.nets.get(part.nets.get(pin, ""), []):
                    own = each is part and (name == pin or each.type_of(name) == "passive")
                    if not own and _drives(each, name):
                        yield f"{part.reference}: {pin}, which it supplies itself, is on {name} of {each.reference}"
    for (kind, pin), ground in QUICK.items():
        for part in card.of(kind):
            net = part.nets.get(pin, "")
            small = [each for each in card.between(net, part.nets.get(ground, ""), "C") if each.sheet == part.sheet]
            quick = sum(QUICK_F[0] <= each.value <= QUICK_F[1] for each in small)
            if quick < (asked := sum(each.nets.get(pin) == net for each in card.of(kind))):
                yield f"{part.reference}: {quick} capacitors of 0.1 uF at {pin}, asked {asked}"


def _drives(part: Fitted, pin: str) -> bool:
    """Whether a pin is that of a supply, a chip, a transistor, the Pi or the host."""
    return part.type_of(pin).startswith("power") or part.reference[0] in "UQ" or part.kind_name in ("pi_header", "usb")


def _held(card: Card, net: str, to: str) -> bool:
    if to != SUPPLIED:
        return net == to
    return net != "GND" and any(part.type_of(pin) == "power_in" for part, pin in card.nets[net])


def _has(one: Fitted, other: Fitted, pins: tuple[str, ...]) -> bool:
    return {other.nets.get(pin) for pin in pins} <= set(one.nets.values())


def timed(card: Card) -> Iterator[str]:
    """The hub's crystal has its load capacitors; half of the Pi's 5 V is wired to the hub's VBUS detection.

    Each capacitor is twice the crystal's load less the stray capacitance (DS00001692C, figure 7-2).
    """
    for hub in card.of("hub"):
        xin, xout = hub.nets.get("xin", ""), hub.nets.get("xout", "")
        crystals = [each for each in card.of(*LOADED_F) if {xin, xout} <= set(each.nets.values())]
        if len(crystals) != 1:
            yield f"{hub.reference}: {len(crystals)} crystals"
        for crystal in crystals:
            least, most = (2 * LOADED_F[crystal.kind_name] - each for each in reversed(STRAY_F))
            for net in (xin, xout):
                loads = [each.value for each in card.between(net, "GND", "C")]
                if len(loads) != 1 or not least <= loads[0] <= most or len(card.nets[net]) != CRYSTAL_ENDS:
                    yield f"{hub.reference}: {net} has not one capacitor of {least * 1e12:g} to {most * 1e12:g} pF"
        there = hub.nets.get("vbus", "")
        below = [each.value for each in card.between(there, "GND", "R")]
        above = [
            each.value
            for each in card.on(there, "R")
            if any(part.kind_name == "usb" and pin == "vbus" for part, pin in card.nets[each.other(there)])
        ]
        if len(below) != 1 or len(above) != 1 or not HALF[0] <= below[0] / (below[0] + above[0]) <= HALF[1]:
            yield f"{hub.reference}: vbus is not half of the plug's"
        elif below[0] > HALF_OHM:
            yield f"{hub.reference}: its leakage moves vbus, behind {below[0]:g} ohm"
