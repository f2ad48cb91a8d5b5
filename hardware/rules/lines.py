# SPDX-License-Identifier: Apache-2.0
"""Rules that keep a line's nets separate from the plug to the converters: none is crossed with a neighbour's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from drawing.project import LINES
from rules.card import Card

PLUG = "rj21"
ADC_CHANNELS = 4
COUPLING_F = (0.5e-6, 10e-6)  # 20 kohm of the converter, from memory: 16 Hz at 0.5 uF; settles in a second at 10
SENSE_OHM, SENSE_F = (100.0, 10e3), (1e-9, 100e-9)  # between VM and the meter: slows no edge of pulse dialling
COMMAND_ENDS = {"R": 3, "C": 2}  # of a relay: pin and two resistors; of a contact: pin and capacitor
FILTER_ENDS = 3  # pin, resistor, capacitor
SHARED = {"GND", "+3V3", "+5V", "COIL", "VMID", "V2V5", "REFC"}
PORT = re.compile(r"/(TIP|RING|TIP_TEL|RELAY|CONTACT|VM|RX|TX)[1-8]")
ON_A_WIRE = {"rj21", "fuse", "relay_closed"}  # kinds on a pair's wire before its fuse
FORWARD_V = {"led_green": 2.0, "led_red": 1.9, "led_blue": 3.2}
LAMP_A = (1e-3, 10e-3)
LAMP_WIRES = {"sck": "sck", "latch": "latch", "data": "ser"}  # pins of the meter and of the registers
LAMPS = {"led_green": 0, "led_red": 1}  # position of its register in the chain


def kept_apart(card: Card) -> Iterator[str]:
    """A net of a line connects only that line's parts, and leaves its sheet by its ports alone."""
    for net, ends in card.nets.items():
        lines = {part.sheet for part, _ in ends if part.sheet.startswith("Line")}
        if len(lines) > 1 and net not in SHARED:
            yield f"{net}: on {' and '.join(sorted(lines))}"
        others = sorted({part.sheet for part, _ in ends} - lines - {"references"})
        if len(lines) == 1 and others and net not in SHARED and not PORT.fullmatch(net):
            yield f"{net}: of {lines.pop()} and of {' and '.join(others)}, and no port of the line"


def plugs(card: Card) -> Iterator[str]:
    """J2 is the exchange and J3 the telephones, pair by pair; the tip passes the contact, the ring is straight."""
    exchange, telephones = (card.parts.get(name) for name in ("J1302", "J1303"))
    if exchange is None or telephones is None:
        yield "the two plugs of the lines are not there"
        return
    for line in range(1, LINES + 1):
        tip, ring = exchange.nets.get(f"T{line}"), exchange.nets.get(f"R{line}")
        behind = telephones.nets.get(f"T{line}")
        contact, fuses = card.parts.get(f"K{line}02"), [card.parts.get(f"F{line}0{i}") for i in (1, 2)]
        if (
            contact is None
            or {contact.nets.get(f"p{i}") for i in (1, 2)} != {tip}
            or {contact.nets.get(f"b{i}") for i in (1, 2)} != {behind}
        ):
            yield f"line {line}: tip of J2 does not reach tip of J3 through both poles of its contact"
        if telephones.nets.get(f"R{line}") != ring:
            yield f"line {line}: ring is not the same at both plugs"
        for net in (tip, ring, behind):
            for part in card.on(net or ""):
                if part.kind_name not in ON_A_WIRE:
                    yield f"{part.reference} ({part.kind.value}): on {net}, before its fuse"
        if any(fuse is None or net not in fuse.nets.values() for fuse, net in zip(fuses, (tip, ring), strict=True)):
            yield f"line {line}: its fuses are not at its own pair"


def meter(card: Card) -> Iterator[str]:
    """VM of line n leads to channel n through a resistor and a capacitor; relay and contact pins of n drive line n."""
    for chip in card.of("meter"):
        for line in range(1, LINES + 1):
            pin = chip.nets.get(f"vm{line}", "")
            before = card.on(pin, "R")
            from_ = [
                part.sheet for each in before for part, name in card.nets.get(each.other(pin), []) if name == "out"
            ]
            if from_ != [f"Line{line}"] or not SENSE_OHM[0] <= before[0].value <= SENSE_OHM[1]:
                yield f"vm{line} of the meter hears {', '.join(from_) or 'nothing'}"
            if not any(SENSE_F[0] <= each.value <= SENSE_F[1] for each in card.between(pin, "GND", "C")):
                yield f"vm{line} of the meter has no filter"
            if len(card.nets.get(pin, [])) > FILTER_ENDS:
                yield f"vm{line} of the meter has more than its filter on it"
            for name, symbol in ((f"relay{line}", "R"), (f"contact{line}", "C")):
                sheets = {each.sheet for each in card.on(chip.nets.get(name, ""), symbol)}
                if sheets != {f"Line{line}"}:
                    yield f"{name} of the meter goes to {', '.join(sorted(sheets)) or 'nothing'}"
                if len(card.nets.get(chip.nets.get(name, ""), [])) != COMMAND_ENDS[symbol]:
                    yield f"{name} of the meter has more or less on it than a command's parts"


