# SPDX-License-Identifier: Apache-2.0
"""The pin table (hardware/pins.toml), parsed strictly: all errors at once, with file and line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from linetap.config.schema import Config
from linetap_core.errors import BadInput
from linetap_core.tomlfile.locate import Path as KeyPath
from linetap_core.tomlfile.source import Source

Pin = Annotated[int, Meta(ge=0, le=27)]
Pins = Annotated[list[Pin], Meta(min_length=1, max_length=4)]
Active = Literal["high", "low"]

OF_EARLIER_CARDS = ("hook", "relay")


class Reserved(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    i2c: Annotated[list[Pin], Meta(min_length=2, max_length=2)]
    smdr_uart: Annotated[list[Pin], Meta(min_length=2, max_length=2)]
    meter_uart: list[Pin] | None = None  # of earlier cards


class Leds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    run: Pin
    call: Pin
    fault: Pin
    active: Active


class Arm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The arm pins, one a card, card 1 first: edges on a pin give the card's relays their current."""

    pins: Pins


class Button(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pin: Pin
    active: Active


class PinTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reserved: Reserved
    led: Leds
    button: Button
    arm: Arm = Arm(pins=[16, 17, 18, 19])
    hook: Any = None  # of earlier cards, like `relay`
    relay: Any = None

    def uses(self) -> Iterator[tuple[KeyPath, str, int]]:
        """Yields (place in the table, use, pin) for every pin."""
        for group in ("i2c", "smdr_uart"):
            for pin in getattr(self.reserved, group):
                yield ("reserved", group), group, pin
        for name in ("run", "call", "fault"):
            yield ("led", name), f"LED {name}", getattr(self.led, name)
        for card, pin in enumerate(self.arm.pins, 1):
            yield ("arm", "pins"), f"ARM of card {card}", pin
        yield ("button", "pin"), "the button", self.button.pin


def load_pins(path: Path) -> PinTable:
    """Loads the table. BadInput lists every error with its line."""
    return _loaded(path, _check_uses, _check_age)


def load_panel_pins(path: Path) -> PinTable:
    """Loads the table for LEDs and button alone; a table for earlier cards suffices."""
    return _loaded(path, _check_uses)


def _loaded(path: Path, *checks: Any) -> PinTable:
    source = Source(path)
    table = source.convert(PinTable)
    if table is not None:
        for check in checks:
            check(table, source)
    source.check()
    assert table is not None
    return table


def arm_pin(config: Config, card: int, table: PinTable) -> int:
    """The arm pin of a card. BadInput for a card without one."""
    if card > len(table.arm.pins):
        raise BadInput(f"{config.board.pins}: arm.pins has {len(table.arm.pins)} pins, and none for card {card}")
    return table.arm.pins[card - 1]


def _check_uses(table: PinTable, source: Source) -> None:
    first: dict[int, str] = {}
    for at, use, pin in table.uses():
        if pin in first:
            source.add(at, f"GPIO{pin} is {use} and already {first[pin]}; a pin has one use")
        first.setdefault(pin, use)


def _check_age(table: PinTable, source: Source) -> None:
    """Adds an error for a table of earlier cards with lines on the header: edges of ARM would move their relays."""
    found = [name for name in OF_EARLIER_CARDS if getattr(table, name) is not None]
    if found:
        what = "is of cards with lines on the header, which this version cannot use: each card has its meter on USB"
        source.add((found[0],), f"[{found[0]}] {what}. Put the pins.toml of this version in this place")
