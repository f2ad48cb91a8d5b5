# SPDX-License-Identifier: Apache-2.0
"""Calls that were sealed without an end, or by a wrong clock, get one by a signed amendment once the date is known.

One piece of a scan per tick, after each change of the agreed date. The order is leaf, event, document: a power cut in
between repeats the amendment, and the last leaf in the log matches the document beside the record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from linetap.config.schema import Config
from linetap.recorder.vault import dating, lifetime
from linetap.recorder.vault.folder import Sign
from linetap.recorder.vault.log import UnitLog
from linetap.recorder.vault.retentionclock import Span
from linetap.recorder.vault.retentiontime import RetentionTime
from linetap.tpm.device import TpmFault
from linetap_core.clock import Clock, parse_rfc3339, rfc3339
from linetap_core.durable import broken, files
from linetap_core.durable.replace import replace_durably
from linetap_core.evidence import amendment, namespaces, sealed
from linetap_core.evidence.amendment import Amendment
from linetap_core.evidence.sshsig import unarmored
from linetap_core.records import CallEvent, CallRecord

FOLDERS_A_TICK = 64
CALLS_A_TICK = 4  # each costs about four syncs

log = logging.getLogger("linetap.recorder.vault")


class Amending:
    """`report` puts an event into the outbox unless it is there; `amended` is called for each call that has an end
    now."""

    def __init__(
        self, config: Config, unit_log: UnitLog, report: Callable[[CallEvent], None], sign: Sign, time: RetentionTime,
        clock: Clock, amended: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._config, self._vault = config, config.vault_path
        self._log, self._report, self._sign, self._time, self._clock = unit_log, report, sign, time, clock
        self._amended = amended
        self._of = -1  # the dating that calls were last looked at by
        self._scan: Iterator[str | None] | None = None

    def tick(self) -> None:
        """OSError: the next tick goes on from there."""
        if not self._time.is_dated:
            self._of, self._scan = -1, None
            return
        if self._of != self._time.dating:
            self._of, self._scan = self._time.dating, self._found()
        if self._scan is None:
            return
        done = looked = 0
        for call_id in islice(self._scan, FOLDERS_A_TICK):
            looked += 1
            if call_id is not None and (done := done + self._amend(call_id)) >= CALLS_A_TICK:
                return
        if looked < FOLDERS_A_TICK:
            self._scan = None

    def look_again(self) -> None:
        """A call was sealed that waits for its day."""
        self._of = -1

    def _found(self) -> Iterator[str | None]:
        """Of each folder the call, if it is to be amended."""
        for day in lifetime.days(self._vault):
            for name in lifetime.names(day):
                yield name if sealed.CALL_ID.fullmatch(name) and self._is_due(day / name) else None

    def _is_due(self, folder: Path) -> bool:
        try:
            record, _, last = lifetime.record_of(folder)
        except lifetime.BrokenAmendment as error:
            broken.set_aside(error.path, error.why)
            namespaces.beside(error.path).unlink(missing_ok=True)
            return True
        except (OSError, ValueError):
            return False  # one that is being written, or that expiry complains of
        span = self._time.span(record.counted or None)
        if record.retention is None or span is None:
            return False
        if last is None and record.retention.waits_for == "clock":
            return True
        ended_at = _ended_at(record, last)
        has_day = last is not None or record.retention.until is not None
        return has_day and dating.is_wrong(record, parse_rfc3339(ended_at), span, self._config)

    def _amend(self, call_id: str) -> bool:
        folder = self._vault / sealed.call_path(call_id)
        try:
            record, data, last = lifetime.record_of(folder)
            lifetime.require_signature(folder, data)
        except (FileNotFoundError, ValueError) as error:
            log.error("vault_damaged: %s: %s; it is not amended", folder, error)
            return False
        span, number = self._time.span(record.counted or None), 1 if last is None else last.number + 1
        if span is None or record.retention is None or number > amendment.MOST:
            return False
        try:
            self._write(record, data, span, number)
        except TpmFault:
            self._of = -1  # its key does not sign now: all of it again when it does
            return False
        self._amended(call_id)
        return True

    def _write(self, record: CallRecord, data: bytes, span: Span, number: int) -> None:
        assert record.retention is not None
        found = dating.actual(record, span)
        until = dating.kept_until(record.retention, found, self._config).until
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
        files.make_directories(self._vault, path.parent)
        replace_durably(namespaces.beside(path), signature.encode("ascii"))
        replace_durably(path, document)
        log.warning("amended: %s ended at %s at the latest, and is kept until %s", call_id, found.ended_at, until)


def _ended_at(record: CallRecord, last: Amendment | None) -> str:
    if last is not None:
        return last.ended_at
    if record.actual:
        return record.actual.ended_at
    return record.ended_at or rfc3339(sealed.call_ns(record.call_id))
