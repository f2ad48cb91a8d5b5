# SPDX-License-Identifier: Apache-2.0
"""What `linetap line learn` has measured becomes the level of each line's notices, while capture runs.

One notice of one line at a time: raising it takes some milliseconds of the thread that has a period every ten.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from linetap import learned
from linetap.config import profile_of
from linetap.config.schema import Config, Line
from linetap.notices import notices_of
from linetap.notices.linelevel import gain_db, raised

from .player import Player


class LineGains:
    def __init__(self, config: Config, lines: list[Line], player: Player) -> None:
        self._config, self._lines, self._player = config, [line for line in lines if not line.exempt], player
        self._notices = notices_of(config)
        self._stamp = 0
        self._gains: dict[tuple[int, str], float] = {}
        self._work: Iterator[None] = iter(())

    def follow(self) -> None:
        """A few times a second."""
        stamp = learned.stamp(Path(self._config.learned))
        if stamp != self._stamp:
            self._stamp = stamp
            self._work = self._renew()
        next(self._work, None)

    def _renew(self) -> Iterator[None]:
        """A step for each notice of a line whose gain is another than before."""
        found = learned.load(Path(self._config.learned))
        for line in self._lines:
            numbers = profile_of(self._config, line.profile).notice
            for name, notice in self._notices.items():
                by_db = gain_db(notice.samples, found.get(line.number), self._config.recording, numbers)
                if self._gains.get((line.number, name), 0.0) != by_db:
                    self._gains[line.number, name] = by_db
                    self._player.raise_on(line.number, name, raised(notice.samples, by_db))
                    yield
