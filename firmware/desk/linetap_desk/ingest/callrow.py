# SPDX-License-Identifier: Apache-2.0
"""The row of a call, derived from its events in whatever order they arrive. Pure.

An event repeated from the unit's log and records carries the times of lost events in fields of its own. They count
where no other event has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_desk.ingest import amended, judge
from linetap_desk.ingest.judge import Told
from linetap_desk.ingest.tables import events

# event -> the column that its time goes into
_TIMES = {
    "answered": "answered_at",
    "ended": "ended_at",
    "missed": "ended_at",
    "sealed": "sealed_at",
    "held": "held_at",
    "copied": "copied_at",
    "destroyed": "destroyed_at",
}
HOLD_ENDED = "hold_ended"
# What a later event says counts for more than what an earlier one said.
_FIELDS = ("line", "direction", "disposition", "duration_s", "notice", "mark", "gaps_ms", "why", "record_sha256")


@dataclass(frozen=True, slots=True)
class Part:
    """One stored event of a call; `at` in the form of the tables."""

    told: Told
    at: str
    late: bool


def row(parts: Sequence[Part]) -> dict[str, Any]:
    """The columns of `calls` without its key. Events are ordered by origin and seq, an origin by its first event."""
    first: dict[str, str] = {}
    began = [part.at for part in parts]
    for part in parts:
        first[part.told.chain] = min(part.at, first.get(part.told.chain, part.at))
    ordered = sorted(parts, key=lambda part: (first[part.told.chain], part.told.chain, part.told.seq))
    found: dict[str, Any] = dict.fromkeys((*_TIMES.values(), *_FIELDS))
    for part in sorted(ordered, key=lambda part: not part.told.rebuilt):
        if (part.told.event, part.told.why) == ("held", HOLD_ENDED):
            found["held_at"] = None  # and its `why` is none of the call's
            continue
        for name in _FIELDS:
            if (value := getattr(part.told, name)) is not None:
                found[name] = value
        if (column := _TIMES.get(part.told.event)) is not None:
            found[column] = part.at
        if part.told.rebuilt:
            began += _time(part.told.began_at)
            for name in ("answered_at", "ended_at"):
                found[name] = next(iter(_time(getattr(part.told, name))), found[name])
    _amend(found, began, ordered)
    return found | {
        "began_at": min(began),
        "late": any(part.late for part in parts),
        "rebuilt": any(part.told.rebuilt for part in parts),
    }


def _amend(found: dict[str, Any], began: list[str], ordered: Sequence[Part]) -> None:
    """The corrected times of the call: from an amendment, otherwise from a record that has both."""
    true: tuple[str, str] | None = None
    for part in ordered:
        told = part.told
        if told.event == "sealed" and not told.rebuilt and told.began_at and told.ended_at:
            true = told.began_at, told.ended_at
        elif (document := amended.of_event(told)) is not None:
            true = document.began_at, document.ended_at
    began_true, ended_true = (_time(true[0]), _time(true[1])) if true is not None else ([], [])
    if not began_true or not ended_true:  # what is no time corrects none
        return
    began_at, ended_at = began_true[0], ended_true[0]
    if found["answered_at"] and found["ended_at"]:
        for_ns = parse_rfc3339(found["ended_at"]) - parse_rfc3339(found["answered_at"])
        found["answered_at"] = rfc3339(max(0, parse_rfc3339(ended_at) - max(0, for_ns)))
    found["ended_at"] = found["sealed_at"] = ended_at
    began[:] = [began_at]


def with_records(parts: Sequence[Part], records: Sequence[Part]) -> list[Part]:
    """Adds what verified documents (`records`) say of the call; the unit's own signed event of that kind takes
    precedence."""
    told = {part.told.event for part in parts}
    return [*(one for one in records if one.told.event not in told), *parts]


def _time(text: str | None) -> list[str]:
    """In the form of the tables; None if it is no valid time."""
    try:
        return [rfc3339(parse_rfc3339(text))] if text else []
    except (ValueError, OverflowError):
        return []


def is_held(db: Connection, *of_call: ColumnElement[bool]) -> bool | None:
    """The hold as the unit reported it last; None if it never did. The numbers of its events decide, not its clock; of
    several keys or vaults the one received last counts."""
    wanted = select(events.c.origin, events.c.seq, events.c.received_at, events.c.payload)
    newest: dict[str, Any] = {}
    for row in db.execute(wanted.where(*of_call, events.c.event == "held").order_by(events.c.seq)):
        newest[row.origin] = row
    if not newest:
        return None
    last = max(newest.values(), key=lambda row: str(row.received_at))
    return judge.told(last.payload).why != HOLD_ENDED
