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

from linetap import cardresult
from linetap.adoption import adoptionfiles
from linetap.board.interface import UNIT_LEDS, PanelBoard
from linetap.boardchoice import panel_of
from linetap.config.schema import RUN_DIR, Board, Config
from linetap.panel.button import Button
from linetap.panel.legend import Blinker
from linetap.panel.state import STARTING, Display, state_of
from linetap.standby import is_supervised
from linetap_core.clock import NS_PER_MS, SYSTEM, Clock
from linetap_core.enrolment.checkdigit import with_check
from linetap_core.errors import BadInput, LinetapError
from linetap_core.records import Fault
from linetap_core.service import START_AGAIN, StateFile, Stop, lock_of, stamp, start_logging
from linetap_core.tomlfile.source import Source
from linetap_core.wire.legend import NUMBER_PAUSE, STEP_MS, number_pattern

_LOOK_EVERY_MS = 500
_DIGITS = 6
CONDITION_OF = {"seek": "adopt_seek", "code": "adopt_code", "confirmed": "adopt_confirmed"}
log = logging.getLogger("linetap.panel")
WRONG = Display("config_wrong", "idle", ("config_wrong",))
STARTS_MS = 30_000  # longer than a Pi needs to start `linetap adopt`


class NewUnit:
    """The LEDs of a new unit during the search for its desk and the comparison of digits, and the button's part in it.

    A press confirms that the desk's digits are the same. It counts only if it lasts for three seconds, like the press
    for a walk test, if the same digits are shown throughout, and if they were shown once completely before. Digits that
    change cannot have been compared.
    """

    def __init__(self, run_dir: Path, starts_ms: int = 0) -> None:
        """`starts_ms`: the time for which a unit without a running `linetap adopt` is shown as starting."""
        self._run_dir, self._starts_ms, self._button = run_dir, starts_ms, Button()
        self._first_ms: int | None = None
        self._is_card_wrong = False
        self._seen: adoptionfiles.AdoptionDisplay | None = None
        self._looked_ms: int | None = None
        self._counted, self._began_ms = "", 0
        self._held: tuple[str, int] | None = None  # the digits at the beginning of the press, and its start

    def shown(self, now_ms: int) -> Display:
        """Returns the present condition: a wrong card or configuration first."""
        if self._first_ms is None:
            self._first_ms = now_ms
        if self._looked_ms is None or now_ms - self._looked_ms >= _LOOK_EVERY_MS:
            self._looked_ms = now_ms
            self._is_card_wrong = self._run_dir.with_name(cardresult.CARD_WRONG).exists()
            self._seen = None if self._is_card_wrong else adoptionfiles.read_shown(self._run_dir)
            if self.digits != self._counted:
                self._counted, self._began_ms = self.digits, now_ms
        if self._seen is None and not self._is_card_wrong and now_ms - self._first_ms < self._starts_ms:
            return STARTING
        if self._seen is None or self._seen.state == "over":
            return WRONG
        condition = CONDITION_OF[self._seen.state]
        return Display(condition, "idle", (condition,))

    @property
    def digits(self) -> str:
        """The six digits of the exchange, or "". CALL counts them with their check digit."""
        digits = self._seen.digits if self._seen is not None and self._seen.state == "code" else ""
        return digits if digits.isascii() and digits.isdecimal() and len(digits) == _DIGITS else ""

    def call_lit(self, now_ms: int) -> bool | None:
        """Whether CALL is lit by the digits; None while none are shown."""
        if not self._counted:
            return None
        steps = self._steps
        return steps[(now_ms - self._began_ms) // STEP_MS % len(steps)] == "#"

    def held_ms(self, pressed: bool, now_ms: int) -> int | None:
        return self._button.held_ms(pressed, now_ms)

    def press(self, pressed: bool, now_ms: int) -> None:
        """Follows the button. Call it once a tick."""
        if pressed and self._held is None:
            was_counted = now_ms - self._began_ms >= len(self._steps.rstrip(".")) * STEP_MS  # up to the last blink
            self._held = (self._counted if was_counted else "", self._began_ms)
        if self._button.update(pressed, now_ms) == "walk" and self._counted:
            if self._held == (self._counted, self._began_ms):
                adoptionfiles.press(self._run_dir, self._counted)
            else:
                log.warning("adoption_press: it does not count, the digits were not counted once before it")
        if not pressed:
            self._held = None

    @property
    def _steps(self) -> str:
        return number_pattern(with_check(self._counted)) + NUMBER_PAUSE


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
