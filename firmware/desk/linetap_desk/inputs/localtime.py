# SPDX-License-Identifier: Apache-2.0
"""Times as people type them, in their own zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from linetap_core import zones
from linetap_core.clock import NS_PER_S, parse_rfc3339
from linetap_core.errors import BadInput

_DAY_ONLY = len("2026-11-24")


def zone_of(name: str) -> ZoneInfo:
    try:
        return zones.zone_of(name)
    except (ValueError, KeyError, OSError):  # as ZoneInfo raises for unknown names
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
    """Like `moment_ns`, for the end of a period: a day or a minute counts to its last moment."""
    at_ns = moment_ns(text, zone)
    if len(text) == _DAY_ONLY:
        following = datetime.fromisoformat(text).replace(tzinfo=zone) + timedelta(days=1)
        return parse_rfc3339(following.isoformat()) - 1
    return at_ns + (60 * NS_PER_S - 1 if text.count(":") == 1 else 0)
