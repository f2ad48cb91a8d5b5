# SPDX-License-Identifier: Apache-2.0
"""A card's limits as they are learnt, also while capture runs.

They are looked for by a thread of its own: they lie on the disk, which may keep a reader waiting.
"""

from __future__ import annotations

import threading
from pathlib import Path

from linetap import learned
from linetap.board.meter.limits import LimitArrays, limits_of
from linetap.config import profile_of
from linetap.config.schema import Config

LOOK_S = 2.0


class LearnedLimits:
    """`limits` is another object whenever they have changed."""

    def __init__(self, config: Config, card: int) -> None:
        self._folder = Path(config.learned)
        self._lines = [(line.number, profile_of(config, line.profile)) for line in config.lines_of(card)]
        self._stamp: int | None = None
        self._stopped = threading.Event()
        self.limits = self._load()

    def start(self) -> None:
        threading.Thread(target=self._watch, name="meter-learned", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def look(self) -> None:
        """Loads them anew when the folder has changed."""
        if learned.stamp(self._folder) != self._stamp:
            self.limits = self._load()

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_S):
            self.look()

    def _load(self) -> LimitArrays:
        self._stamp = learned.stamp(self._folder)
        found = learned.load(self._folder)
        return LimitArrays([limits_of(p.meter, p.no_line_v, found.get(number)) for number, p in self._lines])
