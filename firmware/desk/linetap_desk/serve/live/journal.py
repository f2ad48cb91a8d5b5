# SPDX-License-Identifier: Apache-2.0
"""Keeps the latest numbered changes; each is encoded once for all readers with the same rights.

The only state of a reader is the number it has reached, so a slow browser costs no memory. A reader that is further
behind than the journal gets a snapshot.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import msgspec

from linetap_desk.serve.live.causes import CAUSES, Cause, worst_first
from linetap_desk.watch.places import Place, floor_order
from linetap_desk.watch.units import AWAY, Alert, Line, Standing, Unit, leds_of
from linetap_desk.web import text
from linetap_desk.web.text import Language


@dataclass(frozen=True, slots=True)
class Absences:
    """The absences of units recorded by the ingest: RFC 3339 by the desk's clock."""

    began: Mapping[tuple[str, Standing], str] = field(default_factory=dict)
    heard: Mapping[str, str] = field(default_factory=dict)


class Acknowledged(msgspec.Struct, frozen=True):
    """An acknowledgement. `faults`: as in a picture; it is valid while the unit has no other faults."""

    faults: str
    by: str  # display name
    at: str


class Picture(TypedDict):
    """The shown state of a unit, in JSON types only. `since`, and the times in lines and alerts: the unit's own time.
    `heard`: the desk's, only for units that are away. `began`: the begin of the present state, by the desk's clock if
    the unit is away, otherwise by the unit's."""

    unit: str
    building: str
    floor: str
    standing: Standing
    since: str
    version: str
    heard: str
    began: str
    cause: dict[str, Any] | None  # None: nothing is wrong
    faults: str  # hashes of the faults to acknowledge; empty: no fault
    seen: dict[str, str] | None  # the acknowledgement: by, at
    order: str  # sort key among units of the same standing
    days: int | None  # until the disk is full
    condition: str  # a condition of the legend, as the next field
    activity: str
    calls: int  # in progress
    lines: dict[str, dict[str, Any]]
    alerts: list[dict[str, Any]]  # the worst first


_NOTHING = Absences()


def picture(
    unit: Unit,
    place: Place,
    now_ns: int,
    utc: Callable[[int], str],
    cause: Cause | None = None,
    absences: Absences = _NOTHING,
    seen: Acknowledged | None = None,
) -> Picture:
    """The picture of a unit. `now_ns`: monotonic; `utc`: RFC 3339 of a monotonic moment."""
    standing, leds = unit.judged(now_ns), leds_of(unit)
    status, health = unit.status, unit.health
    days = None if health is None or health.storage_days_left is None else health.storage_days_left
    faults = " ".join(sorted(_faults(unit, standing)))
    holds = seen is not None and bool(faults) and set(faults.split()) <= set(seen.faults.split())
    away = standing in AWAY
    return {
        "unit": unit.name,
        "building": place.building,
        "floor": place.floor,
        "standing": standing,
        "since": "" if status is None else status.since,
        "version": "" if status is None else status.version,
        "heard": _last_heard(unit, utc, absences) if away else "",
        "began": _began(unit, standing, utc, absences),
        "cause": None if cause is None else _cause(cause, place),
        "faults": faults,
        "seen": {"by": seen.by, "at": seen.at} if seen is not None and holds else None,
        "order": _order(unit.name, place),
        "days": None if days is None else int(max(0.0, min(days, 36_500))),
        "condition": leds.condition,
        "activity": "idle" if away else leds.activity,
        "calls": 0 if away else unit.calls,
        "lines": {str(number): _line(line, away) for number, line in sorted(unit.lines.items())},
        "alerts": [_alert(check, alert) for check, alert in sorted(unit.alerts.items(), key=worst_first)],
    }


def _last_heard(unit: Unit, utc: Callable[[int], str], absences: Absences) -> str:
    return utc(unit.heard_ns) if unit.heard_ns is not None else absences.heard.get(unit.name, "")


