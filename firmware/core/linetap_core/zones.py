# SPDX-License-Identifier: Apache-2.0
"""Time zones by name, from this machine's zone data (Korea's also without any); local times, and the ends of days.

A unit whose zone data is missing or damaged must still record, and end its calls at the right midnight. Korea has had
+09:00 without summer time since 9 October 1988 (IANA tz database, file `asia`), so no value is guessed.

Zone data changes while a service runs. The recorder checks once a minute (`refresh`): new data counts from then on;
while it is unreadable, the previous data counts. A published end of a day does not change.
"""

from __future__ import annotations

import io
import logging
import struct
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from linetap_core import system
from linetap_core.clock import from_utc_ns, parse_rfc3339, rfc3339, utc_ns_of
from linetap_core.errors import BadInput

KOREA = "Asia/Seoul"
# RFC 8536: no transitions, one type (+9 h, no summer time, "KST"); the 64-bit part again, and the permanent rule.
_COUNTS = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
_BODY = struct.pack(">lbb", 9 * 3600, 0, 0) + b"KST\0"
_HEAD = b"TZif2" + bytes(15)
_TZIF = (_HEAD + _COUNTS + _BODY) * 2 + b"\nKST-9\n"

_UNREADABLE = (KeyError, ValueError, OSError, struct.error, EOFError)
_NINE = timedelta(hours=9)
_Stamp = tuple[int, int, int] | None

log = logging.getLogger("linetap.zones")


_read: dict[str, tuple[_Stamp, ZoneInfo]] = {}  # the zone as last read, with its file's stamp


def zone_of(name: str) -> ZoneInfo:
    """The zone as last read, without disk access. KeyError, ValueError or OSError if it was never read and has no
    data.
    """
    before = _read.get(name)
    return before[1] if before is not None else _load(name)


def refresh() -> None:
    """Reads the zones in use again if their data has changed. Not for threads that must not wait for a disk."""
    for name, (stamp, zone) in list(_read.items()):
        now = _stamp(name)
        if now == stamp:
            continue
        try:
            _load(name)
            log.warning("zone_data: %s has changed; published ends of days stay", name)
        except _UNREADABLE as error:
            log.error("zone_data: %s cannot be read any more (%s); it stays as it was", name, error)
            _read[name] = now, zone


def _load(name: str) -> ZoneInfo:
    stamp = _stamp(name)
    try:
        found = ZoneInfo.no_cache(name)
        if name == KOREA and not _is_korea(found):
            raise ValueError("it is another zone's")
    except _UNREADABLE as error:
        if name in _read:
            raise
        if name != KOREA:
            if isinstance(error, KeyError | ValueError | OSError):
                raise
            raise ValueError(f"the zone data of {name} is damaged") from None
        found = _korea(f"{type(error).__name__}: {error}")
    _read[name] = stamp, found
    return found


def local_time(utc_ns: int, zone: ZoneInfo) -> datetime:
    """The local time in the zone."""
    return from_utc_ns(utc_ns).astimezone(zone)


def start_of_ns(day: date, zone: ZoneInfo) -> int:
    """00:00 of that day in the zone, in UTC nanoseconds."""
    return utc_ns_of(datetime.combine(day, time(), zone))


def end_of(day: date, zone: str) -> datetime:
    """24:00 of that day in the zone, as UTC."""
    if day == date.max:
        raise BadInput(f"{day}: no day comes behind it")
    return datetime.combine(day + timedelta(days=1), time(), zone_of(zone)).astimezone(UTC)


def end_of_ns(day: date, zone: str) -> int:
    """24:00 of that day in the zone, in UTC nanoseconds."""
    return parse_rfc3339(end_of(day, zone).isoformat())


def end_text(day: date, zone: str) -> str:
    """24:00 of that day as in records: `2026-12-01T15:00:00.000Z`."""
    return rfc3339(utc_ns_of(end_of(day, zone)))


def day_of_end(end: datetime, name: str) -> date:
    """The day that ends at this moment, even if zone data has since changed by up to half a day."""
    return (end - timedelta(hours=12)).astimezone(zone_of(name)).date()


def _stamp(name: str) -> _Stamp:
    for folder in zoneinfo.TZPATH:
        try:
            found = Path(folder, name).stat()
        except (OSError, ValueError):
            continue
        return found.st_ino, found.st_mtime_ns, found.st_size
    return None


def _is_korea(found: ZoneInfo) -> bool:
    """Whether the zone has Korea's past offsets; these cannot change, unlike future rules."""
    moments = (datetime(year, month, 15, tzinfo=UTC) for year in range(1989, 2026) for month in (1, 7))
    return all(moment.astimezone(found).utcoffset() == _NINE for moment in moments)


@cache
def _korea(why: str) -> ZoneInfo:
    level = logging.INFO if system.IS_WINDOWS else logging.ERROR  # Windows has no zone data of this kind
    log.log(level, "zone_data: %s cannot be read from this machine's zone data (%s); it is +09:00", KOREA, why)
    return ZoneInfo.from_file(io.BytesIO(_TZIF), key=KOREA)
