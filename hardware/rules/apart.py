# SPDX-License-Identifier: Apache-2.0
"""Rules for supplies: nothing but a regulator joins two of them, each chip has its least voltage, nothing bridges a
part that opens or switches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rules.card import Card, Fitted
from rules.levels import NOMINAL_V, supplies

MORE = {"COIL", "PI3V3", "VREF", "VMID", "V2V5", "/audio/v5usb", "/usb/vbus"}  # supplies that feed no chip's pin
JOINS = {"ferrite", "ptc"}  # kinds that join two supplies; `strapped` and `usb` check where
OPENS = {  # kind: the pins between which it alone leads
    "fuse": ("a", "b"),
    "fuse_5A": ("1", "2"),
    "ptc": ("1", "2"),
    "pmos": ("d", "s"),
    "nmos_30V": ("d", "s"),
    "relay_closed": ("p1", "b1"),
}
LEAST_V = {  # kind, pin: the least supply at which it meets its sheet; without a sheet's name from memory
    ("dac8", r"vcc\d"): 4.5,  # SLES211C
    ("dac8", "vdd"): 3.0,
    ("adc4", r"[ad]vdd|iovdd"): 3.0,  # SLAS831D
    ("ldo", "in"): 3.6,  # 3.3 V and 0.3 V of headroom (SBVS338H)
    ("reference", "in"): 3.05,  # 3.0 V and 50 mV (SBVS032K)
    ("meter", "vdd"): 3.0,  # of its USB
    ("hub", r"vdd\w?"): 3.0,  # DS00001692C
    ("load_switch", "vin"): 4.5,  # a coil of 5 V behind it
    ("holdup", "vin"): 4.5,
}
WATT = {"0603": 0.1, "0805": 0.125, "1206": 0.25, "2512": 1.0}  # chip resistors at 70 C (Yageo RC, Vishay CRCW)
SHARE = 0.5


def separate(card: Card) -> Iterator[str]:
    rails = supplies(card) | MORE
    for part in card.parts.values():
        nets = set(part.nets.values())
        if len(part.nets) == 2 and len(nets) == 2 and nets <= rails and part.kind_name not in JOINS:
            yield f"{part.reference} ({part.kind.value}): between {' and '.join(sorted(nets))}"


def unbridged(card: Card) -> Iterator[str]:
    """No other part leads past a fuse, a contact, or a transistor of the supply."""
    for part in card.of(*OPENS):
        one, other = (part.nets.get(pin, "") for pin in OPENS[part.kind_name])
        for each in card.on(one):
            if each is not part and len(each.nets) == 2 and other in each.nets.values() and one != other:
                yield f"{each.reference} ({each.kind.value}): leads past {part.reference} ({part.kind.value})"


def fed(card: Card) -> Iterator[str]:
    """Each supply pin has the least voltage at which its chip meets its sheet."""
    for (kind, name), least in LEAST_V.items():
        for part in card.of(kind):
            for pin, net in part.nets.items():
                if re.fullmatch(name, pin) and NOMINAL_V.get(net, 0.0) < least:
                    yield f"{part.reference} ({part.kind.value}): {pin} is fed from {net}, asked {least:g} V"


def cool(card: Card) -> Iterator[str]:
    """A resistor between two supplies, or a supply and ground, dissipates at most half of its rating."""
    for part in card.parts.values():
        if part.symbol == "R" and set(part.nets.values()) <= NOMINAL_V.keys() and (most := _rated_w(part)):
            low, high = sorted(NOMINAL_V[net] for net in part.nets.values())
            if (watts := (high - low) ** 2 / part.value) > SHARE * most:
                yield f"{part.reference} ({part.kind.value}): {watts:.2g} W, its case is for {most:g}"


def _rated_w(part: Fitted) -> float:
    return next((watts for case, watts in WATT.items() if case in part.kind.rating), 0.0)
