# SPDX-License-Identifier: Apache-2.0
"""Time zones by name, as this machine's zone data has them; of Korea also without any.

A unit whose zone data is gone or damaged must still record, and end its calls at the right midnight. Korea has had
+09:00 and no summer time since 9 October 1988 (IANA tz database, file `asia`), so nothing is guessed.
"""

from __future__ import annotations

import io
import logging
import struct
from functools import cache
from zoneinfo import ZoneInfo

KOREA = "Asia/Seoul"
# RFC 8536: no transitions, one type (+9 h, no summer time, "KST"); the 64-bit part again, and the rule for all time.
_COUNTS = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
_BODY = struct.pack(">lbb", 9 * 3600, 0, 0) + b"KST\0"
_HEAD = b"TZif2" + bytes(15)
_TZIF = (_HEAD + _COUNTS + _BODY) * 2 + b"\nKST-9\n"

log = logging.getLogger("linetap.zones")


def zone_of(name: str) -> ZoneInfo:
    """KeyError, ValueError or OSError where there is no such zone, or no data of it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, struct.error, EOFError) as error:
        if name != KOREA:
            if isinstance(error, KeyError | ValueError | OSError):
                raise
            raise ValueError(f"the zone data of {name} is damaged") from None
        return _korea(f"{type(error).__name__}: {error}")


@cache
def _korea(why: str) -> ZoneInfo:
    log.error("zone_data: %s cannot be read from this machine's zone data (%s); it is +09:00", KOREA, why)
    return ZoneInfo.from_file(io.BytesIO(_TZIF), key=KOREA)
