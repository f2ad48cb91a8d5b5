# SPDX-License-Identifier: Apache-2.0
"""What lies where in a recording: notices, gaps and marks, in seconds from its first sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from linetap_core.clock import NS_PER_S, parse_rfc3339
from linetap_core.evidence import g711, sealed
from linetap_core.records import CallRecord, NoticeRecord

MOST = 200  # shown
_NEAR_NS = 2 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Moment:
    kind: Literal["notice", "gap", "mark"]
    from_s: float
    to_s: float
    word: str  # the notice's id, the gap's cause, the mark's kind


def began_ns(record: CallRecord, samples: int) -> int:
    """UTC of the first sample. A record does not name it: a recording begins with its notice or after it, as the policy
    says, and ends with the call. What lies nearest to its length before the end is taken."""
    if record.ended_at is None:
        return sealed.call_ns(record.call_id)
    by_length = parse_rfc3339(record.ended_at) - samples * NS_PER_S // g711.RATE_HZ
    known = [parse_rfc3339(at) for one in _notices(record)[:1] for at in (one.started_at, one.ended_at) if at]
    nearest = min(known, key=lambda ns: abs(ns - by_length), default=by_length)
    return nearest if abs(nearest - by_length) <= _NEAR_NS else by_length


def moments(record: CallRecord, samples: int) -> list[Moment]:
    """In their order, of those within the recording."""
    length_s = samples / g711.RATE_HZ
    found = [*_of_notices(record, began_ns(record, samples)), *_of_audio(record)]
    inside = [
        Moment(one.kind, max(0.0, one.from_s), min(length_s, one.to_s), one.word)
        for one in found
        if one.to_s >= 0 and one.from_s <= length_s
    ]
    return sorted(inside, key=lambda one: one.from_s)[:MOST]


def _of_notices(record: CallRecord, began: int) -> Iterator[Moment]:
    for one in _notices(record):
        if one.ended_at is not None:
            from_s, to_s = ((parse_rfc3339(at) - began) / NS_PER_S for at in (one.started_at, one.ended_at))
            if to_s > 0:  # else it was over before the recording began
                yield Moment("notice", from_s, to_s, one.id)


def _of_audio(record: CallRecord) -> Iterator[Moment]:
    for gap in record.audio.gaps if record.audio else []:
        yield Moment("gap", gap.at_s, gap.at_s + gap.ms / 1000, gap.cause)
    for mark in record.marks:
        yield Moment("mark", mark.at_s, mark.at_s, mark.kind)


def _notices(record: CallRecord) -> list[NoticeRecord]:
    return record.notices or ([record.notice] if record.notice else [])
