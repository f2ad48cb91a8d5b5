# SPDX-License-Identifier: Apache-2.0
"""Times as people at a desk write them, in the zone in which they think."""

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
    except (ValueError, KeyError, OSError):  # what ZoneInfo raises of a name that is none
        raise BadInput(f"{name!r}: no time zone; Asia/Seoul would be right") from None


def moment_ns(text: str, zone: ZoneInfo) -> int:
    """UTC ns of RFC 3339, or of a local day or time: `2026-11-24`, `2026-11-24 13:00`. BadInput if it is none."""
    try:
        moment = datetime.fromisoformat(text)
        if not 1970 <= moment.year < 9999:
            raise ValueError
        return parse_rfc3339((moment if moment.tzinfo else moment.replace(tzinfo=zone)).isoformat())
    except (ValueError, OverflowError):
        raise BadInput(
            f"{text!r}: no time; 2026-11-24, '2026-11-24 13:00' or 2026-11-24T04:00:00Z would be right"
        ) from None


def last_ns(text: str, zone: ZoneInfo) -> int:
    """As `moment_ns`, of the end of a span: a day alone is meant to its last moment, and a minute so too."""
    at_ns = moment_ns(text, zone)
    if len(text) == _DAY_ONLY:
        following = datetime.fromisoformat(text).replace(tzinfo=zone) + timedelta(days=1)
        return parse_rfc3339(following.isoformat()) - 1
    return at_ns + (60 * NS_PER_S - 1 if text.count(":") == 1 else 0)
