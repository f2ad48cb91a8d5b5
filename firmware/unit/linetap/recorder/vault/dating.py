# SPDX-License-Identifier: Apache-2.0
"""When a call really was, by counted time, and until when it is kept for that reason.

A record's own times are by the clock of the call's beginning. They are good where they fit what was counted, to within
AGREES_NS; else the latest moment at which the call can have been counts, so that no call goes too early.
"""

from __future__ import annotations

import msgspec

from linetap.config.schema import Config
from linetap.recorder.calls.retention import longest_class, retention_in
from linetap.recorder.vault.retentionclock import TOLERANCE_NS, Span
from linetap_core.clock import FIRST_NS, NS_PER_DAY, NS_PER_S, parse_rfc3339, rfc3339
from linetap_core.evidence import sealed
from linetap_core.records import ActualTime, CallRecord, Retention
from linetap_core.timekeeping import is_unkept

AGREES_NS = 120 * NS_PER_S  # of an agreed clock and a call's end: a call that waits for the PBX is closed 15 s later
OF_SEALING_S = 30  # what is counted is the call's closing, soon behind its end


def dated(record: CallRecord, span: Span, config: Config) -> CallRecord:
    """A record ready to be sealed, with its end and its period as the agreed clock allows."""
    if record.retention is None or record.ended_at is None or fits(parse_rfc3339(record.ended_at), span):
        return record
    found = actual(record, span)
    return msgspec.structs.replace(record, actual=found, retention=kept_until(record.retention, found, config))


def fits(ended_ns: int, span: Span, slack_ns: int = AGREES_NS) -> bool:
    """Whether the end that a call states is possible."""
    earliest_ns = span.latest_ns if span.earliest_ns is None else span.earliest_ns
    return earliest_ns - slack_ns <= ended_ns <= span.latest_ns + slack_ns


def actual(record: CallRecord, span: Span) -> ActualTime:
    """By counted time."""
    said_ns = parse_rfc3339(record.ended_at) if record.ended_at else sealed.call_ns(record.call_id)
    began_ns = max(0, span.latest_ns - max(0, said_ns - sealed.call_ns(record.call_id)))
    unsure = None if span.earliest_ns is None else span.latest_ns - span.earliest_ns
    return ActualTime(
        began_at=rfc3339(began_ns),
        ended_at=rfc3339(span.latest_ns),
        uncertainty_s=None if unsure is None else -(-(unsure + TOLERANCE_NS) // NS_PER_S) + OF_SEALING_S,
    )


def kept_until(retention: Retention, found: ActualTime, config: Config) -> Retention:
    """The same class, from the moment at which the call ended."""
    return retention_in(config, parse_rfc3339(found.ended_at), retention.class_)


def is_wrong(record: CallRecord, ended_ns: int, span: Span, config: Config) -> bool:
    """Whether a sealed record's end, or its last amendment's, cannot be. A day is let pass: `until` is a day's end."""
    if ended_ns > span.latest_ns + NS_PER_DAY or ended_ns < FIRST_NS <= span.latest_ns:
        return True
    if span.earliest_ns is not None:
        return ended_ns < span.earliest_ns - NS_PER_DAY
    # Nothing says that it was not so long ago; a clock that nobody kept, and a time at which no call here can be of.
    return (
        is_unkept(record.clock, ended_ns) and ended_ns < span.latest_ns - (longest_class(config).days + 1) * NS_PER_DAY
    )
