# SPDX-License-Identifier: Apache-2.0
"""Rules for the Pi's header and for the plugs whose order a person wires by: each pin has its function.

The functions are those of pins.toml. The rules follow a pin to what it does: an LED of its colour, a button, a
one-shot.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from linetap.board.pins import PinTable, load_pins
from rules.card import Card, Fitted

GROUND, PI_SUPPLY = "GND", "PI3V3"
COLOURS = {"run": "led_green", "call": "led_blue", "fault": "led_red"}  # docs/raspberry-pi.md, panel-label.svg
BUTTON_ENDS = 3  # the pin and two resistors
BUSES = {"GPIO2": ("rtc", "sda"), "GPIO3": ("rtc", "scl"), "ID_SD": ("eeprom", "sda"), "ID_SC": ("eeprom", "scl")}
OTHER_WIRE = {("meter", "tamper"): GROUND, ("eeprom", "wp"): GROUND, ("oneshot", "a"): GROUND}  # of their terminal
LOOP_OHM = (9e3, 11e3)  # halves 3.3 V with the 10k in the lid; meter/inputs.c takes 1/4 and 3/4 for a cut or short
DEBUG = {"a": "vdd", "b": "vss", "c": "swdio", "d": "swclk"}  # commissioning.md, step 3
PLUG = ("a", "b", "c")  # cards 2, 3 and 4, by the note in variants.toml


@cache
def _table() -> PinTable:
    return load_pins(Path(__file__).resolve().parent.parent / "pins.toml")


def header(card: Card) -> Iterator[str]:
    for part in card.of("pi_header"):
        for pin, net in part.nets.items():
            asked = {"3V3": PI_SUPPLY, "5V": "+5V", "GND": GROUND}.get(pin.rstrip("ABCDEFGH"))
            if asked and net != asked:
                yield f"{part.reference}: {pin} is on {net}"
        yield from _signals(card, part)
        yield from _lamps(card, part)
        yield from _arms(card, part)
        yield from _button(card, part)
        table = _table()
        used = {*table.reserved.i2c, *table.reserved.smdr_uart, *table.arm.pins, table.button.pin}
        used |= {getattr(table.led, name) for name in COLOURS}
        for pin in part.nets:
            if pin.startswith("GPIO") and int(pin.removeprefix("GPIO")) not in used:
                yield f"{part.reference}: {pin} is used, and pins.toml does not name it"


def _signals(card: Card, part: Fitted) -> Iterator[str]:
    for pin, (kind, theirs) in BUSES.items():
        if any(each.nets.get(theirs) != part.nets.get(pin) for each in card.of(kind)):
            yield f"{part.reference}: {pin} is not {theirs} of {kind}"


def _lamps(card: Card, part: Fitted) -> Iterator[str]:
    """A level of the pin turns on a transistor to ground, and with it one LED of the function's colour."""
    for name, colour in COLOURS.items():
        net = part.nets.get(f"GPIO{getattr(_table().led, name)}", "")
        drains = [each.nets.get("d", "") for each in card.of("nmos") if each.nets.get("g") == net]
        lit = [each.kind_name for drain in drains for each in card.on(drain, "D") if each.nets.get("k") == drain]
        sources = {each.nets.get("s") for each in card.of("nmos") if each.nets.get("g") == net}
        if lit != [colour] or sources != {GROUND}:
            yield f"LED {name} of pins.toml lights {' and '.join(lit) or 'nothing'}, asked {colour}"


def _arms(card: Card, part: Fitted) -> Iterator[str]:
    own, *others = (part.nets.get(f"GPIO{pin}") for pin in _table().arm.pins)
    if any(shot.nets.get("a") != own for shot in card.of("oneshot")):
        yield f"{part.reference}: the one-shot is not on the first pin of [arm]"
    plugs = [each for each in card.of("header4") if "swdio" not in {pin for _, pin in _ends(card, each)}]
    if [[each.nets.get(pin) for pin in PLUG] for each in plugs] != [others]:
        yield f"{part.reference}: the pins of [arm] are not in their order on the plug of the other cards"
    if any(len(card.nets.get(net or "", [])) != 2 for net in others):
        yield f"{part.reference}: more than the header and the plug on a wire of ARM"
    for each in plugs:
        if each.nets.get("d") != GROUND:
            yield f"{each.reference}: the last wire is not ground"


def _button(card: Card, part: Fitted) -> Iterator[str]:
    """Pressed, the button leads the header's own 3.3 V to its pin, through a resistor well below the pull-down."""
    net = part.nets.get(f"GPIO{_table().button.pin}", "")
    series = [each for each in card.on(net, "R") if each.other(net) != GROUND]
    down = [each.value for each in card.between(net, GROUND, "R")]
    press = {one.other(net) for one in series}
    supply = {end.other(far) for far in press for end in card.on(far) if end.kind_name == "terminal2"}
    if len(card.nets.get(net, [])) != BUTTON_ENDS:
        yield f"{net}: more than the button's two resistors"
    if supply != {PI_SUPPLY}:
        yield f"{part.reference}: the button leads {' and '.join(sorted(supply)) or 'nothing'} to its pin"
    if len(series) != 1 or len(down) != 1 or not series[0].value <= down[0] / 4:
        yield f"{part.reference}: the button's resistors give no level above 0.8 of 3.3 V"


def _ends(card: Card, plug: Fitted) -> list[tuple[Fitted, str]]:
    return [end for net in plug.nets.values() for end in card.nets.get(net, [])]


def wired(card: Card) -> Iterator[str]:
    """The other wire of a terminal is ground where its function says so; debug port and power plug have their order."""
    for (kind, pin), wire in OTHER_WIRE.items():
        for part in card.of(kind):
            net = part.nets.get(pin, "")
            for terminal in (each for each in card.on(net) if each.kind_name == "terminal2"):
                if terminal.other(net) != wire:
                    yield f"{terminal.reference}: leads {pin} of {kind} to {terminal.other(net)}, asked {wire}"
    for part in card.of("meter"):
        pulls = [each.value for each in card.on(part.nets.get("tamper", ""), "R")]
        if [LOOP_OHM[0] <= ohm <= LOOP_OHM[1] for ohm in pulls] != [True]:
            yield f"{part.reference}: the lid's loop has not 10 kohm here, as it has in the lid"
    for fuse in card.of("fuse_5A"):
        for terminal in (each for net in fuse.nets.values() for each in card.on(net) if each.kind_name == "terminal2"):
            returns = {part.nets.get("ret") for part in card.of("buck")}
            if terminal.nets.get("a") not in fuse.nets.values() or {terminal.nets.get("b")} != returns:
                yield f"{terminal.reference}: plus of 12 V is not its pin 1"
    for meter in card.of("meter"):
        ports = [each for each in card.of("header4") if meter.nets.get("swclk") in each.nets.values()]
        for port in ports:
            wrong = [pin for pin, name in DEBUG.items() if port.nets.get(pin) != meter.nets.get(name)]
            if wrong:
                yield f"{port.reference}: {' '.join(wrong)} are not {' '.join(DEBUG[pin] for pin in wrong)}"
