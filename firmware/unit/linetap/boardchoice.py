# SPDX-License-Identifier: Apache-2.0
"""Opens the board that the configuration names: hardware or simulated, and never one instead of the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from linetap.board.interface import CardBoard, PanelBoard
from linetap_core.clock import SYSTEM, Clock

if TYPE_CHECKING:  # the panel needs no numpy: 14 MB less
    from linetap.config.schema import Board, Config


def open_card(config: Config, card: int, clock: Clock = SYSTEM) -> CardBoard:
    """Returns the board of card number `card`. DeviceFault or BadInput if it does not match the configuration."""
    if not any(each.number == card and each.meter_port for each in config.card):
        return _open_pins(config, card, clock, metered=False)
    from linetap.board.meter.card import open_metered
    from linetap.board.pins import HEADER_CARD

    by_meter = config.board.kind == "hardware" and card != HEADER_CARD
    return open_metered(config, card, None if by_meter else _open_pins(config, card, clock, metered=True), clock)


def _open_pins(config: Config, card: int, clock: Clock, metered: bool) -> CardBoard:
    """Also leaves a note for opening its relays when capture no longer can."""
    from linetap.board.relays import Note, leave_note

    lines = len(config.lines_of(card))
    if config.board.kind == "simulated":
        from linetap.board.simulated import SimulatedCard
        from linetap.board.wires import CONTACTS_AT, RELAYS_AT, wires_path

        wires = str(wires_path(config.run_path.absolute(), card))
        leave_note(config.run_path, card, Note(wires=wires, at=RELAYS_AT, relays=lines, contacts=CONTACTS_AT))
        if metered:
            from linetap.board.simulated import SimulatedPins

            return SimulatedPins(config.run_path, card, lines)
        return SimulatedCard(config.run_path, card, lines)
    from linetap.board.gpio import import_gpio
    from linetap.board.hardware import HardwareCard
    from linetap.board.pins import card_wiring, load_pins

    wiring, gpio = card_wiring(config, card, load_pins(Path(config.board.pins))), import_gpio()
    leave_note(config.run_path, card, Note(pins=list(wiring.relay), open_level=int(not wiring.relay_active_high)))
    return HardwareCard(gpio, wiring, clock)


def open_panel(config: Config) -> PanelBoard:
    """Returns the unit's LEDs and button. DeviceFault or BadInput if they do not match the configuration."""
    return panel_of(config.board, config.run_path)


def panel_of(board: Board, run_dir: Path) -> PanelBoard:
    """The same for a board's settings alone."""
    if board.kind == "simulated":
        from linetap.board.simulated import SimulatedPanel

        return SimulatedPanel(run_dir)
    from linetap.board.gpio import import_gpio
    from linetap.board.hardware import HardwarePanel
    from linetap.board.pins import load_pins

    return HardwarePanel(import_gpio(), load_pins(Path(board.pins)))
