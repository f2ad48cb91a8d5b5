# SPDX-License-Identifier: Apache-2.0
"""The state of all units by the broker's messages. Pure, and bounded: messages beyond the bounds are counted, not
stored.

A unit is late by the receipt of its health and the broker's expiry, not by the time in it: a unit with a wrong clock is
not late.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from linetap_core import jsontext
from linetap_core.clock import NS_PER_S
from linetap_core.records import FREE, LineRelease, LineStatus, Severity
from linetap_core.wire import topics
from linetap_core.wire.alerts import led_of
from linetap_core.wire.legend import ACTIVITIES, CONDITIONS, activity_of, shown_conditions
from linetap_core.wire.topics import HEALTH_EXPIRY_S, Address
from linetap_desk.inputs.strict import Sentence, Status, Word

TOPICS = topics.of_every_unit("status", "health", "line/+", "alert/+")
_KINDS = ("status", "health", "line", "alert")
MOST_UNITS = 3000
MOST_LINES = 32  # per unit, as the next limit
MOST_ALERTS = 96  # more than there are checks
MOST_ALERTS_IN_ALL = 10_000
LIMIT_BYTES = 16 << 10  # of a payload
GRACE_S = 10  # from a unit's first status to its first health

Standing = Literal["fault", "unheard", "offline", "late", "warning", "fine"]
STANDINGS: tuple[Standing, ...] = ("fault", "unheard", "offline", "late", "warning", "fine")  # worst first
AWAY: tuple[Standing, ...] = ("unheard", "offline", "late")  # their present state is unknown
Change = dict[str, Any]


class Line(msgspec.Struct, frozen=True):
    state: LineStatus
    since: Word
    call_id: Word | None
    release: LineRelease | None = None  # None: unit of an earlier version


class Alert(msgspec.Struct, frozen=True):
    severity: Severity
    line: int | None
    since: Word
    text_ko: Sentence
    text_en: Sentence
    action_ko: Sentence = ""
    action_en: Sentence = ""
    led: Word = ""  # the legend's condition that shows it; empty: unit of an older version


class ShownHealth(msgspec.Struct, frozen=True):
    """The shown part of a unit's health. `at` is the unit's own time."""

    at: Word
    storage_days_left: float | None = None
    recording_refused: Word | None = None
    services_dead: Word = ""
    services_starting: Word = ""
    unconfirmed: int = 0
    config_sha256: Word | None = None


@dataclass(slots=True)
class Unit:
    name: str
    status: Status | None = None
    health: ShownHealth | None = None
    lines: dict[int, Line] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    good_until_ns: int = 0  # monotonic; not late until then
    heard_ns: int | None = None  # monotonic, of its last message; None: only retained messages so far
    left_ns: int | None = None  # monotonic, when it went offline; None: before the desk started
    signed_off: bool | None = None  # offline unit: it signed off itself; None: unknown
    standing: Standing = "unheard"
    is_reported: bool = False  # whether its standing was reported

    @property
    def calls(self) -> int:
        return (
            0
            if self.standing in AWAY and self.is_reported
            else sum(line.state not in FREE for line in self.lines.values())
        )

    def judged(self, now_ns: int) -> Standing:
        """The unit's standing; being away precedes all others."""
        if self.status is None:
            return "unheard"
        if self.status.state == "offline":
            return "offline"
        if now_ns > self.good_until_ns:
            return "late"
        severities = {alert.severity for alert in self.alerts.values()}  # only the unit's own judgement counts
        if "critical" in severities:
            return "fault"
        return "warning" if severities else "fine"


