# SPDX-License-Identifier: Apache-2.0
"""Parses SMDR lines into calls: Panasonic's layout, and columns named by the configuration.

Panasonic (DBS manual, section 700, SMDR; places from 0): T 0, MM/DD 2, start 8, duration 17, extension 26, digits
30-57, account 59-68, verified code 70-74, trunk 76. `*` is printed as `>` and `#` as `<`.

PBXs print the wall clock, often without the year or the day; the possible moment nearest to the line's arrival counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from linetap.config.schema import Config, Smdr
from linetap_core.clock import NS_PER_S, S_PER_DAY, from_utc_ns, utc_ns_of
from linetap_core.wire import smdrcolumns as grammar
from linetap_core.zones import local_time, zone_of

Kind = Literal["in", "out", "internal", "connected", "unknown"]  # `connected`: an answer, without the call's end
CENTURY = 2000
LONGEST_NS = (1 << 63) - 1  # 292 years, before and after 1970; an integer of the checkpoint has 64 bits
# S and s: DISA in and out; N: DNIS, D: DID; a transferred call (T) may be either.
PANASONIC_KINDS: dict[str, Kind] = {
    "I": "in", "N": "in", "D": "in", "S": "in", "O": "out", "s": "out", "T": "unknown"
}  # fmt: skip
_PANASONIC = re.compile(r"([IOTSsDN]) (\S{5}) (\S{8}) (\S{8}) (\S{1,8}) ?(.{0,200})", re.ASCII)
_DATE = grammar.picture("MM/DD", "MD", "MD")
_TIME = grammar.picture("HH:MM:SS", "HMS", "HMS")
_DIGITS_WIDE, _ACCOUNT_END, _CODE_END = 28, 39, 45
_PREFIX = re.compile(r"(<[ID]>|EXT)")  # Panasonic's KX family: a caller's number, an extension


class SmdrLine(msgspec.Struct, frozen=True, kw_only=True):
    """A call by the PBX's report.

    Times are UTC nanoseconds: `started_ns` by the PBX's clock, `arrived_ns` by ours.
    """

    raw: str
    arrived_ns: int
    started_ns: int
    kind: Kind = "unknown"
    duration_s: int | None = None
    extension: str = ""
    trunk: str = ""
    number: str = ""  # digits, * and #: dialled, or the caller's


def seconds_of(match: re.Match[str]) -> int:
    """The seconds of a duration, or of a time of day (12-hour with AM or PM)."""
    values = match.groupdict()
    hours = int(values.get("H") or 0)
    if half := values.get("half"):
        hours = hours % 12 + (12 if half in "Pp" else 0)
    return hours * 3600 + int(values.get("M") or 0) * 60 + int(values.get("S") or 0)


def moment(day: re.Match[str] | None, time: re.Match[str], zone: ZoneInfo, arrived_ns: int) -> int:
    """The UTC nanoseconds of a wall clock time, with the year or day nearest to the line's arrival.

    ValueError for a day or time that does not exist.
    """
    seconds = seconds_of(time)
    if seconds >= S_PER_DAY or int(time.groupdict().get("M") or 0) > 59:
        raise ValueError("no time of a day")
    arrived = from_utc_ns(arrived_ns)
    today = local_time(arrived_ns, zone).date()
    moments = [_at(possible, seconds, zone) for possible in _days(day, today)]
    if not moments:
        raise ValueError("no such day")
    nearest = min(moments, key=lambda found: abs(found - arrived))
    return utc_ns_of(nearest)


def _days(day: re.Match[str] | None, today: date) -> list[date]:
    if day is None:
        return [today + timedelta(days=n) for n in (-1, 0, 1)]
    values = day.groupdict()
    year = values.get("Y")
    years = [today.year + n for n in (-1, 0, 1)] if year is None else [int(year) + (CENTURY if int(year) < 100 else 0)]
    days = []
    for possible in years:
        try:
            days.append(date(possible, int(values["M"]), int(values["D"])))
        except ValueError:  # 29 February of another year
            continue
    return days


def _at(day: date, seconds: int, zone: ZoneInfo) -> datetime:
    local = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(seconds=seconds)  # wall clock arithmetic
    return local.astimezone(UTC)


Parse = Callable[[str, int], SmdrLine | None]  # raw line, UTC ns of its arrival; None: no call


def parser(config: Config) -> Parse:
    """The parser of the format in [smdr]. It never raises."""
    smdr = config.smdr
    zone = zone_of(smdr.zone or config.retention.zone)
    parse = LAYOUTS[smdr.format](smdr, zone)

    def guarded(raw: str, arrived_ns: int) -> SmdrLine | None:
        try:
            line = parse(raw, arrived_ns)
        except (ValueError, OverflowError):  # a day or a time that does not exist
            return None
        return line if line is None or _is_possible(line) else None

    return guarded


def _is_possible(line: SmdrLine) -> bool:
    """Whether the call's times fit into the checkpoint: a PBX may count the years of another calendar."""
    return max(abs(line.started_ns), (line.duration_s or 0) * NS_PER_S) < LONGEST_NS


