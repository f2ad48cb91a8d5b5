# SPDX-License-Identifier: Apache-2.0
"""The panel of a unit whose configuration is missing or cannot be used. It shows only that fault, or the adoption of a
new unit by its desk.

The panel needs only the board from the file, and reads as much of it as possible. If even that fails, it uses the table
of pins that `provision` and `config init` put beside the file. Without that table no LED can be lit, and only the state
file reports the fault. When the file changes, systemd restarts the panel.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from linetap.board.interface import UNIT_LEDS, PanelBoard
from linetap.boardchoice import panel_of
from linetap.config.schema import RUN_DIR, Board, Config
from linetap.panel.legend import Blinker
from linetap.panel.newunit import STARTS_MS, NewUnit
from linetap.panel.state import state_of
from linetap.standby import is_supervised
from linetap_core.clock import NS_PER_MS, SYSTEM, Clock
from linetap_core.errors import BadInput, LinetapError
from linetap_core.records import Fault
from linetap_core.service import START_AGAIN, StateFile, Stop, lock_of, stamp, start_logging
from linetap_core.tomlfile.source import Source
from linetap_core.wire.legend import STEP_MS

log = logging.getLogger("linetap.panel")


def run(file: Path, why: BadInput, clock: Clock = SYSTEM) -> int:
    """Runs until it is stopped or the file changes. Raises `why` if there is no board to show the fault."""
    stop = Stop()
    board, run_dir = _readable_settings(file)
    panel: PanelBoard | None = None
    try:
        panel = panel_of(board, run_dir)
    except LinetapError:
        if not is_supervised():
            raise why from None
    start_logging("panel")
    log.error("%s: %s", why.code, why)
    with lock_of(run_dir, "panel"):
        try:
            new = NewUnit(run_dir, 0 if panel is None or file.exists() else STARTS_MS)
            return _show(file, why, panel, stop, StateFile(run_dir, "panel", clock), new, clock)
        finally:
            if panel is not None:
                panel.close()


def _show(
    file: Path, why: BadInput, panel: PanelBoard | None, stop: Stop, state: StateFile, new: NewUnit, clock: Clock
) -> int:
    blinker, began_ns, was, ticks = Blinker(), clock.monotonic_ns(), stamp(file), 0
    while not stop.requested:
        if stamp(file) != was:
            return START_AGAIN
        now_ms = clock.monotonic_ns() // NS_PER_MS
        shown = new.shown(now_ms)
        if panel is None:
            leds = dict.fromkeys(UNIT_LEDS, False)
        else:
            pressed = panel.button()
            leds = blinker.leds(shown.patterns, now_ms, new.held_ms(pressed, now_ms))
            if not pressed and (lit := new.call_lit(now_ms)) is not None:
                leds["call"] = lit
            new.press(pressed, now_ms)
            panel.show(leds)
        ticks += 1
        if state.due():
            now = state_of(shown, leds, ticks, began_ns, Fault(why.code, str(why)))
            state.write(now, despite_fault=True)  # showing the fault is its only work
        clock.sleep(STEP_MS / 1000)
    return 0


def _readable_settings(file: Path) -> tuple[Board, Path]:
    """Returns the board, with an absolute path to its pins, and the folder of the state file. Wrong values are replaced
    by defaults.
    """
    try:
        found = Source(file).partial(Config)
        board, run_dir = found.board, found.run_dir
    except BadInput:
        board, run_dir = Board(), RUN_DIR
    return msgspec.structs.replace(board, pins=str(file.parent / board.pins)), Path(run_dir)
