# SPDX-License-Identifier: Apache-2.0
"""The moments of an opened recording that its page marks: notices, gaps and marked times, in seconds from its first
sample. Pure: from the record alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from linetap_core.clock import LATEST_NS, NS_PER_S, parse_rfc3339
from linetap_core.codecs.codec import RATE_HZ
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord, NoticeRecord

MOST_MOMENTS = 200  # shown
_NEAR_NS = 2 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Moment:
    kind: Literal["notice", "gap", "mark"]
    from_s: float
    to_s: float
    word: str  # the notice's id, the gap's cause, the mark's kind


def began_ns(record: CallRecord, samples: int) -> int:
    """UTC of the first sample. A record does not state it: a recording begins with its notice or after it, by policy,
    and ends with the call. Of these candidates the nearest to the end minus the audio's length is chosen."""
    if (ended_ns := _time_ns(record.ended_at)) is None:
        return sealed.call_ns(record.call_id)
    by_length = max(0, ended_ns - samples * NS_PER_S // RATE_HZ)
    times = [_time_ns(at) for one in _notices(record)[:1] for at in (one.started_at, one.ended_at)]
    known = [ns for ns in times if ns is not None]
    nearest = min(known, key=lambda ns: abs(ns - by_length), default=by_length)
    return nearest if abs(nearest - by_length) <= _NEAR_NS else by_length


def moments(record: CallRecord, samples: int) -> list[Moment]:
    """Notices, gaps and marks within the recording, in order, in seconds from its first sample."""
    length_s = samples / RATE_HZ
    found = [*_notice_moments(record, began_ns(record, samples)), *_audio_moments(record)]
    inside = [
        Moment(one.kind, max(0.0, one.from_s), min(length_s, one.to_s), one.word)
        for one in found
        if one.to_s >= 0 and one.from_s <= length_s
    ]
    return sorted(inside, key=lambda one: one.from_s)[:MOST_MOMENTS]


def _notice_moments(record: CallRecord, began: int) -> Iterator[Moment]:
    for one in _notices(record):
        from_ns, to_ns = _time_ns(one.started_at), _time_ns(one.ended_at)
        if from_ns is not None and to_ns is not None and to_ns > began:  # otherwise it ended before the recording began
            yield Moment("notice", (from_ns - began) / NS_PER_S, (to_ns - began) / NS_PER_S, one.id)


def _audio_moments(record: CallRecord) -> Iterator[Moment]:
    for gap in record.audio.gaps if record.audio else []:
        yield Moment("gap", gap.at_s, gap.at_s + gap.ms / 1000, gap.cause)
    for mark in record.marks:
        yield Moment("mark", mark.at_s, mark.at_s, mark.kind)


def _time_ns(text: str | None) -> int | None:
    """The time; None without a usable one. A compromised unit can sign any text."""
    try:
        found = parse_rfc3339(text or "")
    except (ValueError, OverflowError):
        return None
    return found if found < LATEST_NS else None


def _notices(record: CallRecord) -> list[NoticeRecord]:
    return record.notices or ([record.notice] if record.notice else [])
