# SPDX-License-Identifier: Apache-2.0
"""Strict readers of external input: JSON of limited size, times as people type them, and the fields of units' unsigned
messages. Every fault is a BadInput of one line.

The desk decodes JSON only with `decode`; tests/desk/test_foreign.py checks that.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, overload
from unicodedata import category
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from linetap_core import jsontext, zones
from linetap_core.clock import NS_PER_S, parse_rfc3339
from linetap_core.errors import BadInput

MOST_BYTES = 16 << 20  # no single JSON document of the desk is larger


@overload
def decode[T](data: bytes | str, kind: type[T], where: object = "") -> T: ...
@overload
def decode(data: bytes | str, kind: object, where: object = "") -> Any: ...
def decode(data: bytes | str, kind: Any, where: object = "") -> Any:
    """An instance of `kind`. A BadInput begins with `where`, if given: a file, or a line of it."""
    before = f"{where}: " if where else ""
    if len(data) > MOST_BYTES:
        raise BadInput(f"{before}{len(data)} bytes of JSON; at most {MOST_BYTES} expected")
    try:
        return jsontext.decode(data, kind)
    except msgspec.DecodeError as error:
        raise BadInput(f"{before}{' '.join(str(error).split())}") from None


_MISLEADING = ("Cc", "Cf", "Zl", "Zp")  # Unicode's categories of controls, formats, and separators of lines


def legible_lines(text: str, where: object) -> list[str]:
    """The lines of a text that a person reads and then signs. BadInput, beginning with `where`, for a character that is
    not shown, reorders what is shown, or seems to end a line."""
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    for number, line in enumerate(lines, 1):
        for sign in line:
            if sign != "\t" and category(sign) in _MISLEADING:
                raise BadInput(f"{where}:{number}: U+{ord(sign):04X}, which is not shown as it is; without it expected")
    return lines


# --- Times as people type them, in their own zone ---------------------------------------------------------------------


# Digits of a time behind its day -> its last moment: of an hour, of a minute; of a second its beginning counts.
_TIME_OF_DAY = re.compile(r"[0-9W-]+[^0-9W-](\d\d(?::?\d\d)*)", re.ASCII)
_LASTS_NS = {2: 3600 * NS_PER_S - 1, 4: 60 * NS_PER_S - 1}


def zone_of(name: str) -> ZoneInfo:
    try:
        return zones.zone_of(name)
    except (ValueError, KeyError, OSError):  # raised by ZoneInfo for unknown names
        raise BadInput(f"{name!r}: no time zone; Asia/Seoul expected") from None


def moment_ns(text: str, zone: ZoneInfo) -> int:
    """UTC nanoseconds of an RFC 3339 time, or of a local day or time: `2026-11-24`, `2026-11-24 13:00`. BadInput
    otherwise."""
    try:
        moment = datetime.fromisoformat(text)
        if not 1970 <= moment.year < 9999:
            raise ValueError
        return parse_rfc3339((moment if moment.tzinfo else moment.replace(tzinfo=zone)).isoformat())
    except (ValueError, OverflowError):
        raise BadInput(f"{text!r}: no time; 2026-11-24, '2026-11-24 13:00' or 2026-11-24T04:00:00Z expected") from None


def last_ns(text: str, zone: ZoneInfo) -> int:
    """Like `moment_ns`, for the end of a period: of a day, an hour or a minute the last moment, however it is written
    (2026-11-24 or 20261124)."""
    at_ns, time = moment_ns(text, zone), _TIME_OF_DAY.match(text)
    if time is None:
        following = datetime.fromisoformat(text).replace(tzinfo=zone) + timedelta(days=1)
        return parse_rfc3339(following.isoformat()) - 1
    return at_ns + _LASTS_NS.get(sum(sign.isdigit() for sign in time[1]), 0)


def is_possible_day(day: date) -> bool:
    """Whether the day, with its neighbours, has times in every zone."""
    return 1970 < day.year < 9000


# ----------------------------------------------------------------------------------------------------------------------
# Fields of units' unsigned messages, as the desk reads them. They may be displayed and may trigger a request; they
# prove nothing.


# No control characters of terminals or of text direction: these texts are displayed and stored.
_PLAIN = r"\A[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*\Z"
Word = Annotated[str, Meta(max_length=64, pattern=_PLAIN)]
Sentence = Annotated[str, Meta(max_length=400, pattern=_PLAIN)]


class Status(msgspec.Struct, frozen=True):
    state: Literal["online", "offline"]
    session: Word
    version: Word
    since: Word

    def is_late_will(self, state: str | None, session: str | None) -> bool:
        """Whether it is the delayed last will of an earlier session than the known online one."""
        return self.state == "offline" and state == "online" and self.session != session