def _began(unit: Unit, standing: Standing, utc: Callable[[int], str], absences: Absences) -> str:
    """The begin of the present state; empty: before the desk started."""
    if standing == "offline" and unit.left_ns is not None:
        return utc(unit.left_ns)
    if standing in ("fault", "warning"):
        return min(unit.alerts.items(), key=worst_first)[1].since
    if standing == "late" and unit.heard_ns is not None:
        return utc(unit.heard_ns)
    return absences.began.get((unit.name, standing), "")


def _faults(unit: Unit, standing: Standing) -> Iterator[str]:
    """Each fault as a short hash that differs from that of a later fault of the same kind: an alert's includes its
    begin, an absence's the session that ended."""
    if standing in ("fault", "warning"):
        severity = "critical" if standing == "fault" else "warning"
        said = [f"{check} {one.since}" for check, one in unit.alerts.items() if one.severity == severity]
    elif standing in AWAY:
        said = [f"{standing} {unit.status.session if unit.status else ''}"]
    else:
        said = []
    return (hashlib.sha256(one.encode("utf-8", "replace")).hexdigest()[:8] for one in said)


def _order(name: str, place: Place) -> str:
    """The sort key: building, floor as in a lift, name; units without a building last. Python and the script sort
    alike."""
    last, number, floor = floor_order(place.floor)
    return f"{place.building or chr(0xFFFF)}\t{int(last)}\t{number + 1000:04d}\t{floor}\t{name}"


def _cause(cause: Cause, place: Place) -> dict[str, Any]:
    texts = None if cause.alert is None else _texts(cause.alert)
    said = {"code": cause.code, "contact": cause.contact, "where": cause.where, "n": cause.n, "texts": texts}
    return {**said, "group": cause.group(place)}


def difference(old: Picture | None, new: Picture | None, name: str) -> dict[str, Any] | None:
    """The changes for a page: changed lines, None for a removed one; otherwise whole fields. None if nothing
    changed."""
    if new is None:
        return None if old is None else {"unit": name, "gone": True}
    if old is None:
        return dict(new)
    changed = {field: value for field, value in new.items() if field != "lines" and old.get(field) != value}
    before, now = old["lines"], new["lines"]
    lines = {n: now.get(n) for n in {**before, **now} if before.get(n) != now.get(n)}
    if lines:
        changed["lines"] = lines
    return {"unit": name, **changed} if changed else None


def _line(line: Line, away: bool) -> dict[str, Any]:
    """A line for readers. A unit that is away has no present state of its lines; their kind of release stays."""
    now = {"state": "unknown", "since": "", "call": None} if away else {
        "state": line.state, "since": line.since, "call": line.call_id
    }  # fmt: skip
    return now if line.release is None else {**now, "release": line.release}


def _alert(check: str, alert: Alert) -> dict[str, Any]:
    return {
        "check": check,
        "severity": alert.severity,
        "line": alert.line,
        "since": alert.since,
        **_texts(alert),
    }


def _texts(alert: Alert) -> dict[str, dict[Language, str]]:
    return {
        "text": {"ko": alert.text_ko, "en": alert.text_en},
        "action": {"ko": alert.action_ko, "en": alert.action_en},
    }


MOST_ENTRIES = 4096  # half a minute of 1,000 busy units
MOST_PARTS = 20_000  # lines and alerts in all entries: a unit may have 48 alerts
KEPT_AS_BYTES = 256  # encoded copies exist of the newest entries only
ALERTS_SHOWN = 4  # of a unit on the page of all units; its own page has all


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader's rights. `calls`: may see the call of a line. `unit`: reads only that unit, with all its alerts."""

    calls: bool
    language: Language
    unit: str | None = None


