# SPDX-License-Identifier: Apache-2.0
"""Rebuilds events that are gone, from log and records, and reports them again.

The bytes, numbers and signatures of events are not restored: they become new events with new numbers, followed by a
`rebuilt` event. The work starts when the desk has the unit's `dropped` event, or requests events that are gone. It is
only slightly ahead of the desk's confirmations, so that no other event is dropped for it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import msgspec

from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap_core import jsontext, plainfile
from linetap_core.clock import Clock, rfc3339
from linetap_core.durable.smallfile import SmallFile
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.records import CallEvent, CallRecord
from linetap_core.vaultformat import callevents

NAME = "rebuild.json"  # in the vault
EVENTS_A_TICK = 20  # each needs a sync; with four ticks a second a month of 32 busy lines takes half an hour
LEAVES_A_TICK = 400
AHEAD = 500  # unconfirmed events: beyond this number, or half the outbox, nothing is rebuilt
_SAVE_EVERY = 400  # leaves; the outbox recognises events that are reported twice

log = logging.getLogger("linetap.recorder.vault")


class _Work(msgspec.Struct):
    first: int  # number of an event, like `last`
    last: int
    leaf: int  # the next leaf to read
    end: int


class _Saved(msgspec.Struct):
    work: _Work | None = None
    done: tuple[int, int] = (0, 0)  # range of the last `rebuilt` event


_FILE = SmallFile("rebuild", _Saved)


class Rebuild:
    """The work of rebuilding. Each method may raise OSError; the next tick continues."""

    def __init__(
        self, vault: Path, unit_log: UnitLog, outbox: Outbox, report: Callable[[CallEvent], None], clock: Clock
    ) -> None:
        """`report` puts an event into the outbox, unless it is there already."""
        self._vault, self._log, self._outbox, self._report, self._clock = vault, unit_log, outbox, report, clock
        self._saved = self._load()
        self._saved_at = self._saved.work.leaf if self._saved.work else 0

    def request(self, first: int, last: int) -> None:
        """Requests events `first` to `last`, unless they are being rebuilt or were the last range done."""
        work = self._saved.work
        if any(a <= first and last <= b for a, b in (self._saved.done, (work.first, work.last) if work else (0, 0))):
            return
        begin, end = self._outbox.leaves_of(first, last, self._log.size)
        new = _Work(first, last, begin, end)
        if work is not None:
            new = _Work(min(first, work.first), max(last, work.last), min(begin, work.leaf), max(end, work.end))
        self._save(_Saved(new, self._saved.done))
        log.warning("rebuild: events %d to %d are rebuilt from %d leaves", first, last, end - begin)

    def tick(self) -> None:
        lost = self._outbox.lost
        if lost is not None and self._outbox.confirmed >= lost.word:
            self.request(lost.first, lost.last)
            self._outbox.forget_lost(lost)
        work = self._saved.work
        if work is None or not self._may_report:
            return
        self._report_batch(work)
        if work.leaf >= min(work.end, self._log.size):
            now = rfc3339(self._clock.utc_ns())
            word = CallEvent(seq=0, event="rebuilt", at=now, unit="", from_seq=work.first, to_seq=work.last)
            self._report(word)
            self._save(_Saved(None, (work.first, work.last)))
        elif work.leaf - self._saved_at >= _SAVE_EVERY:
            self._save(self._saved)

    def _report_batch(self, work: _Work) -> None:
        most, reported = min(LEAVES_A_TICK, work.end - work.leaf), 0
        for line in islice(self._log.leaves(work.leaf), most):
            event = self._event(line)
            if event is not None:
                self._report(event)
                reported += 1
            work.leaf += 1
            if reported == EVENTS_A_TICK or not self._may_report:
                return

    @property
    def _may_report(self) -> bool:
        """Whether another event may be rebuilt: rebuilt events must not displace events that were never received."""
        return self._outbox.last_seq - self._outbox.confirmed < AHEAD and not self._outbox.is_half_full

    def _event(self, line: bytes) -> CallEvent | None:
        try:
            leaf = jsontext.decode(line, type=callevents.LeafOfCall)
        except ValueError:
            return None
        if leaf.kind == "amendment":
            return callevents.rebuilt_event(leaf, None, self._amendment(leaf))
        return callevents.rebuilt_event(leaf, self._record(leaf) if leaf.kind == "close" else None)

    def _amendment(self, leaf: callevents.LeafOfCall) -> tuple[str, str, str] | None:
        """Returns the amendment that the leaf names, while its call is in the vault."""
        call_id = leaf.call_id or ""
        if sealed.CALL_ID.fullmatch(call_id) is None or not 0 < leaf.number <= amendment.MOST:
            return None
        path = self._vault / amendment.FOLDER / amendment.name(call_id, leaf.number)
        try:
            data = plainfile.read(path, amendment.LIMIT_BYTES)
            armored = plainfile.read(namespaces.signature_path(path), sshsig.SIGNATURE_LIMIT_BYTES)
            signature = armored.decode("ascii")
            found = amendment.decode(data)
        except (OSError, ValueError, Refusal):
            return None
        same = amendment.digest(data) == leaf.sha256
        return (data.decode("utf-8"), unarmored(signature), found.record_sha256) if same else None

    def _record(self, leaf: callevents.LeafOfCall) -> CallRecord | None:
        """Returns the record that the leaf names, or None if it is gone or was changed."""
        try:
            folder = self._vault / sealed.call_path(leaf.call_id or "")
            data = plainfile.read(folder / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
            named = hashlib.sha256(data).hexdigest() == leaf.record_sha256
            return sealed.decode_record(data) if named else None
        except (OSError, ValueError, Refusal):
            return None

    def _save(self, saved: _Saved) -> None:
        _FILE.replace(self._vault / NAME, saved)
        self._saved, self._saved_at = saved, saved.work.leaf if saved.work else 0

    def _load(self) -> _Saved:
        """Loads the progress; if it is lost, the desk must repeat its request."""
        return _FILE.load(self._vault / NAME) or _Saved()
