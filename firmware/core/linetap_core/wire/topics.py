# SPDX-License-Identifier: Apache-2.0
"""Topics and payloads, as in docs/asyncapi.yaml: the unit builds topics, the desk parses them. Pure: no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import msgspec

from linetap_core.evidence.authorization import fetch
from linetap_core.evidence.signing import unitnames
from linetap_core.records import LineRelease, LineState, LineStatus
from linetap_core.wire.mqtt import Message

PREFIX = "linetap/v1"
HOME_ASSISTANT = "homeassistant"  # Home Assistant's prefix, for discovery
BLOCK_TYPE = "application/octet-stream"
BLOCK_EXPIRY_S = 60
HEALTH_EVERY_S = 30
HEALTH_EXPIRY_S = 90  # three missed reports: an older one is out of date


class Status(msgspec.Struct, frozen=True):
    """The unit's connection. `since`: for online and the will, the start of the session; for an offline reported by the
    unit itself, its end.
    """

    state: Literal["online", "offline"]
    session: str
    version: str
    since: str


class LineReport(msgspec.Struct, frozen=True, omit_defaults=True):
    state: LineStatus
    since: str
    call_id: str | None
    release: LineRelease | None = None


type Kind = Literal["status", "line", "call", "health", "alert", "log", "reply", "cmd"]
_TOPIC = re.compile(
    rf"{PREFIX}/({unitnames.NAME})/"
    r"(?:(status|health|call|log)|(line)/([1-9][0-9]?)|(alert|reply|cmd)/([a-z0-9_]{1,40}))"
)


class Address(NamedTuple):
    """The parts of a topic. `below`: a line's number, the name of a check or verb, or empty."""

    unit: str
    kind: Kind
    below: str


def address(topic: str) -> Address | None:
    """The parts of a topic; None for a topic of others."""
    found = _TOPIC.fullmatch(topic)
    if found is None:
        return None
    unit, plain, line, number, named, below = found.groups()
    return Address(unit, cast(Kind, plain or line or named), number or below or "")


def of_every_unit(*kinds: str) -> tuple[str, ...]:
    """Filters for a subscription to all units, for kinds such as `status`, `line/+` and `reply/ack`."""
    return tuple(f"{PREFIX}/+/{kind}" for kind in kinds)


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one unit. They contain only unit, line number and names of this program: no personal data."""

    unit: str

    def named(self, rest: str) -> str:
        """The unit's topic with this name."""
        return f"{PREFIX}/{self.unit}/{rest}"

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
        return Message(self.replies(verb), payload, correlation=correlation)

    def discovery(self, payload: msgspec.Struct) -> Message:
        """The discovery message. The unit's name is a separate level: Mosquitto's patterns match whole levels."""
        return Message(f"{HOME_ASSISTANT}/device/{self.unit}/linetap/config", msgspec.json.encode(payload), retain=True)

    def block(self, data: bytes, correlation: bytes | None, properties: tuple[tuple[str, str], ...]) -> Message:
        """A block of a fetched call. It expires: a desk that was away requests it again, without old ones in its
        queue.
        """
        return Message(
            self.replies(fetch.VERB), data, expiry_s=BLOCK_EXPIRY_S, correlation=correlation,
            content_type=BLOCK_TYPE, more=properties,
        )  # fmt: skip

    def replies(self, verb: str) -> str:
        return self.named(f"reply/{verb}")

    def command(self, verb: str) -> str:
        return self.named(f"cmd/{verb}")

    @property
    def commands(self) -> str:
        """The filter for every command to the unit."""
        return self.command("+")


def report_of(line: LineState) -> LineReport:
    return LineReport(line.state, line.since, line.call_id, line.release)
