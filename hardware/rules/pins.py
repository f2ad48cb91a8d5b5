# SPDX-License-Identifier: Apache-2.0
"""Rules for pins and nets: every pin is connected or deliberately open, and pins on a net are compatible.

The pins are those that parts.toml lets a sheet wire, and the remaining pads of each part. KiCad's own rules cover a
part of this, but only for a drawn card.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from pcb import footprints
from rules.card import Card, Fitted

OPEN = {  # kind, pin or pad: why it may be open; without a sheet's name from memory
    ("pi_header", r"GPIO\d+"): "pins.toml uses no more",
    ("load_switch", "fault"): "it only tells",
    ("ldo", "nc"): "not connected in the part",
    ("adc4", r"ain[5-8]|micbias|xo|gpio[0-3]"): "its registers select the first four inputs, and name no use of these",
    ("dac8", r"zero"): "it only tells",
    ("holdup", r"imon|sysgd|capgd"): "they only tell",
    ("usb_audio", r"dout[2-4]|din[34]"): "eight slots on one wire out, four on each of two in",
    ("shift8", "next"): "the last of the chain",
    (
        "meter",
        r"P[A-D]\d+|PF1",
    ): "an analog input from the reset on (AN5096), which may float; its program moves no other pin",
    ("hub", "12|16|18|20"): "switch supplies that are not there; their own pull-downs leave charging off (SC571231)",
    ("rs232", "7|9"): "outputs of the pair that is not used",
    ("rs232", "8"): "a receiver, which has 5 kohm to ground in itself (SLLS410O)",
    ("db9", "[1469]"): "DCD, DTR, DSR and RI: the log is two wires and ground",
    ("rtc", "[12]"): "clock and interrupt, which nobody asks for",
    ("buck", "4"): "trims the voltage, which is as it comes",
    ("buck", "6"): "switches it off; open is on (a sister's sheet, by a public project)",
    ("usb", "[AB]8"): "SBU, which USB 2.0 does not use",
    ("usb_esd", "[46]"): "the same two wires as 3 and 1, joined in the part",
    ("relay", "12|22"): "the contacts that are closed at rest: the pair itself, as the barrier takes it",
    ("relay_closed", "14|24"): "the contacts that are open at rest: the pair itself, as the barrier takes it",
}
MECHANICAL = {("db9", "0")}  # kind, pad: mechanical
WEAK_OHM = (470.0, 220e3)  # range of a pull-up for an open collector; above it a few uA of leakage are its level
SAYS = {"input", "output", "bidirectional"}
KEEPS_APART_OHM = 200.0
DRIVES = {"output", "power_out"}
REALLY = {  # kind, pin: its type where parts.toml has a passive pin, since its part may also be wired otherwise
    ("nmos", r"d"): "output",
    ("pi_header", r"GPIO(4|6|7|8|1[6-9])"): "output",
    ("pi_header", r"GPIO[23]|ID_S[DC]"): "bidirectional",
}


def connected(card: Card) -> Iterator[str]:
    for part in card.parts.values():
        for pin in part.kind.pin_rows():
            if pin.name not in part.nets and not _may_be_open(part.kind_name, pin.name):
                yield f"{part.reference} ({part.kind.value}): pin {pin.name} is open, and OPEN says nothing of it"
        for pad in sorted(set(pads(part.kind_name)) - {pin.number for pin in part.kind.pin_rows()}):
            if (part.kind_name, pad) not in MECHANICAL and not _may_be_open(part.kind_name, pad):
                yield f"{part.reference} ({part.kind.value}): pad {pad} is no pin, and OPEN says nothing of it"
    for net, ends in card.nets.items():
        if len(ends) < 2:
            yield f"{net}: nothing but {ends[0][0].reference} {ends[0][1]}"
        elif {part.symbol for part, _ in ends} == {"C"}:
            yield f"{net}: nothing but capacitors"


@cache
def _pads() -> dict[str, list[str]]:
    every = footprints.load()
    return {part: [pad.number for pad in every[name].pad_rows()] for part, name in footprints.by_part(every).items()}


def pads(kind_name: str) -> list[str]:
    """The pads under the drawing's numbers, without unsoldered ones."""
    return _pads().get(kind_name, [])


@cache
def _may_be_open(kind_name: str, pin: str) -> bool:
    return any(kind == kind_name and re.fullmatch(name, pin) for kind, name in OPEN)


def shorted(card: Card) -> Iterator[str]:
    """No part with two ends has both on one net, and no chip has two supplies on one net."""
    for part in card.parts.values():
        feeds = [net for pin, net in part.nets.items() if part.type_of(pin) == "power_in"]
        if len(part.nets) == 2 and len(set(part.nets.values())) == 1:
            yield f"{part.reference}: both ends on {next(iter(part.nets.values()))}"
        if len(feeds) > 1 and len(set(feeds)) == 1:
            yield f"{part.reference}: its supply and its ground are {feeds[0]}"


def driven(card: Card) -> Iterator[str]:
    """A net has one driver; an input has one; a supply pin is fed; an open collector is pulled up."""
    for net, ends in card.nets.items():
        types = [_type(part, pin) for part, pin in ends]
        strong = [f"{part.reference} {pin}" for (part, pin), type_ in zip(ends, types, strict=True) if type_ in DRIVES]
        if len(strong) > 1:
            yield f"{net}: driven by {' and '.join(strong)}"
        for part in {each.reference: each for each, _ in ends if each.symbol != "amp"}.values():
            own = [pin for each, pin in ends if each is part and part.type_of(pin) in SAYS]
            if len(own) > 1 and any(part.type_of(pin) != "input" for pin in own):
                yield f"{net}: {' and '.join(own)} of {part.reference} joined"
        if strong and (other := _behind(card, net)):
            yield f"{net}: driven by {strong[0]}, and through next to nothing by {other}"
        if strong and "bidirectional" in types:
            yield f"{net}: {strong[0]} drives what others drive too"
        if strong and "open_collector" in types:
            yield f"{net}: {strong[0]} drives what an open collector pulls down"
        if "power_in" in types and "power_out" not in types:
            yield f"{net}: nothing feeds it"
        if set(types) == {"input"}:
            yield f"{net}: inputs only"
        if "open_collector" in types and not _pulled(card, net):
            yield f"{net}: an open collector that nothing pulls up"


def _type(part: Fitted, pin: str) -> str:
    return _really(part.kind_name, pin) or part.type_of(pin)


@cache
def _really(kind_name: str, pin: str) -> str | None:
    found = (type_ for (kind, name), type_ in REALLY.items() if kind == kind_name and re.fullmatch(name, pin))
    return next(found, None)


def _behind(card: Card, net: str) -> str | None:
    """A second driver behind a resistor too small to separate the two."""
    near = (each.other(net) for each in card.on(net, "R") if each.value < KEEPS_APART_OHM)
    return next((part.reference for far in near for part, pin in card.nets[far] if part.type_of(pin) == "output"), None)


def _pulled(card: Card, net: str) -> bool:
    """Whether a resistor leads to a supply, or to another pulled-up collector."""
    return any(
        WEAK_OHM[0] <= each.value <= WEAK_OHM[1]
        and each.other(net) != "GND"
        and any(
            part.type_of(pin) in ("power_in", "open_collector", "power_out") for part, pin in card.nets[each.other(net)]
        )
        for each in card.on(net, "R")
    )