@dataclass(slots=True)
class Entry:
    number: int
    kind: str
    fields: dict[str, Any]
    bytes_of: dict[Reader, bytes] = field(default_factory=dict)

    @property
    def parts(self) -> int:
        return 1 + len(self.fields.get("lines", ())) + len(self.fields.get("alerts", ()))

    def event(self, reader: Reader, of: str) -> bytes:
        """The change as an event. `of`: the process that counts the numbers, see Journal.id; empty if not for this
        reader."""
        if reader.unit is not None and self.fields.get("unit", reader.unit) != reader.unit:
            return b""
        if (made := self.bytes_of.get(reader)) is None:
            data = visible_fields(self.fields, reader) if self.kind == "unit" else self.fields
            made = event(self.kind, data, f"{of}-{self.number}")
            if reader.unit is None:
                self.bytes_of[reader] = made
        return made


class Journal:
    def __init__(self, of: str) -> None:
        """`of`: identifies this process; numbers of another process have no meaning here."""
        self.of = of
        self._entries: deque[Entry] = deque()
        self._parts = 0
        self.number = 0

    @property
    def id(self) -> str:
        return f"{self.of}-{self.number}"

    def add(self, kind: str, fields: dict[str, Any]) -> None:
        self.number += 1
        self._entries.append(Entry(self.number, kind, fields))
        self._parts += self._entries[-1].parts
        while len(self._entries) > MOST_ENTRIES or self._parts > MOST_PARTS:
            self._parts -= self._entries.popleft().parts
        if len(self._entries) > KEPT_AS_BYTES:
            self._entries[-1 - KEPT_AS_BYTES].bytes_of.clear()

    def number_of(self, id: str) -> int | None:
        """The number in an id; None for an id of another process, or one never issued."""
        of, _, number = id.rpartition("-")
        if of != self.of or not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        return int(number) if int(number) <= self.number else None

    def after(self, number: int) -> list[Entry] | None:
        """The changes since `number`, oldest first. None: the journal does not reach back to `number`."""
        missed = self.number - number
        if missed > len(self._entries):
            return None
        return [self._entries[-back] for back in range(missed, 0, -1)]


def visible_fields(fields: dict[str, Any], reader: Reader) -> dict[str, Any]:
    """The fields of a picture or a difference that this reader may see."""
    out = dict(fields)
    if "lines" in out:
        out["lines"] = {n: line and _visible_line(line, reader) for n, line in out["lines"].items()}
    if (alerts := out.get("alerts")) is not None:
        most = len(alerts) if reader.unit is not None else ALERTS_SHOWN
        out["alerts"] = [_in_language(alert, reader.language) for alert in alerts[:most]]
        out["more"] = max(0, len(alerts) - most)
    if (cause := out.get("cause")) is not None:
        out["cause"] = _cause_texts(cause, reader.language)
    return out


def _visible_line(line: dict[str, Any], reader: Reader) -> dict[str, Any]:
    """The line for this reader. The page of all units does not show how a call is ended, so it is not sent."""
    if (reader.calls or line["call"] is None) and (reader.unit is not None or "release" not in line):
        return line  # most lines, and a page of all units has thousands
    out = line if reader.calls else {**line, "call": None}
    if reader.unit is None and "release" in out:
        out = {name: value for name, value in out.items() if name != "release"}
    return out


def _cause_texts(cause: dict[str, Any], language: Language) -> dict[str, str]:
    """Texts: the probable cause, the remedy, the contact; and the group, as in causes.py."""
    same = {"contact": cause["contact"], "group": cause["group"]}
    if cause["texts"] is not None:
        said = _in_language(cause["texts"], language)
        return {"says": said["text"], "cure": said["action"], **same}
    says, cure = (text.words(language).gettext(one) for one in CAUSES[cause["code"]])
    return {"says": says.format(where=cause["where"], n=cause["n"]), "cure": cure, **same}


def event(kind: str, data: object, id: str | None = None) -> bytes:
    """A server-sent event. JSON never contains a line break, even in a unit's text."""
    head = b"" if id is None else b"id: " + id.encode() + b"\n"
    return head + b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


def _in_language(alert: dict[str, Any], language: Language) -> dict[str, Any]:
    other: Language = "en" if language == "ko" else "ko"
    texts = {name: alert[name][language] or alert[name][other] for name in ("text", "action")}
    return {**alert, **texts}
