# SPDX-License-Identifier: Apache-2.0
"""Hook inputs, relays, LEDs and the button of a unit: what the services may ask of a board, whichever it is.

`hardware*.py` and `simulated*.py` are chosen by name (`board.kind`); one that fails refuses to start, it never falls
through to the other. Ring, polarity, voltage and line LEDs belong to the card's meter (`meter/`), where it has one;
without, ring and polarity read 0 and the voltage NO_VOLTS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from linetap.clock import SYSTEM, Clock

if TYPE_CHECKING:  # the panel needs no numpy: 14 MB less; what opens the relays of a dead capture, no configuration
    from linetap.config.schema import Board, Config
    from linetap.records import MeterState
    from linetap.ring import I16, Bits

PERIOD_MS = 10
FULL_PERCENT = 100  # of brightness
UNIT_LEDS = ("run", "call", "fault")


@dataclass(frozen=True, slots=True)
class Levels:
    """Ten milliseconds of a card, one row a line in the order of `Config.lines_of(card)`.

    `hook` (True = off-hook level), `ring` (True = ring detector on), `polarity` (True = reversed): bool (lines, 10),
    oldest first; `volts`: int16 (lines,), hundredths of a volt at the end of the period, or ring.NO_VOLTS.
    """

    hook: Bits
    ring: Bits
    polarity: Bits
    volts: I16


class CardBoard(Protocol):
    """One card's lines. Opening it opens every relay; so does closing it."""

    @property
    def behind_ms(self) -> int:
        """How long ago a millisecond has to be for its levels to be known for certain."""
        ...

    @property
    def meter(self) -> MeterState | None:
        """Kept up to date by whoever asks for levels; None: the card has no meter."""
        ...

    def levels(self, until_ns: int) -> Levels:
        """The ten milliseconds before `until_ns` (CLOCK_MONOTONIC). Never waits."""
        ...

    def relay(self, index: int, closed: bool) -> None:
        """The notice relay of the line in row `index`."""
        ...

    def close(self) -> None: ...


class PanelBoard(Protocol):
    """The three unit LEDs and the button."""

    def show(self, leds: Mapping[str, bool]) -> None:
        """All of UNIT_LEDS, lit or dark."""
        ...

    def dim(self, percent: int) -> None:
        """How bright what is lit is from the next `show` on: 1 to 100; at first 100."""
        ...

    def button(self) -> bool:
        """Whether it is pressed now."""
        ...

    def close(self) -> None: ...


def open_card(config: Config, card: int, clock: Clock = SYSTEM) -> CardBoard:
    """The board of card number `card`. DeviceFault or BadInput where it cannot be what the configuration says."""
    if not any(each.number == card and each.meter_port for each in config.card):
        return _open_pins(config, card, clock, metered=False)
    from linetap.board.meter.open import open_metered
    from linetap.board.pins import HEADER_CARD

    by_meter = config.board.kind == "hardware" and card != HEADER_CARD
    return open_metered(config, card, None if by_meter else _open_pins(config, card, clock, metered=True), clock)


def _open_pins(config: Config, card: int, clock: Clock, metered: bool) -> CardBoard:
    """With a note of how its relays are opened when capture no longer can."""
    from linetap.board.relays import Note, leave_note

    lines = len(config.lines_of(card))
    if config.board.kind == "simulated":
        from linetap.board.simulated import SimulatedCard
        from linetap.board.wires import RELAYS_AT, wires_path

        wires = str(wires_path(config.run_path.absolute(), card))
        leave_note(config.run_path, card, Note(wires=wires, at=RELAYS_AT, relays=lines))
        if metered:
            from linetap.board.simulated_pins import SimulatedPins

            return SimulatedPins(config.run_path, card, lines)
        return SimulatedCard(config.run_path, card, lines)
    from linetap.board.gpio import import_gpio
    from linetap.board.hardware import HardwareCard
    from linetap.board.pins import card_wiring, load_pins

    wiring, gpio = card_wiring(config, card, load_pins(Path(config.board.pins))), import_gpio()
    leave_note(config.run_path, card, Note(pins=list(wiring.relay), open_level=int(not wiring.relay_active_high)))
    return HardwareCard(gpio, wiring, clock)


def open_panel(config: Config) -> PanelBoard:
    """The unit's LEDs and button. DeviceFault or BadInput where they cannot be what the configuration says."""
    return panel_of(config.board, config.run_path)


def panel_of(board: Board, run_dir: Path) -> PanelBoard:
    """The same of a board alone."""
    if board.kind == "simulated":
        from linetap.board.simulated_panel import SimulatedPanel

        return SimulatedPanel(run_dir)
    from linetap.board.gpio import import_gpio
    from linetap.board.hardware_panel import HardwarePanel
    from linetap.board.pins import load_pins

    return HardwarePanel(import_gpio(), load_pins(Path(board.pins)))
