# SPDX-License-Identifier: Apache-2.0
"""Signed amendments: calls sealed without an end date, or by a wrong clock, get an end date once the date is known.

A record's own times are by the clock at the call's beginning. They count if they agree with counted time within
AGREES_NS; else the latest possible moment of the call counts, so that no call is destroyed too early. After each change
of the agreed date, one piece of a scan runs per tick. The order is leaf, event, document: after a power cut in between
the amendment is repeated, and the last leaf in the log matches the document beside the record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import msgspec

from linetap.config.retention import longest_class, retention_in
from linetap.config.schema import Config
from linetap.recorder.vault.callfolder.folder import Sign
from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.retention import lifetime
from linetap.recorder.vault.retention.clock import TOLERANCE_NS, Span
from linetap.recorder.vault.retention.time import RetentionTime
from linetap.tpm.device import TpmFault
from linetap_core.clock import FIRST_NS, NS_PER_DAY, NS_PER_S, Clock, parse_rfc3339, rfc3339
from linetap_core.durable import broken, folders
from linetap_core.durable.files import replace_durably
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.signing import namespaces
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.records import ActualTime, CallEvent, CallRecord, Retention
from linetap_core.timekeeping import is_unkept

AGREES_NS = (
    120 * NS_PER_S
)  # between an agreed clock and a call's end; a call that waits for the PBX is closed up to 15 s later
OF_SEALING_S = 30  # the counted moment is the call's closing, soon after its end


def dated(record: CallRecord, span: Span, config: Config) -> CallRecord:
    """Returns a record ready to be sealed; if its end is impossible, with actual times and period by counted time."""
    if record.retention is None or record.ended_at is None or is_possible_end(parse_rfc3339(record.ended_at), span):
        return record
    found = actual(record, span)
    return msgspec.structs.replace(record, actual=found, retention=kept_until(record.retention, found, config))


def is_possible_end(ended_ns: int, span: Span, slack_ns: int = AGREES_NS) -> bool:
    """Whether the stated end of a call is possible."""
    earliest_ns = span.latest_ns if span.earliest_ns is None else span.earliest_ns
    return earliest_ns - slack_ns <= ended_ns <= span.latest_ns + slack_ns


def actual(record: CallRecord, span: Span) -> ActualTime:
    """Returns the call's times by counted time."""
    said_ns = parse_rfc3339(record.ended_at) if record.ended_at else sealed.call_ns(record.call_id)
    began_ns = max(0, span.latest_ns - max(0, said_ns - sealed.call_ns(record.call_id)))
    unsure = None if span.earliest_ns is None else span.latest_ns - span.earliest_ns
    return ActualTime(
        began_at=rfc3339(began_ns),
        ended_at=rfc3339(span.latest_ns),
        uncertainty_s=None if unsure is None else -(-(unsure + TOLERANCE_NS) // NS_PER_S) + OF_SEALING_S,
    )


def kept_until(retention: Retention, found: ActualTime, config: Config) -> Retention:
    """Returns the retention of the same class, counted from the call's actual end."""
    return retention_in(config, parse_rfc3339(found.ended_at), retention.class_)


def is_wrong(record: CallRecord, ended_ns: int, span: Span, config: Config) -> bool:
    """Whether the end in a sealed record, or in its last amendment, is impossible. A day's difference is accepted,
    since `until` is the end of a day.
    """
    if ended_ns > span.latest_ns + NS_PER_DAY or ended_ns < FIRST_NS <= span.latest_ns:
        return True
    if span.earliest_ns is not None:
        return ended_ns < span.earliest_ns - NS_PER_DAY
    # Without an earliest time: an unsynchronised clock showed a time that no call in this vault can have.
    return (
        is_unkept(record.clock, ended_ns) and ended_ns < span.latest_ns - (longest_class(config).days + 1) * NS_PER_DAY
    )


# --- Amendments -------------------------------------------------------------------------------------------------------


FOLDERS_A_TICK = 64
CALLS_A_TICK = 4  # each takes about four syncs

log = logging.getLogger("linetap.recorder.vault")


class Amending:
    """The amending. `report` puts an event into the outbox, unless it is there; `amended` is called for each call."""

    def __init__(
        self, config: Config, unit_log: UnitLog, report: Callable[[CallEvent], None], sign: Sign, time: RetentionTime,
        clock: Clock, amended: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._config, self._vault = config, config.vault_path
        self._log, self._report, self._sign, self._time, self._clock = unit_log, report, sign, time, clock
        self._amended = amended
        self._of = -1  # dating at the last scan
        self._scan: Iterator[str | None] | None = None

    def tick(self) -> None:
        """Continues the scan and amends a few calls. OSError: the next tick continues."""
        if not self._time.is_dated:
            self._of, self._scan = -1, None
            return
        if self._of != self._time.dating:
            self._of, self._scan = self._time.dating, self._calls_to_amend()
        if self._scan is None:
            return
        done = looked = 0
        for call_id in islice(self._scan, FOLDERS_A_TICK):
            looked += 1
            if call_id is not None and (done := done + self._amend(call_id)) >= CALLS_A_TICK:
                return
        if looked < FOLDERS_A_TICK:
            self._scan = None

    def request_rescan(self) -> None:
        """Requests another scan: a call without an end date was sealed."""
        self._of = -1

    def _calls_to_amend(self) -> Iterator[str | None]:
        """Yields for each folder its call if it must be amended, else None."""
        for day in lifetime.days(self._vault):
            for name in folders.names_found(day):
                yield name if sealed.CALL_ID.fullmatch(name) and self._is_due(day / name) else None

    def _is_due(self, folder: Path) -> bool:
        try:
            record, _, last = lifetime.record_of(folder)
        except lifetime.BrokenAmendment as error:
            broken.set_aside(error.path, error.why)
            namespaces.signature_path(error.path).unlink(missing_ok=True)
            return True
        except (OSError, ValueError):
            return False  # being written, or reported by expiry
        span = self._time.span(record.counted or None)
        if record.retention is None or span is None:
            return False
        if last is None and record.retention.waits_for == "clock":
            return True
        ended_at = _ended_at(record, last)
        has_day = last is not None or record.retention.until is not None
        return has_day and is_wrong(record, parse_rfc3339(ended_at), span, self._config)

    def _amend(self, call_id: str) -> bool:
        folder = self._vault / sealed.call_path(call_id)
        try:
            record, data, last = lifetime.record_of(folder)
            lifetime.require_signature(folder, data)
        except (OSError, ValueError) as error:
            log.error("vault_damaged: %s: %s; it is not amended", folder, error)
            return False
        span, number = self._time.span(record.counted or None), 1 if last is None else last.number + 1
        if span is None or record.retention is None or number > amendment.MOST:
            return False
        try:
            self._write(record, data, span, number)
        except TpmFault:
            self._of = -1  # the key does not sign now: the scan is repeated later
            return False
        self._amended(call_id)
        return True

    def _write(self, record: CallRecord, data: bytes, span: Span, number: int) -> None:
        assert record.retention is not None
        found = actual(record, span)
        until = kept_until(record.retention, found, self._config).until
        assert until is not None
        document = amendment.encode(Amendment(
            suite=amendment.SUITE, unit=record.unit, call_id=record.call_id, number=number,
            record_sha256=amendment.digest(data), began_at=found.began_at, ended_at=found.ended_at,
            uncertainty_s=found.uncertainty_s, until=until, made_at=rfc3339(self._clock.utc_ns()),
        ))  # fmt: skip
        signature = self._sign(document)
        call_id, line, digest = record.call_id, record.line, amendment.digest(document)
        self._log.append("amendment", call_id=call_id, line=line, sha256=digest, until=until, number=number)
        self._report(CallEvent(
            seq=0, event="amended", at=rfc3339(self._clock.utc_ns()), unit=record.unit, call_id=call_id, line=line,
            record_sha256=amendment.digest(data), document_sha256=digest, amendment=document.decode("utf-8"),
            amendment_sig=unarmored(signature),
        ))  # fmt: skip
        path = self._vault / amendment.FOLDER / amendment.name(call_id, number)
        folders.make(self._vault, path.parent)
        replace_durably(namespaces.signature_path(path), signature.encode("ascii"))
        replace_durably(path, document)
        log.warning("amended: %s ended at %s at the latest, and is kept until %s", call_id, found.ended_at, until)


def _ended_at(record: CallRecord, last: Amendment | None) -> str:
    if last is not None:
        return last.ended_at
    if record.actual:
        return record.actual.ended_at
    return record.ended_at or rfc3339(sealed.call_ns(record.call_id))