class Units:
    def __init__(self, expected: Iterable[str] = ()) -> None:
        """`expected`: units that are reported as missing without a message at the broker."""
        self.expected = dict.fromkeys(expected)
        self.forget()

    def forget(self) -> None:
        """Forgets all units before a new connection: a broker sends its retained messages again."""
        self.bad = 0  # unreadable payloads
        self.passed_over = 0  # messages beyond the bounds
        self.units: dict[str, Unit] = {name: Unit(name) for name in self.expected}
        self._alerts = 0

    @property
    def missing(self) -> int:
        """The number of expected units without a message."""
        return sum(self.units[name].status is None for name in self.expected)

    def receive(
        self, topic: str, payload: bytes, now_ns: int, retained: bool = False, expiry_s: int | None = None
    ) -> Change | None:
        """Processes a message; returns the changes. `now_ns`: monotonic; `retained`: sent before the subscription;
        `expiry_s`: the remaining validity at the broker."""
        found = topics.address(topic)
        if found is None or found.kind not in _KINDS or len(payload) > LIMIT_BYTES:
            self.bad += 1
            return None
        unit = self.units.get(found.unit) or Unit(found.unit)
        if unit.name not in self.units and len(self.units) >= MOST_UNITS:
            self.passed_over += 1
            return None
        try:
            change = self._change(unit, found, payload, now_ns, retained, expiry_s)
        except (ValueError, RecursionError):
            self.bad += 1
            return None
        unit.heard_ns = unit.heard_ns if retained else now_ns
        if unit.name in self.expected or unit.status or unit.health or unit.lines or unit.alerts:
            self.units[unit.name] = unit
        else:
            self.units.pop(unit.name, None)
        return change

    def judge(self, now_ns: int) -> list[Change]:
        """The units whose standing changed."""
        changes = []
        for unit in self.units.values():
            standing = unit.judged(now_ns)
            if standing != unit.standing or not unit.is_reported:
                unit.standing, unit.is_reported = standing, True
                changes.append({"unit": unit.name, "kind": "standing", "standing": standing})
        return changes

    # --- one message -------------------------------------------------------------------------------------------

    def _change(
        self, unit: Unit, found: Address, payload: bytes, now_ns: int, retained: bool, expiry_s: int | None
    ) -> Change | None:
        if found.kind == "alert":
            return self._alert(unit, found.below, payload)
        if found.kind == "line":
            return self._line(unit, int(found.below), payload)
        if found.kind == "status":
            return _status(unit, payload, None if retained else now_ns)
        known, unit.health = unit.health, jsontext.decode(payload, type=ShownHealth) if payload else None
        left_s = HEALTH_EXPIRY_S if expiry_s is None else min(expiry_s, HEALTH_EXPIRY_S)
        unit.good_until_ns = now_ns + left_s * NS_PER_S if payload else now_ns
        return _health(unit.name, known, unit.health)

    def _alert(self, unit: Unit, check: str, payload: bytes) -> Change | None:
        alert = jsontext.decode(payload, type=Alert) if payload else None
        before = len(unit.alerts)
        most = MOST_ALERTS if self._alerts < MOST_ALERTS_IN_ALL else before
        change = self._put(unit.alerts, check, alert, most, {"unit": unit.name, "kind": "alert", "check": check})
        self._alerts += len(unit.alerts) - before
        return change

    def _line(self, unit: Unit, number: int, payload: bytes) -> Change | None:
        line = jsontext.decode(payload, type=Line) if payload else None
        return self._put(unit.lines, number, line, MOST_LINES, {"unit": unit.name, "kind": "line", "line": number})

    def _put[K, V: msgspec.Struct](
        self, table: dict[K, V], key: K, value: V | None, most: int, what: Change
    ) -> Change | None:
        if table.get(key) == value:
            return None
        if value is None:
            del table[key]
            return {**what, "gone": True}
        if key not in table and len(table) >= most:
            self.passed_over += 1
            return None
        table[key] = value
        return {**what, **msgspec.to_builtins(value)}


def _health(unit: str, known: ShownHealth | None, now: ShownHealth | None) -> Change | None:
    what: Change = {"unit": unit, "kind": "health"}
    if now is None:
        return None if known is None else {**what, "gone": True}
    if known is not None and msgspec.structs.replace(known, at=now.at) == now:
        return None
    return {**what, **msgspec.to_builtins(now)}


def _status(unit: Unit, payload: bytes, now_ns: int | None) -> Change | None:
    """Processes a status. `now_ns`: monotonic; None for a retained message. A new unit's first health is due within
    GRACE_S."""
    known = unit.status
    status = jsontext.decode(payload, type=Status) if payload else None
    if status == known or (status and known and status.is_late_will(known.state, known.session)):
        return None
    unit.status = status
    unit.left_ns = unit.signed_off = None
    if status is not None and status.state == "online" and (known is None or known.session != status.session):
        unit.good_until_ns = max(unit.good_until_ns, 0 if now_ns is None else now_ns + GRACE_S * NS_PER_S)
    if status is not None and status.state == "offline" and known is not None and known.state == "online":
        unit.left_ns = now_ns
        unit.signed_off = status.since != known.since  # a will has the time of the session's begin
    what: Change = {"unit": unit.name, "kind": "status"}
    return {**what, "gone": True} if status is None else {**what, **msgspec.to_builtins(status)}


@dataclass(frozen=True, slots=True)
class Leds:
    """The state of a unit's LEDs, as names of the legend's states."""

    condition: str
    activity: str

    @property
    def patterns(self) -> dict[str, str]:
        """LED -> the legend's pattern."""
        condition = CONDITIONS[self.condition]
        return {"run": condition.run, "call": ACTIVITIES[self.activity].call, "fault": condition.fault}


def leds_of(unit: Unit) -> Leds:
    """The LEDs by the unit's reports and the panel's legend. Units do not report a walk test, a disk being removed, an
    identify and a fault acknowledged at the button, so these are missing here."""
    starting = unit.health is not None and bool(unit.health.services_starting)
    condition = shown_conditions((_led(check, alert) for check, alert in unit.alerts.items()), starting)[0]
    return Leds(condition, activity_of(condition, (line.state for line in unit.lines.values())))


def _led(check: str, alert: Alert) -> str:
    """The LED reported by the unit; the table's, if it reports none or one of a later version."""
    return alert.led if alert.led in CONDITIONS else led_of(check, alert.severity)
