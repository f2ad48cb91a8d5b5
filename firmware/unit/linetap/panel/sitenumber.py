# SPDX-License-Identifier: Apache-2.0
"""The number of the site, counted out by CALL: digit by digit, a long light for a nought. RUN and FAULT go on."""

from __future__ import annotations

from linetap_core.wire.legend import STEP_MS

_DARK = "." * 10  # around the whole, and between two digits
_BLINK, _NOUGHT = "###..", "#" * 20


def pattern_of(number: int) -> str:
    """One character a step, # lit."""
    digits = [_NOUGHT if digit == "0" else _BLINK * int(digit) for digit in str(number)]
    return _DARK + _DARK.join(digits) + _DARK


class SiteNumber:
    """None: the configuration names none, and nothing is shown."""

    def __init__(self, number: int | None) -> None:
        self._steps = "" if number is None else pattern_of(number)
        self._began_ms: int | None = None

    def show(self, now_ms: int) -> None:
        self._began_ms = now_ms

    def lit(self, now_ms: int) -> bool | None:
        """Whether CALL is lit for it; None: it is not being shown."""
        if self._began_ms is None:
            return None
        step = (now_ms - self._began_ms) // STEP_MS
        if step >= len(self._steps):
            self._began_ms = None
            return None
        return self._steps[step] == "#"