def _panasonic(_smdr: Smdr, zone: ZoneInfo) -> Parse:
    def parse(raw: str, arrived_ns: int) -> SmdrLine | None:
        match = _PANASONIC.fullmatch(raw.rstrip())
        if match is None:
            return None
        day, start, length = _DATE.fullmatch(match[2]), _TIME.fullmatch(match[3]), _TIME.fullmatch(match[4])
        if day is None or start is None or length is None:
            return None
        digits, trunk = _panasonic_rest(match[6])
        return SmdrLine(
            raw=raw,
            arrived_ns=arrived_ns,
            started_ns=moment(day, start, zone, arrived_ns),
            kind=PANASONIC_KINDS[match[1]],
            duration_s=seconds_of(length),
            extension=match[5],
            trunk=trunk,
            number=_number(digits.replace(">", "*").replace("<", "#")),
        )

    return parse


def _panasonic_rest(text: str) -> tuple[str, str]:
    """Digits and trunk, by their places; if spaces were lost, the first and the last word."""
    padded = text.ljust(_CODE_END + 1)
    fields = [padded[:_DIGITS_WIDE], padded[_DIGITS_WIDE + 1 : _ACCOUNT_END], padded[_ACCOUNT_END + 1 : _CODE_END],
              padded[_CODE_END + 1 :]]  # fmt: skip
    between = padded[_DIGITS_WIDE] + padded[_ACCOUNT_END] + padded[_CODE_END]
    if between.isspace() and all(len(field.split()) <= 1 for field in fields[1:]):
        words = fields[0].split()
        if len(words) <= 1 or fields[3].strip():  # "Out of Area": three words instead of digits
            return fields[0].strip(), fields[3].strip()
    words = text.split()
    return (words[0], words[-1]) if len(words) > 1 else ("", "".join(words))


def _by_columns(smdr: Smdr, zone: ZoneInfo) -> Parse:
    places = grammar.columns(smdr.columns)
    date_picture = grammar.picture(smdr.date, "MD", "YMD")
    time_picture = grammar.picture(smdr.time, "HM", "HMS")
    duration_picture = grammar.picture(smdr.duration, "", "HMS")
    kinds = grammar.kinds(smdr.kinds)

    def parse(raw: str, arrived_ns: int) -> SmdrLine | None:
        values = {name: raw[place].strip() for name, place in places.items()}
        day = date_picture.fullmatch(values["date"]) if "date" in values else None
        time = time_picture.fullmatch(values["time"])
        length = duration_picture.fullmatch(values.get("duration", ""))
        if time is None or ("date" in values and day is None) or (values.get("duration") and length is None):
            return None
        extension, trunk = values.get("ext", ""), values.get("trunk", "")
        if not extension and not trunk:
            return None
        duration_s = None if length is None else seconds_of(length)
        at = moment(day, time, zone, arrived_ns)
        number = values.get("number", "")
        kind: Kind = kinds.get(values.get("kind", ""), "unknown")  # type: ignore[assignment]  # checked with the configuration
        if kind == "unknown" and (prefix := _PREFIX.match(number)):
            kind = "internal" if prefix[1] == "EXT" else "in"
        return SmdrLine(
            raw=raw,
            arrived_ns=arrived_ns,
            started_ns=at - (duration_s or 0) * NS_PER_S if smdr.time_is == "end" else at,
            kind=kind,
            duration_s=duration_s,
            extension=extension,
            trunk=trunk,
            number=_number(number),
        )

    return parse


def _number(text: str) -> str:
    """The digits, * and # of the text."""
    return "".join(sign for sign in text if sign in "0123456789*#")


LAYOUTS: dict[grammar.Format, Callable[[Smdr, ZoneInfo], Parse]] = {"panasonic": _panasonic, "columns": _by_columns}
