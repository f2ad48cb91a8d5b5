# SPDX-License-Identifier: Apache-2.0
"""From patterns to lit or dark: the lamp test, the flicker of a unit that somebody looks for, and the brightness."""

from __future__ import annotations

from collections.abc import Mapping

from linetap.config.schema import Panel, percent_at
from linetap.panel.button import WALK_MS, meaning
from linetap_core.clock import from_utc_ns
from linetap_core.wire.legend import BETWEEN_MS, IDENTIFY_MS, IDENTIFY_PATTERN, RELEASE_PATTERN, lit
from linetap_core.zones import zone_of

LAMP_TEST_MS = WALK_MS  # a stuck button must not hide a fault for longer


class Blinker:
    """Remembers when each LED's pattern began, so that a pattern is always shown from its start."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[str, int]] = {}
        self._identify_ms: int | None = None

    def leds(
        self, patterns: Mapping[str, str], now_ms: int, held_ms: int | None = None, identify: bool = False
    ) -> dict[str, bool]:
        """Returns which LEDs are lit now.

        All are lit while the button is pressed (for `held_ms` so far), at most for LAMP_TEST_MS. All blink slowly while
        releasing it would prepare the removal. All flicker together for one second in six while `identify`.
        """
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


# --- Brightness -------------------------------------------------------------------------------------------------------


class Night:
    """Dims the LEDs by night, since a closet with a window lights up the room."""

    def __init__(self, panel: Panel, zone: str) -> None:
        """`zone`: of the hours in `panel`."""
        self._panel, self._zone = panel, zone_of(zone)

    def percent(self, utc_ns: int) -> int:
        """Percentage of full brightness."""
        now = from_utc_ns(utc_ns).astimezone(self._zone)
        return percent_at(self._panel, now.hour * 60 + now.minute)
