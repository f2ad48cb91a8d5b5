# SPDX-License-Identifier: Apache-2.0
"""The keys of an exchange that two people have confirmed, on the disk until the unit has its certificate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap_core.durable.smallfile import SmallFile
from linetap_core.enrolment.adoption import Channel

_LIMIT_BYTES = 4096


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """`reserved`: all boxes of the unit so far have lower numbers."""

    desk: str
    port: int
    run: str
    unit_key: str
    desk_key: str
    reserved: int

    @property
    def channel(self) -> Channel:
        return Channel("", self.run, bytes.fromhex(self.unit_key), bytes.fromhex(self.desk_key))


_SESSION = SmallFile("adoption_session", Session, _LIMIT_BYTES)


@dataclass(frozen=True, slots=True)
class Kept:
    """The session on the disk."""

    path: Path

    def load(self) -> Session | None:
        """None if it is missing or was damaged: the unit then needs a card."""
        try:
            return _SESSION.read(self.path)
        except (OSError, ValueError):
            return None

    def save(self, session: Session) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _SESSION.replace(self.path, session)

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
