# SPDX-License-Identifier: Apache-2.0
"""Compares the drawing's header with pins.toml."""

from __future__ import annotations

from drawing.project import Circuit
from linetap.board.pins import PinTable

HEADER_PART = "pi_header"
RESERVED = {  # the nets of a reserved group, in the order of its pins
    "i2c": ("/connectors/SDA", "/connectors/SCL"),
    "smdr_uart": ("/connectors/SMDR_TX", "/connectors/SMDR_RX"),
}


def expected(table: PinTable) -> dict[int, str]:
    """GPIO -> the net required by pins.toml."""
    nets: dict[int, str] = {}
    for group, names in RESERVED.items():
        nets |= dict(zip(getattr(table.reserved, group), names, strict=True))
    nets |= {table.led.run: "/LED_RUN", table.led.call: "/LED_CALL", table.led.fault: "/LED_FAULT"}
    nets |= {pin: "/ARM_IN" if i == 1 else f"/connectors/ARM{i}" for i, pin in enumerate(table.arm.pins, 1)}
    return nets | {table.button.pin: "/BUTTON"}


def drawn(circuit: Circuit) -> dict[int, str]:
    """GPIO -> the net on its pin of the header."""
    sheet = circuit.sheets["connectors"]
    ((_, base),) = circuit.instances(sheet.name)
    (header,) = (part for part in sheet.parts() if part.kind_name == HEADER_PART)
    nets = {node: net for net, nodes in circuit.nets().items() for node in nodes}
    found = {pin.name: (header.reference(base), pin.number) for pin in header.kind.pin_rows()}
    gpio = {int(name.removeprefix("GPIO")): node for name, node in found.items() if name.startswith("GPIO")}
    return {number: nets[node] for number, node in gpio.items() if node in nets}


def differences(table: PinTable, circuit: Circuit) -> list[str]:
    """One line for each GPIO whose net differs between table and drawing."""
    asked, have = expected(table), drawn(circuit)
    return [
        f"GPIO{gpio}: pins.toml asks for {asked.get(gpio, 'nothing')}, the drawing has {have.get(gpio, 'nothing')}"
        for gpio in sorted(asked.keys() | have.keys())
        if asked.get(gpio) != have.get(gpio)
    ]
