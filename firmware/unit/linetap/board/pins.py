# SPDX-License-Identifier: Apache-2.0
"""The pin table (hardware/pins.toml), parsed strictly: all errors at once, with file and line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linetap.config.schema import Config
from linetap_core.errors import BadInput, DeviceFault
from linetap_core.tomlfile.locate import Path as KeyPath
from linetap_core.tomlfile.source import Source

Pin = Annotated[int, Meta(ge=0, le=27)]
Pins = Annotated[list[Pin], Meta(min_length=1, max_length=8)]
Active = Literal["high", "low"]

HEADER_CARD = 1  # the card on the header; cards 2 to 4 are reached through their meters
LOWEST_RELAY_PIN = 9  # below it pins are pulled up at boot: a relay would close before linetap runs


class Reserved(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    i2c: Annotated[list[Pin], Meta(min_length=2, max_length=2)]
    meter_uart: Annotated[list[Pin], Meta(min_length=2, max_length=2)]
    smdr_uart: Annotated[list[Pin], Meta(min_length=2, max_length=2)]


class Leds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    run: Pin
    call: Pin
    fault: Pin
    active: Active


class PinRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """HOOK or RELAY, number 1 first; `active`: the level for off-hook, or closed."""

    pins: Pins
    active: Active


class Button(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pin: Pin
    active: Active


class PinTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reserved: Reserved
    led: Leds
    hook: PinRow
    relay: PinRow
    button: Button

    def uses(self) -> Iterator[tuple[KeyPath, str, int]]:
        """Yields (its place, its use, pin) for every pin of the table."""
        for group in ("i2c", "meter_uart", "smdr_uart"):
            for pin in getattr(self.reserved, group):
                yield ("reserved", group), group, pin
        for name in ("run", "call", "fault"):
            yield ("led", name), f"LED {name}", getattr(self.led, name)
        for group, row in (("hook", self.hook), ("relay", self.relay)):
            for i, pin in enumerate(row.pins, 1):
                yield (group, "pins"), f"{group.upper()}{i}", pin
        yield ("button", "pin"), "the button", self.button.pin


@dataclass(frozen=True, slots=True)
class CardWiring:
    """Pins of one card's configured lines, in the order of `Config.lines_of(card)`; True if high is active."""

    hook: tuple[int, ...]
    relay: tuple[int, ...]
    hook_active_high: bool
    relay_active_high: bool


def load_pins(path: Path) -> PinTable:
    """BadInput lists every error of the table with its line."""
    source = Source(path)
    table = source.convert(PinTable)
    if table is not None:
        _check_uses(table, source)
    source.check()
    assert table is not None
    return table


def card_wiring(config: Config, card: int, table: PinTable) -> CardWiring:
    """BadInput if a line has no front end; DeviceFault `no_meter` for a card that is not on the header."""
    if card != HEADER_CARD:
        raise DeviceFault("no_meter", f"card {card}: only card {HEADER_CARD} is on the header; this needs its meter")
    lines = config.lines_of(card)
    have = len(table.hook.pins)
    beyond = [line.number for line in lines if line.channel > have]
    if beyond:
        raise BadInput(f"{config.board.pins}: line {beyond[0]} is on a channel above {have}, which has no HOOK pin")
    return CardWiring(
        hook=tuple(table.hook.pins[line.channel - 1] for line in lines),
        relay=tuple(table.relay.pins[line.channel - 1] for line in lines),
        hook_active_high=table.hook.active == "high",
        relay_active_high=table.relay.active == "high",
    )


def check_pins(config: Config) -> None:
    """For `linetap config check`: whether the table holds and fits the lines. A simulated board has no pins."""
    if config.board.kind == "hardware":
        table = load_pins(Path(config.board.pins))
        if config.lines_of(HEADER_CARD):
            card_wiring(config, HEADER_CARD, table)


def _check_uses(table: PinTable, source: Source) -> None:
    first: dict[int, str] = {}
    for at, use, pin in table.uses():
        if pin in first:
            source.add(at, f"GPIO{pin} is {use} and already {first[pin]}; a pin has one use")
        first.setdefault(pin, use)
        if at[0] == "relay" and pin < LOWEST_RELAY_PIN:
            text = "is pulled up while the Pi boots and would close it"
            source.add(at, f"{use} on GPIO{pin}, which {text}; use GPIO{LOWEST_RELAY_PIN} to 27")
    if len(table.hook.pins) != len(table.relay.pins):
        have = f"{len(table.hook.pins)} HOOK and {len(table.relay.pins)} RELAY pins"
        source.add(("relay", "pins"), f"{have}; a line has one of each")
