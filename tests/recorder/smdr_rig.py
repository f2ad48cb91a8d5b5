# SPDX-License-Identifier: Apache-2.0
"""Lines in the formats of PBXs, and calls as closed by the call table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from linetap.config.schema import Board, Card, Config, Keys, Line, Smdr
from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap_core.records import Caller, CallRecord, Direction
from linetap_core.zones import zone_of
from unit_rig import START

SEOUL = zone_of("Asia/Seoul")
T0_NS = parse_rfc3339(START)
NUMBER = "01012345678"


def at(seconds: float) -> int:
    """UTC in ns, this long after the unit's START."""
    return T0_NS + round(seconds * NS_PER_S)


def wall(seconds: float) -> datetime:
    return (datetime.fromisoformat(START) + timedelta(seconds=seconds)).astimezone(SEOUL)


def panasonic(
    start_s: float, duration_s: int, extension: str = "2101", number: str = NUMBER, trunk: str = "", kind: str = "O"
) -> str:
    """A line of Panasonic's layout; `start_s` after START by the clock of the PBX."""
    length = (datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=duration_s)).strftime("%H:%M:%S")
    head = f"{kind} {wall(start_s):%m/%d %H:%M:%S} {length} {extension}"
    return f"{head} {number:<28} {'':<10} {'':<5} {trunk}".rstrip()


def config_of(*lines: dict[str, Any], **smdr: Any) -> Config:
    return Config(
        unit="floor-03",
        board=Board(kind="simulated"),
        keys=Keys(custodians=["age1"], overflow_epoch="age1"),
        card=[Card()],
        line=[Line(number=n, channel=n, **line) for n, line in enumerate(lines, 1)],
        smdr=Smdr(port="/dev/ttyAMA4", **smdr),
    )


def call(
    line: int, start_s: float, end_s: float, direction: Direction = "out", number: str = NUMBER, **more: Any
) -> CallRecord:
    """A call from off-hook to on-hook, recorded unless `more` says otherwise."""
    record = CallRecord(
        call_id=f"{rfc3339(at(start_s)).replace('-', '').replace(':', '')}-L{line:02d}",
        unit="floor-03",
        line=line,
        direction=direction,
        off_hook_at=rfc3339(at(start_s)),
        answered_at=rfc3339(at(start_s)),
        ended_at=rfc3339(at(end_s)),
        ended_by="on_hook",
        duration_s=end_s - start_s,
        dialled=number if direction == "out" else None,
        caller=Caller(number=number) if direction == "in" else None,
    )
    return msgspec.structs.replace(record, **more)
