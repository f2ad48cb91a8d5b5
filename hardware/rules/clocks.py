# SPDX-License-Identifier: Apache-2.0
"""Rules for the audio's clocks and data, and for the values that the programs and the chips assume."""

from __future__ import annotations

from collections.abc import Iterator

from rules.card import Card

HOST = "usb_audio"
HOST_ENDS = 2  # the module's pin and its resistor
WIRES = {  # kind, pin: the module's pin that feeds it (SLAS831D and SLES211C: system clock, bit clock, frame)
    ("adc4", "mclk"): "mclk",
    ("adc4", "sclk"): "sclk",
    ("adc4", "lrck"): "lrck",
    ("dac8", "mclk"): "mclk",
    ("dac8", "sclk"): "sclk",
    ("dac8", "lrck"): "lrck",
    ("dac8", "din1"): "dout1",
}
SERIES_OHM = (22.0, 100.0)  # matches a driver to its wire; 51k and 10 pF would be 3 MHz of the 24.576 MHz
VALUES = {  # kind: the beginning of its value, and what assumes it
    "crystal_24MHz": ("24 MHz", "the hub's own multiplier (DS00001692C)"),
    "clock_8MHz": ("8 MHz", "the meter's program, meter/stm32g0/clock.c"),
    "reference": ("REF3030", "3.0 V in meter/scale.h"),
    "supervisor": ("NCP803, 3.08 V", "a hub that needs 3.0 V"),
}
REGULATES = {"ldo": "3.3 V"}


def clocked(card: Card) -> Iterator[str]:
    """Each clock and the played data come from the module's pin of this name, through one resistor of its own."""
    hosts = card.of(HOST)
    for (kind, pin), source in WIRES.items():
        for part in card.of(kind):
            net = part.nets.get(pin, "")
            by = [each for each in card.on(net, "R") if SERIES_OHM[0] <= each.value <= SERIES_OHM[1]]
            near = {each.other(net) for each in by}
            if len(by) != 1 or near != {host.nets.get(source) for host in hosts}:
                yield f"{part.reference} ({part.kind.value}): {pin} is not the module's {source}"
    for host in hosts:
        for source in sorted(set(WIRES.values())):
            if len(card.nets.get(host.nets.get(source, ""), [])) != HOST_ENDS:
                yield f"{host.reference}: more than a resistor at {source}"


def assumed(card: Card) -> Iterator[str]:
    """Frequencies and voltages are those that programs and chips assume."""
    for kind, (value, why) in VALUES.items():
        for part in card.of(kind):
            if not part.kind.value.startswith(value):
                yield f"{part.reference}: {part.kind.value}, but {why} asks for {value}"
    for kind, volts in REGULATES.items():
        for part in card.of(kind):
            if not part.kind.value.endswith(volts):
                yield f"{part.reference}: {part.kind.value}, asked {volts}"
