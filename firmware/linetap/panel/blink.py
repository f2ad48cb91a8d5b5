# SPDX-License-Identifier: Apache-2.0
"""From patterns to lit or dark, the lamp test, and the flicker of a unit that somebody looks for."""

from __future__ import annotations

from collections.abc import Mapping

from linetap.panel.legend import BETWEEN_MS, IDENTIFY_MS, IDENTIFY_PATTERN, lit

LAMP_TEST_MS = 3000  # a button that sticks must not hide a fault for longer


class Blinker:
    """Remembers when each LED's pattern began, so that a pattern is always shown from its start."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[str, int]] = {}
        self._pressed_ms: int | None = None
        self._identify_ms: int | None = None

    def leds(self, patterns: Mapping[str, str], now_ms: int, pressed: bool, identify: bool = False) -> dict[str, bool]:
        """Which LEDs are lit now. All are while the button is pressed, for LAMP_TEST_MS at most; all flicker together
        for a second in six while `identify`."""
        flickers = self._flickers(now_ms, identify)
        for name, pattern in (dict.fromkeys(patterns, IDENTIFY_PATTERN) if flickers else patterns).items():
            if name not in self._began or self._began[name][0] != pattern:
                self._began[name] = (pattern, now_ms)
        if not pressed:
            self._pressed_ms = None
        elif self._pressed_ms is None:
            self._pressed_ms = now_ms
        if self._pressed_ms is not None and now_ms - self._pressed_ms < LAMP_TEST_MS:
            return dict.fromkeys(patterns, True)
        return {name: lit(pattern, now_ms - began) for name, (pattern, began) in self._began.items()}

    def _flickers(self, now_ms: int, identify: bool) -> bool:
        if not identify:
            self._identify_ms = None
            return False
        if self._identify_ms is None:
            self._identify_ms = now_ms
        return (now_ms - self._identify_ms) % (IDENTIFY_MS + BETWEEN_MS) < IDENTIFY_MS
