# SPDX-License-Identifier: Apache-2.0
"""The wall clock of a PBX: which moment it means, where its lines leave out the year or the day."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from linetap_core.clock import S_PER_DAY, from_utc_ns

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CENTURY = 2000


def seconds_of(match: re.Match[str]) -> int:
    """Of a duration, or of a time of the day (12-hour where it says AM or PM)."""
    told = match.groupdict()
    hours = int(told.get("H") or 0)
    if half := told.get("half"):
        hours = hours % 12 + (12 if half in "Pp" else 0)
    return hours * 3600 + int(told.get("M") or 0) * 60 + int(told.get("S") or 0)


def moment(day: re.Match[str] | None, time: re.Match[str], zone: ZoneInfo, arrived_ns: int) -> int:
    """UTC ns of a wall clock time: of the possible years or days the one nearest to the arrival of the line.

    ValueError where there is no such day or time.
    """
    seconds = seconds_of(time)
    if seconds >= S_PER_DAY or int(time.groupdict().get("M") or 0) > 59:
        raise ValueError("no time of a day")
    arrived = from_utc_ns(arrived_ns)
    today = arrived.astimezone(zone).date()
    moments = [_at(possible, seconds, zone) for possible in _days(day, today)]
    if not moments:
        raise ValueError("no such day")
    nearest = min(moments, key=lambda found: abs(found - arrived))
    return (nearest - EPOCH) // timedelta(microseconds=1) * 1000


def _days(day: re.Match[str] | None, today: date) -> list[date]:
    if day is None:
        return [today + timedelta(days=n) for n in (-1, 0, 1)]
    told = day.groupdict()
    year = told.get("Y")
    years = [today.year + n for n in (-1, 0, 1)] if year is None else [int(year) + (CENTURY if int(year) < 100 else 0)]
    days = []
    for possible in years:
        try:
            days.append(date(possible, int(told["M"]), int(told["D"])))
        except ValueError:  # 29 February of another year
            continue
    return days


def _at(day: date, seconds: int, zone: ZoneInfo) -> datetime:
    local = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(seconds=seconds)  # wall clock arithmetic
    return local.astimezone(UTC)
