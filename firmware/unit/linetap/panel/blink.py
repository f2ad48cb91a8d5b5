# SPDX-License-Identifier: Apache-2.0
"""From patterns to lit or dark, the lamp test, and the flicker of a unit that somebody looks for."""

from __future__ import annotations

from collections.abc import Mapping

from linetap.panel.button import WALK_MS, meaning
from linetap_core.wire.legend import BETWEEN_MS, IDENTIFY_MS, IDENTIFY_PATTERN, RELEASE_PATTERN, lit

LAMP_TEST_MS = WALK_MS  # a button that sticks must not hide a fault for longer


class Blinker:
    """Remembers when each LED's pattern began, so that a pattern is always shown from its start."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[str, int]] = {}
        self._identify_ms: int | None = None

    def leds(
        self, patterns: Mapping[str, str], now_ms: int, held_ms: int | None = None, identify: bool = False
    ) -> dict[str, bool]:
        """Which LEDs are lit now. All are while the button is pressed (for `held_ms` now), for LAMP_TEST_MS at most;
        all blink slowly where letting it go would prepare the removal; all flicker together for a second in six while
        `identify`."""
        flickers = self._flickers(now_ms, identify)
        for name, pattern in (dict.fromkeys(patterns, IDENTIFY_PATTERN) if flickers else patterns).items():
            if name not in self._began or self._began[name][0] != pattern:
                self._began[name] = (pattern, now_ms)
        if held_ms is not None and held_ms < LAMP_TEST_MS:
            return dict.fromkeys(patterns, True)
        if held_ms is not None and meaning(held_ms) == "removal":
            return dict.fromkeys(patterns, lit(RELEASE_PATTERN, held_ms))
        return {name: lit(pattern, now_ms - began) for name, (pattern, began) in self._began.items()}

    def _flickers(self, now_ms: int, identify: bool) -> bool:
        if not identify:
            self._identify_ms = None
            return False
        if self._identify_ms is None:
            self._identify_ms = now_ms
        return (now_ms - self._identify_ms) % (IDENTIFY_MS + BETWEEN_MS) < IDENTIFY_MS
