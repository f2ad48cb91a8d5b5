# SPDX-License-Identifier: Apache-2.0
"""A unit as a page has it: made of what the watcher knows, compared with the one before. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from linetap_desk.watch.places import Place
from linetap_desk.watch.units import Alert, Line, Standing, Unit, leds_of

AWAY: tuple[Standing, ...] = ("unheard", "offline", "late")


class Picture(TypedDict):
    """JSON's types alone, so that a picture is what is sent. `since`, and what is in lines and alerts: the unit's own
    time; `heard`: the desk's, and only of who is away."""

    unit: str
    building: str
    floor: str
    standing: Standing
    since: str
    version: str
    heard: str
    days: int | None  # until the disk is full
    condition: str  # of the legend, as the next
    activity: str
    calls: int  # in progress
    lines: dict[str, dict[str, Any]]
    alerts: list[dict[str, Any]]  # the worst first


def picture(unit: Unit, place: Place, now_ns: int, utc: Callable[[int], str]) -> Picture:
    """`now_ns`: monotonic; `utc`: RFC 3339 of a monotonic moment."""
    standing, leds = unit.judged(now_ns), leds_of(unit)
    status, health = unit.status, unit.health
    days = None if health is None or health.storage_days_left is None else health.storage_days_left
    return {
        "unit": unit.name,
        "building": place.building,
        "floor": place.floor,
        "standing": standing,
        "since": "" if status is None else status.since,
        "version": "" if status is None else status.version,
        "heard": utc(unit.heard_ns) if standing in AWAY and unit.heard_ns is not None else "",
        "days": None if days is None else int(max(0.0, min(days, 36_500))),
        "condition": leds.condition,
        "activity": leds.activity,
        "calls": unit.calls,
        "lines": {str(number): _line(line) for number, line in sorted(unit.lines.items())},
        "alerts": [_alert(check, alert) for check, alert in sorted(unit.alerts.items(), key=_worst_first)],
    }


def difference(old: Picture | None, new: Picture | None, name: str) -> dict[str, Any] | None:
    """What a page has to be told: of lines those that are another now, None of one that is gone; else whole fields.
    None where there is nothing."""
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


def _line(line: Line) -> dict[str, Any]:
    return {"state": line.state, "since": line.since, "call": line.call_id}


def _alert(check: str, alert: Alert) -> dict[str, Any]:
    return {
        "check": check,
        "severity": alert.severity,
        "line": alert.line,
        "since": alert.since,
        "text": {"ko": alert.text_ko, "en": alert.text_en},
        "action": {"ko": alert.action_ko, "en": alert.action_en},
    }


def _worst_first(one: tuple[str, Alert]) -> tuple[bool, str]:
    return one[1].severity != "critical", one[0]
