# SPDX-License-Identifier: Apache-2.0
"""What a press of the one button means, by its length. Nothing is done before it is let go: a button that sticks must
neither start a test nor end the recording, so one that is pressed for longer than anybody presses it means nothing."""

from __future__ import annotations

from typing import Literal

Press = Literal["short", "walk", "removal"]

SHORT_MS = 1000  # up to the next one it is a lamp test and no more
WALK_MS = 3000
REMOVAL_MS = 10_000
STUCK_MS = 30_000


class Button:
    def __init__(self) -> None:
        self._since_ms: int | None = None

    def held_ms(self, pressed: bool, now_ms: int) -> int | None:
        """For how long it has been pressed; None: it is not."""
        if not pressed:
            return None
        return 0 if self._since_ms is None else now_ms - self._since_ms

    def let_go(self, pressed: bool, now_ms: int) -> Press | None:
        """Once a tick: what the press that has just ended means, or None."""
        if pressed:
            self._since_ms = now_ms if self._since_ms is None else self._since_ms
            return None
        since_ms, self._since_ms = self._since_ms, None
        return None if since_ms is None else meaning(now_ms - since_ms)


def meaning(ms: int) -> Press | None:
    """Of a press of that length."""
    if ms < SHORT_MS:
        return "short"
    if ms < WALK_MS or ms >= STUCK_MS:
        return None
    return "walk" if ms < REMOVAL_MS else "removal"
