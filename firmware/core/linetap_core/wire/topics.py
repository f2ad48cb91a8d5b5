# SPDX-License-Identifier: Apache-2.0
"""Topics and payloads, as docs/asyncapi.yaml has them. Pure: nothing here knows of a broker or a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from linetap_core.evidence import fetch
from linetap_core.records import LineState, LineStatus
from linetap_core.wire.message import Message

BLOCK_TYPE = "application/octet-stream"
BLOCK_EXPIRY_S = 60
HEALTH_EVERY_S = 30
HEALTH_EXPIRY_S = 90  # three missed ones: what is older says nothing about now


class Status(msgspec.Struct, frozen=True):
    """`since`: of online, and of the will, the start of the session; of an offline the unit said itself, its end."""

    state: Literal["online", "offline"]
    session: str
    version: str
    since: str


class LineReport(msgspec.Struct, frozen=True):
    state: LineStatus
    since: str
    call_id: str | None


@dataclass(frozen=True, slots=True)
class Topics:
    """Of one unit. A topic holds nothing but unit, line number and names of this program: no personal data."""

    unit: str

    def named(self, rest: str) -> str:
        """The unit's topic of this name."""
        return f"linetap/v1/{self.unit}/{rest}"

    def status(self, status: Status) -> Message:
        return Message(self.named("status"), msgspec.json.encode(status), retain=True)

    def line(self, line: int, report: LineReport) -> Message:
        return Message(self.named(f"line/{line}"), msgspec.json.encode(report), retain=True)

    def call(self, payload: bytes, sig: str) -> Message:
        return Message(self.named("call"), payload, sig=sig)

    def health(self, health: msgspec.Struct) -> Message:
        return Message(self.named("health"), msgspec.json.encode(health), retain=True, expiry_s=HEALTH_EXPIRY_S)

    def alert(self, check: str, payload: bytes) -> Message:
        return Message(self.named(f"alert/{check}"), payload, retain=True)

    def log(self, head: bytes, sig: str) -> Message:
        return Message(self.named("log"), head, retain=True, sig=sig)

    def reply(self, verb: str, payload: bytes, correlation: bytes | None) -> Message:
        return Message(self.named(f"reply/{verb}"), payload, correlation=correlation)

    def discovery(self, payload: msgspec.Struct) -> Message:
        """The unit's name is a level of its own: Mosquitto's patterns know no part of one."""
        return Message(f"homeassistant/device/{self.unit}/linetap/config", msgspec.json.encode(payload), retain=True)

    def block(self, data: bytes, correlation: bytes | None, properties: tuple[tuple[str, str], ...]) -> Message:
        """Of a fetched call. It expires: a desk that is away asks again, and finds none of these in its queue."""
        return Message(
            self.named(f"reply/{fetch.VERB}"), data, expiry_s=BLOCK_EXPIRY_S, correlation=correlation,
            content_type=BLOCK_TYPE, more=properties,
        )  # fmt: skip

    @property
    def commands(self) -> str:
        """A filter: what may be said to the unit."""
        return self.named("cmd/+")


def report_of(line: LineState) -> LineReport:
    return LineReport(line.state, line.since, line.call_id)
