# SPDX-License-Identifier: Apache-2.0
"""All rules by name, with their texts, for the tests and tools/card_rules.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rules import (
    analog,
    apart,
    barrier,
    buses,
    clocks,
    entry,
    header,
    holdup,
    levels,
    lines,
    needed,
    ordernumbers,
    pins,
    purposes,
    relays,
    variants,
    voltages,
)
from rules.card import Card


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. `broken` yields a sentence for each violation."""

    says: str
    broken: Callable[[Card], Iterator[str]]


RULES: dict[str, Rule] = {
    "connected": Rule("every pin and pad has a net with another pin on it, or is declared open", pins.connected),
    "shorted": Rule("no part is bridged by its own net", pins.shorted),
    "driven": Rule("one driver a net, every input driven, every supply fed, open collectors pulled up", pins.driven),
    "grounded": Rule("what a part names ground is on GND", levels.grounded),
    "pulled": Rule("a pull-up leads to the supply of the chips that it pulls", levels.pulled),
    "rests": Rule("a reset, an open collector and an input with a level to rest at rest at it", levels.rests),
    "purposes": Rule("each resistor, capacitor and diode that is only drawn has a purpose", purposes.purposes),
    "separate": Rule("no part but a ferrite or a fuse joins two supplies", apart.separate),
    "unbridged": Rule("nothing leads past a fuse, a contact or a transistor of the supply", apart.unbridged),
    "fed": Rule("each supply pin has the least voltage that its chip asks for", apart.fed),
    "cool": Rule("no resistor across a supply takes more than half of its rating", apart.cool),
    "barrier": Rule(
        "lines, unit and 12 V side meet only in parts that insulate what is asked, but for OPEN", barrier.crossed
    ),
    "armed": Rule("the coils' rail is there only while edges come from the Pi", relays.armed),
    "limited": Rule("a short of the coils' rail leaves +5V, and eight coils are no short", relays.limited),
    "commanded": Rule("a coil is pulled only by its transistor, which is off without a command", relays.commanded),
    "kept_apart": Rule("no net but a shared one is on two lines", lines.kept_apart),
    "plugs": Rule("a pair goes from plug to plug by its own fuses and contact", lines.plugs),
    "meter": Rule("VM, relay and contact of a line are the meter's channel of that line", lines.meter),
    "audio": Rule("RX and TX of a line are that channel's converters", lines.audio),
    "clocked": Rule("clocks and played data come from the module's pin of that name", clocks.clocked),
    "assumed": Rule("frequencies and voltages are those that programs and chips assume", clocks.assumed),
    "header": Rule("each pin of the Pi's header does what pins.toml says of it", header.header),
    "wired": Rule("terminals and the debug port have the order that a person wires by", header.wired),
    "lamps": Rule("a line's two lamps are its bits", lines.lamps),
    "lit": Rule("a lamp is the right way round with its resistor", lines.lit),
    "i2c": Rule("I2C is pulled up once, and each address is one part's", buses.i2c),
    "serial": Rule("the Pi's transmitter reaches a driver, its receiver a receiver", buses.serial),
    "usb": Rule("D+ and D- are kept apart; a type C plug says that it takes no power", buses.usb),
    "strapped": Rule("enables, straps and resets hang where they must; VREF is the meter's", buses.strapped),
    "decoupled": Rule("every supply pin has a capacitor, and bulk where it is asked for", buses.decoupled),
    "fed_back": Rule("an amplifier's output leads back to its inverting input, and to no other", analog.fed_back),
    "coupled": Rule("a capacitor at a winding passes speech, and a burden's middle is ground", analog.coupled),
    "held_up": Rule("no one part that is open or shorted takes the contacts' reference to ground", analog.held_up),
    "clamped": Rule("a clamp leads to the supply of the amplifier that it protects", analog.clamped),
    "beside": Rule("a pin that needs a resistor, a plug or another part beside it has it", needed.beside),
    "timed": Rule("the hub has its crystal, and knows whether a host is there", needed.timed),
    "stored": Rule("what outlasts a power cut is two capacitors in a row, and a coil", holdup.stored),
    "managed": Rule("the hold-up hands over, charges and gives at the voltages that the card needs", holdup.managed),
    "protected": Rule("each line has its barrier, protection and contact, each card its watchdog", variants.protected),
    "whole": Rule("a card is on the Pi's header with all that belongs there, or without any of it", variants.whole),
    "plugged": Rule("the fuse of 12 V carries the card, and stands that it is plugged in", entry.plugged),
    "guarded": Rule("what guards the entry of 12 V is there, and the right way round", entry.guarded),
    "carried": Rule("no wire to the Pi carries more of its 5 V than it is good for", entry.carried),
    "ordered": Rule("an order number says the value, volts, tolerance and case of its row", ordernumbers.ordered),
    "rated": Rule("no part carries more volts than it stands", voltages.rated),
    "within": Rule("no pin of a chip sees more than its supply", voltages.within),
}


def broken(card: Card) -> Iterator[tuple[str, str]]:
    """(rule, sentence) for each violation."""
    for name, rule in RULES.items():
        for sentence in rule.broken(card):
            yield name, sentence
