# SPDX-License-Identifier: Apache-2.0
"""Opens the board named by the configuration: hardware or simulated, and never one instead of the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from linetap.board.interface import CardBoard, PanelBoard
from linetap_core.clock import SYSTEM

if TYPE_CHECKING:  # the panel needs no numpy: 14 MB less
    from linetap.board.meter.card import Arm
    from linetap.config.schema import Board, Config
    from linetap.learned import LearnedWatch


def open_card(config: Config, card: int, learned: LearnedWatch) -> CardBoard:
    """The board of card number `card`; `learned`: the measurements of its lines. DeviceFault or BadInput if it does not
    match the configuration."""
    port, lines = config.meter_port(card), len(config.lines_of(card))
    if config.board.lines_are_simulated:
        from linetap.board.simulated import SimulatedArm, SimulatedCard

        if port is None:
            return SimulatedCard(config.run_path, card, lines)
        arm: Arm = SimulatedArm(config.run_path, card, lines, SYSTEM)
    else:
        from linetap.board.hardware import ArmLine, import_gpio
        from linetap.board.pins import arm_pin, load_pins

        arm = ArmLine(import_gpio(), arm_pin(config, card, load_pins(Path(config.board.pins))), SYSTEM)
    from linetap.board.meter.card import open_metered

    assert port is not None
    return open_metered(config, card, port, arm, learned, SYSTEM)


def open_panel(config: Config) -> PanelBoard:
    """The unit's LEDs and button. DeviceFault or BadInput if they do not match the configuration."""
    return panel_of(config.board, config.run_path)


def panel_of(board: Board, run_dir: Path) -> PanelBoard:
    """The LEDs and button from a board's settings alone."""
    if board.kind == "simulated":
        from linetap.board.simulated import SimulatedPanel

        return SimulatedPanel(run_dir)
    from linetap.board.hardware import HardwarePanel, import_gpio
    from linetap.board.pins import load_panel_pins

    return HardwarePanel(import_gpio(), load_panel_pins(Path(board.pins)))
