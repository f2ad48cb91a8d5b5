# SPDX-License-Identifier: Apache-2.0
"""The LEDs of a new unit during the search for its desk and the comparison of digits, and the button's part in it.

A press confirms that the desk's digits are the same. It counts only if it lasts for three seconds, like the press for a
walk test, if the same digits are shown throughout, and if they were shown once completely before. Digits that change
cannot have been compared.
"""

from __future__ import annotations

import logging
from pathlib import Path

from linetap import cardresult
from linetap.adoption import adoptionfiles
from linetap.panel.button import Button
from linetap.panel.state import STARTING, Display
from linetap_core.enrolment.checkdigit import with_check
from linetap_core.wire.legend import NUMBER_PAUSE, STEP_MS, number_pattern

_LOOK_EVERY_MS = 500
_DIGITS = 6
CONDITION_OF = {"seek": "adopt_seek", "code": "adopt_code", "confirmed": "adopt_confirmed"}
log = logging.getLogger("linetap.panel")
WRONG = Display("config_wrong", "idle", ("config_wrong",))
STARTS_MS = 30_000  # longer than a Pi needs to start `linetap adopt`


class NewUnit:
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
