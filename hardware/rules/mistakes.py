# SPDX-License-Identifier: Apache-2.0
"""Cards with one mistake each, as made in drawing by hand or by program: a fixed list, and random ones.

The random choice is a hash of the mistake's own text, so that a change of the drawing changes few of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from itertools import combinations

from rules.card import Card, Fitted

Change = Callable[[Card], Card]
SEED = "1"
OF_CHANCE = 48
ONE_OF_EIGHT = re.compile(r"Line[2-8]$")
SYMMETRIC = {"R", "C", "F", "TVS"}


def pins(one: str, a: str, other: str, b: str) -> Change:
    return lambda card: card.exchanged((one, a), (other, b))


def on(reference: str, **nets: str) -> Change:
    return lambda card: card.rewired(reference, **nets)


def places(one: str, other: str) -> Change:
    return lambda card: card.refitted(one, other)


def gone(*references: str) -> Change:
    return lambda card: card.without(*references)


def opened(reference: str, pin: str) -> Change:
    return lambda card: card.opened(reference, pin)


def worth(reference: str, value: str) -> Change:
    return lambda card: card.revalued(reference, value)


def sheet(reference: str, **fields: float | str) -> Change:
    return lambda card: card.specified(reference, **fields)


def joined(one: str, other: str) -> Change:
    return lambda card: card.bridged(one, other)


LISTED: dict[str, Change] = {
    "TX1 and TX2 exchanged": pins("U1203", "out1", "U1203", "out2"),
    "RX1 and RX2 exchanged": pins("U1201", "ain1", "U1201", "ain2"),
    "RX4 and RX5 exchanged, across two converters": pins("U1201", "ain4", "U1202", "ain1"),
    "VM1 and VM2 exchanged": pins("U1101", "vm1", "U1101", "vm2"),
    "RELAY1 and RELAY2 exchanged": pins("U1101", "relay1", "U1101", "relay2"),
    "CONTACT1 and CONTACT2 exchanged": pins("U1101", "contact1", "U1101", "contact2"),
    "RELAY1 and CONTACT1 exchanged": pins("U1101", "relay1", "U1101", "contact1"),
    "the relays' watchdog bypassed: the load switch always on": on("U1006", on="+3V3"),
    "the relays' watchdog bypassed: the coils' rail is 5 V": joined("+5V", "COIL"),
    "the relays' watchdog fed by a clock": on("U1005", a="/audio/sclk"),
    "the relays' watchdog fed by the meter": on("U1005", a="/LAMP_CLOCK"),
    "the relays' watchdog never ends: its capacitor shorted": joined("/supply/rce", "/supply/ce"),
    "the relays' watchdog lasts 1.5 s": places("R1002", "R138"),
    "the coils' switch limits below what eight coils take": places("R1015", "R1011"),
    "the coils' switch limits above what the converter has left": places("R1015", "R1012"),
    "the coils' switch is not told where to limit": gone("R1015"),
    "nothing discharges the coils' rail": gone("R1016"),
    "nothing holds the load switch down": gone("R1003"),
    "a notice relay hangs on 5 V": on("K101", c1="+5V"),
    "a contact hangs on 5 V": on("K102", c1="+5V"),
    "two coils on one transistor": joined("/Line1/kd", "/Line2/kd"),
    "a gate is pulled up": on("R134", **{"2": "+3V3"}),
    "a diode at a coil is turned": pins("D108", "a", "D108", "k"),
    "source and drain exchanged": pins("Q101", "s", "Q101", "d"),
    "data and clock of I2C exchanged at a converter": pins("U1202", "sda", "U1202", "scl"),
    "data wires of the two converters exchanged": pins("U1201", "sdout", "U1202", "sdout"),
    "the notice's converter told I2S in the place of TDM": on("U1203", fmt1="GND"),
    "the notice's converter told to wait for I2C": places("R1203", "R1201"),
    "the entry's transistor the wrong way round": pins("Q1001", "d", "Q1001", "s"),
    "the entry's capacitor of 16 V": places("C1001", "C1004"),
    "both converters at one address": on("U1202", ad="GND"),
    "the EEPROM at another address": on("U1302", a0="PI3V3"),
    "no pull-up at the clock of I2C": gone("R1202"),
    "a pull-up of 470 kohm and more": places("R1202", "R1002"),
    "transmit and receive exchanged at the driver": pins("U1301", "din", "U1301", "rout"),
    "the input of the driver that is not used floats": opened("U1301", "din2"),
    "transmit and receive exchanged at the plug": pins("J1304", "tx", "J1304", "rx"),
    "D+ and D- exchanged at the meter": pins("U1101", "dp", "U1101", "dm"),
    "both CC of the plug on one resistor": joined("/usb/cc1", "/usb/cc2"),
    "the meter measures against 3.3 V": on("U1101", vref="+3V3"),
    "the meter on 5 V": on("U1101", vdd="+5V"),
    "the reference comes before the meter's supply": on("U1004", **{"in": "+5V"}),
    "no pull-up at the meter's reset": gone("R1109"),
    "the hub has no crystal": gone("Y1501"),
    "three capacitors for four analog supply pins of the hub": gone("C1512"),
    "one capacitor for two supply pins of the hub": gone("C1507"),
    "the hub's analog supply without a ferrite": on("U1501", vdda="/usb/v33"),
    "no bulk behind the hub's ferrite": gone("C1516"),
    "nothing holds the hub's reset until its supply is there": gone("U1503"),
    "the hub's reset by another supply": on("U1503", vcc="+3V3"),
    "a port of the hub that is off by 100 kohm": worth("R1511", "100k"),
    "ports 3 and 4 of the hub on one resistor": joined("/usb/off3", "/usb/off4"),
    "10 uF alone at the converter of 12 V": gone("C1018"),
    "no bulk at the hub": gone("C1514"),
    "no bulk at the meter": gone("C1115"),
    "one capacitor for both drivers of the lamps": gone("C1402"),
    "the hub's host sense straight on 5 V": joined("/usb/vbus", "/usb/there"),
    "a strap of the hub that becomes an output hard on ground": on("U1501", nonrem0="GND"),
    "two straps of the hub on one resistor": joined("/usb/nonrem0", "/usb/cfg1"),
    "1 uF at the filter of the hub's core": worth("C1504", "1u"),
    "1 uF at the filter of the hub's clock": worth("C1505", "1u"),
    "the hub's crystal with 18 pF at either end": worth("C1509", "18p"),
    "100 nF at the regulator within a converter": worth("C1211", "100n"),
    "two converters on one capacitor of 10 uF": worth("C1214", "100n"),
    "no capacitor of 10 uF at the digital half of a converter": worth("C1216", "100n"),
    "10 uF alone at the regulator within a converter": gone("C1228"),
    "10 uF alone at a converter's analog supply": gone("C1229"),
    "10 uF alone at a converter's digital supply": gone("C1227"),
    "the one-shot without a capacitor of its own": gone("C1019"),
    "nothing at the plug's 5 V": gone("C1515"),
    "10 kohm against what pulls the EEPROM's WP down": worth("R1303", "10k"),
    "a capacitor of 10 nF at a pump of the driver": worth("C1302", "10n"),
    "no suppressor at the entry": gone("D1001"),
    "1000 uF at the entry": worth("C1018", "1000u"),
    "the entry's fuse that of a line": places("F1001", "F101"),
    "the entry's fuse of 0.75 A": sheet(  # 0452.750: its row in the sheet of 452/454, 15 % more ohm when warm
        "F1001", value="750mA T", ohm=0.36 * 1.15, melts_a2s=0.904, most_ma=562.0
    ),
    "the entry's suppressor turned": pins("D1001", "a", "D1001", "k"),
    "no diode at the gate of the entry's transistor": gone("D1002"),
    "the diode at the gate of the entry's transistor turned": pins("D1002", "a", "D1002", "k"),
    "nothing turns the entry's transistor on": gone("R1005"),
    "the entry's electrolytic turned": pins("C1018", "1", "C1018", "2"),
    "a cell of the hold-up turned": pins("C1002", "1", "C1002", "2"),
    "no fuse before the audio module's 5 V": gone("F1201"),
    "no terminal that opens the EEPROM for writing": gone("J1306"),
    "one wire of 5 V to the Pi": opened("J1301", "5VB"),
    "the lamps' outputs off for good": on("U1401", oe="+3V3"),
    "lamps of two lines exchanged": pins("U1401", "q0", "U1401", "q1"),
    "a green lamp in the place of a red one": places("D1411", "D1421"),
    "a lamp turned": pins("D1401", "a", "D1401", "k"),
    "a lamp with 10 kohm": places("R1411", "R1409"),
    "tip and ring exchanged at the telephones' plug": pins("J1303", "T1", "J1303", "R1"),
    "lines 1 and 2 exchanged at the telephones' plug": pins("J1303", "T1", "J1303", "T2"),
    "a bridge over the contact": joined("/TIP1", "/TIP_TEL1"),
    "one pole of the contact on the neighbour": on("K102", b2="/TIP_TEL2"),
    "a notice relay that stands 1 kV from coil to contact": sheet("K101", insulates_v=1000.0),
    "a notice relay of supplementary insulation, as Omron's G6S-Y": sheet("K101", insulation="supplementary"),
    "a notice relay of which no grade is known": sheet("K101", insulation=""),
    "a contact's relay of basic insulation": sheet("K102", insulation="basic"),
    "a contact's relay that stands 1.5 kV": sheet("K102", insulates_v=1500.0),
    "a transformer that stands 1.5 kV": sheet("T101", insulates_v=1500.0),
    "a transformer that its maker states as functional": sheet("T102", insulation="functional"),
    "resistors of the barrier for 1 kV": sheet("R101", stands_v=1000.0),
    "one of the two resistors of the barrier shorted": joined("/Line1/s1", "/Line1/sp"),
    "62 kohm in the place of 4.99 Mohm": places("R102", "R105"),
    "a transformer that is wired across": pins("T101", "p2", "T101", "s2"),
    "a thyristor to ground": on("D101", b="GND"),
    "nothing between the receive amplifier and its converter": gone("R128"),
    "two lines joined": joined("/Line1/t", "/Line2/t"),
    "the 12 V side's return on the card's ground": joined("GND", "/supply/ret"),
    "a capacitor of 16 V on the pair": places("C106", "C111"),
    "a capacitor of 50 V on the pair": places("C107", "C101"),
    "a resistor of 75 V on the pair": places("R118", "R136"),
    "the measuring amplifier on 5 V": on("U101", vp="+5V"),
    "the receive amplifier on 5 V": on("U108", vp="+5V"),
    "the power-fail line pulled to 5 V": on("R1001", **{"1": "+5V"}),
    "the hold-up's capacitors side by side": on("C1003", **{"1": "/supply/cap"}),
    "the hold-up's transistor the wrong way round": pins("Q1002", "d", "Q1002", "s"),
    "the hold-up without its coil": gone("L1001"),
    "the hold-up set to 25 V": places("R1010", "R1013"),
    "the hold-up hands over at 7.3 V": places("R1007", "R1009"),
    "the hold-up's charger switched off": on("U1002", chgen="+5V"),
    "two regulators on one rail": joined("+3V3", "/usb/v33"),
    "the Pi's 3.3 V on the card's": joined("+3V3", "PI3V3"),
    "two clocks on one wire": joined("/audio/m0", "/meter/osc"),
    "a comparator without its pull-up": gone("R137"),
    "inputs of the measuring amplifier exchanged": pins("U101", "inp", "U101", "inn"),
    "inputs of the notice's amplifier exchanged": pins("U109", "inp", "U109", "inn"),
    "inputs of the timer exchanged": pins("U111", "inp", "U111", "inn"),
    "a burden of 1 kohm": places("R122", "R124"),
    "the lower half of the contacts' reference bridged": joined("GND", "/references/rm"),
    "nothing holds the contacts' reference up": gone("R908"),
    "the middle of the notice's amplifier is that of 3.3 V": on("U109", inp="VMID"),
    "data lines of two ports of the hub exchanged": pins("U1501", "dp1", "U1501", "dp2"),
    "clock and latch of the lamps exchanged": pins("U1402", "sck", "U1402", "latch"),
    "a clamp on another rail": on("D103", k="V2V5"),
    "an output through 51 ohm on another's": joined("/RX1", "/audio/m0"),
}


def of_chance(card: Card, count: int = OF_CHANCE) -> dict[str, Change]:
    """Random mistakes, the same number of each kind, on line 1 and the parts shared by lines."""
    kinds = (_two_pins, _another_net, _two_places, _one_gone, _two_nets)
    return {name: change for kind in kinds for name, change in _drawn(kind(card), count // len(kinds) + 1)}


def _drawn(candidates: Iterator[tuple[str, Change]], count: int) -> list[tuple[str, Change]]:
    return sorted(candidates, key=lambda each: hashlib.sha256((SEED + each[0]).encode()).digest())[:count]


def _parts(card: Card) -> list[Fitted]:
    return [part for part in card.parts.values() if part.kind.fitted and not ONE_OF_EIGHT.match(part.sheet)]


def _two_pins(card: Card) -> Iterator[tuple[str, Change]]:
    for part in _parts(card):
        if part.symbol not in SYMMETRIC:
            for a, b in combinations(part.nets, 2):
                if part.nets[a] != part.nets[b]:
                    yield (
                        f"{part.reference} ({part.kind_name}): {a} and {b} exchanged",
                        pins(part.reference, a, part.reference, b),
                    )


def _another_net(card: Card) -> Iterator[tuple[str, Change]]:
    nets = _nets_of_sheets(card)
    for part in _parts(card):
        for pin, net in part.nets.items():
            for other in nets[part.sheet]:
                if other not in part.nets.values():
                    yield (
                        f"{part.reference} ({part.kind_name}): {pin} on {other}, not {net}",
                        on(part.reference, **{pin: other}),
                    )


def _two_places(card: Card) -> Iterator[tuple[str, Change]]:
    for one, other in combinations(_parts(card), 2):
        alike = (one.sheet, one.symbol, one.nets.keys()) == (other.sheet, other.symbol, other.nets.keys())
        if alike and one.kind_name != other.kind_name and one.symbol != "box":
            yield (
                f"{one.reference} ({one.kind_name}) and {other.reference} ({other.kind_name}) exchanged",
                places(one.reference, other.reference),
            )


def _one_gone(card: Card) -> Iterator[tuple[str, Change]]:
    for part in _parts(card):
        yield f"{part.reference} ({part.kind_name}) gone", gone(part.reference)


def _two_nets(card: Card) -> Iterator[tuple[str, Change]]:
    for nets in _nets_of_sheets(card).values():
        for one, other in combinations(nets, 2):
            yield f"{one} and {other} joined", joined(one, other)


def _nets_of_sheets(card: Card) -> dict[str, list[str]]:
    nets: dict[str, set[str]] = {}
    for part in _parts(card):
        nets.setdefault(part.sheet, set()).update(part.nets.values())
    return {sheet: sorted(found) for sheet, found in sorted(nets.items())}


BENIGN: tuple[tuple[str, str], ...] = (  # random mistakes that no rule reports, and why that is right
    (r"C\d+ \(c(100n|1u|10u)\) gone", "one capacitor of several at its supply: noise, which no row asks for"),
    (r"C1(08|09) \(c47p\) gone", "keeps radio out of the receive amplifier: far above what is simulated"),
    (r"C\d+ \(c(1u|10u)\) and C\d+ \(c(1u|10u)\) exchanged", "each is enough in the place of the other"),
    (r"C\d+ \(c(100n|10u)(_\d+)?\) and C\d+ \(c\1(_\d+)?\) exchanged", "the same in another case"),
)


def benign(name: str) -> str | None:
    return next((why for pattern, why in BENIGN if re.match(pattern, name)), None)