def audio(card: Card) -> Iterator[str]:
    """RX of line n is channel n of the recording, TX of line n output n of playback."""
    wires = {chip.nets.get("sdout"): chip for chip in card.of("adc4")}
    hosts = card.of("usb_audio")
    chips = [wires[net] for host in hosts for pin in ("din1", "din2") if (net := host.nets.get(pin)) in wires]
    channels: dict[int, str] = {}
    for i, chip in enumerate(chips):
        channels |= {
            ADC_CHANNELS * i + channel: chip.nets.get(f"ain{channel}", "") for channel in range(1, ADC_CHANNELS + 1)
        }
    for line in range(1, LINES + 1):
        near = channels.get(line, "")
        heard = {part.sheet for each in card.on(near, "C") for part in card.on(each.other(near), "R")}
        if heard != {f"Line{line}"}:
            yield f"channel {line} records {', '.join(sorted(heard)) or 'nothing'}"
        beside = [each.value for each in card.on(near) if each.kind_name != "adc4"]
        if [COUPLING_F[0] <= farad <= COUPLING_F[1] for farad in beside] != [True]:
            yield f"channel {line} has more or less at its input than one capacitor of 0.5 to 10 uF"
        if any(len(card.nets[each.other(near)]) != 2 for each in card.on(near, "C")):
            yield f"channel {line}: more than a resistor and a capacitor between amplifier and converter"
        for chip in card.of("dac8"):
            played = {part.sheet for part in card.on(chip.nets.get(f"out{line}", "")) if part is not chip}
            if played != {f"Line{line}"}:
                yield f"output {line} plays on {', '.join(sorted(played)) or 'nothing'}"


def lamps(card: Card) -> Iterator[str]:
    """Line n's green lamp is bit n of the first register, its red one of the second; the registers are chained in this
    order.
    """
    registers = sorted(card.of("shift8"), key=lambda chip: chip.nets.get("next", "") == "")
    if len(registers) != len(LAMPS) or registers[0].nets.get("next") != registers[1].nets.get("ser"):
        yield "the lamps' registers are no chain of two"
        return
    for chip in card.of("meter"):
        for pin, into in LAMP_WIRES.items():
            if not all(register.nets.get(into) == chip.nets.get(pin) for register in registers[: 1 + (into != "ser")]):
                yield f"the meter's {pin} does not reach the registers' {into}"
    for kind, which in LAMPS.items():
        for line in range(1, LINES + 1):
            bit = registers[which].nets.get(f"q{line - 1}", "")
            lit = {
                led.reference[-1]
                for resistor in card.on(bit, "R")
                for led in card.on(resistor.other(bit))
                if led.kind_name == kind
            }
            if lit != {str(line)}:
                yield f"bit {line} for {kind} lights {', '.join(sorted(lit)) or 'nothing'}"


def lit(card: Card) -> Iterator[str]:
    """Each lamp has one resistor, from a supply or a register, and the current of a lamp; the one that a supply lights
    is green.
    """
    for led in card.of(*FORWARD_V):
        low = led.nets.get("k", "")
        if low != "GND" and not any(pin == "d" for _, pin in card.nets.get(low, [])):
            yield f"{led.reference}: its cathode is on {low}"
        if low != "GND" and len(card.nets.get(low, [])) != 2:
            yield f"{led.reference}: more than a transistor at its cathode"
        end = led.nets.get("a", "")
        resistors = card.on(end, "R")
        if len(resistors) != 1 or len(card.nets[end]) != 2:
            yield f"{led.reference}: {len(resistors)} resistors at its anode, and {len(card.nets.get(end, []))} ends"
            continue
        fed = 5.0 if resistors[0].other(end) == "+5V" else 3.3
        if fed == 5.0 and low == "GND" and led.kind_name != "led_green":
            yield f"{led.reference}: POWER is not green"
        amperes = (fed - FORWARD_V[led.kind_name]) / resistors[0].value
        if not LAMP_A[0] <= amperes <= LAMP_A[1]:
            yield f"{led.reference}: {amperes * 1000:.2g} mA"
