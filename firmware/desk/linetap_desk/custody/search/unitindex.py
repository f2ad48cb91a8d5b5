# SPDX-License-Identifier: Apache-2.0
"""Verifies and opens the index of one unit as the desk supplies it. Only signed content counts, and missing content is
reported.

The archive is treated as hostile. Only segments that a signed list of the unit names by their SHA-256 are opened. The
newest list shows which segments are missing, and up to when the index is complete. A list older than one seen here
before is used and reported.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import index, indexhead
from linetap_core.evidence.calls.indexhead import IndexList, ListHead, SignedListHead
from linetap_core.evidence.sealing.keylist import DAY
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_desk.custody.search.memory import UnitCalls
from linetap_desk.inputs.ustar import BadPackage, Source, members
from linetap_desk.searching.indexsearch import IndexKeys, decrypt_segment
from linetap_desk.unsealing.stockage import DoesNotOpen
from linetap_desk.web.text import N_

MOST_CALLS = 4_000_000  # of a unit: 24 lines for 20 years; further calls are not searched
_NAMES = [
    (indexhead.LIST_FILE, indexhead.LIST_LIMIT_BYTES),
    (indexhead.HEAD_FILE, indexhead.HEAD_LIMIT_BYTES),
    (indexhead.SIGNATURE_FILE, sshsig.SIGNATURE_LIMIT_BYTES),
    (re.compile(rf"[0-9a-z][0-9a-z.-]{{9,40}}/{DAY}-\d{{3,6}}\.age", re.ASCII), index.SEGMENT_LIMIT_BYTES),
]
_MOST_MEMBERS = indexhead.MOST_SEGMENTS + 64

# Reasons for unsearched segments, each with the days of the calls or the epochs of the keys.
NOT_GIVEN = N_("The desk has no index of this unit.")
NOT_WHOLE = N_("The desk's answer was cut short or malformed.")
NOT_SIGNED = N_("There is no list of the index that this unit signed.")
OLDER = N_("The list is older than one that was here before.")
MISSING = N_("The unit has these segments, and the desk did not give them.")
CHANGED = N_("These segments are not as the unit signed them.")
FAULTY = N_("The unit itself does not vouch for these segments.")
NO_KEY = N_("There is no key here for these epochs.")
CLOSED = N_("These epochs do not open with the keys here.")
DAMAGED = N_("These segments are damaged.")
TOO_MANY = N_("The index has more calls than a unit can have.")


@dataclass(slots=True)
class UnitReport:
    """The report on one unit. `complete_to`: RFC 3339, when the unit signed its list; later calls are not in it.
    `gaps`: reason -> days of calls, or epochs, that were not searched."""

    unit: str
    complete_to: str = ""
    gaps: dict[str, set[str]] = field(default_factory=dict)
    segments: int = 0
    head: ListHead | None = None

    def add_missing(self, why: str, *what: str) -> None:
        self.gaps.setdefault(why, set()).update(what)


@dataclass(frozen=True, slots=True)
class Days:
    """The days of segments that may have the wanted calls; `today` in the units' zone."""

    first: date
    last: date
    today: date

    def has_day(self, name: str) -> bool:
        named = index.parse_segment(name.rpartition("/")[2])
        return named is not None and self.first <= named[0] <= self.last

    def is_over(self, name: str) -> bool:
        """Whether the segment's calls are past their retention, so that it may be missing."""
        _, last_day = index.parse_folder(name.partition("/")[0]) or ("", None)
        return last_day is not None and last_day < self.today


def open_index(
    source: Source, unit: str, signers: list[Signer], keys: IndexKeys, days: Days, before: ListHead | None = None
) -> tuple[UnitCalls, UnitReport]:
    """The calls and the report of one unit. `before`: the unit's newest head seen here before. OSError: the desk's
    connection."""
    calls, report = UnitCalls(unit), UnitReport(unit)
    found = _Opening(calls, report, signers, keys, days)
    try:
        for name, content in members(source, _NAMES, _MOST_MEMBERS):
            found.take(name, b"".join(content))
    except BadPackage:
        report.add_missing(NOT_WHOLE)
    found.finish(before)
    calls.seal()
    return calls, report


class _Opening:
    def __init__(
        self, calls: UnitCalls, report: UnitReport, signers: list[Signer], keys: IndexKeys, days: Days
    ) -> None:
        self._calls, self._report, self._signers, self._keys, self._days = calls, report, signers, keys, days
        self._small: dict[str, bytes] = {}
        self._lists: list[tuple[ListHead, IndexList]] | None = None  # the newest last
        self._named: dict[str, str] = {}  # segment -> its hash in the newest list that has it
        self._came: set[str] = set()

    def take(self, name: str, data: bytes) -> None:
        if "/" not in name:
            self._small[name] = data
            return
        if self._lists is None:
            self._read_lists()
        if not indexhead.is_segment(name) or not self._days.has_day(name):
            return
        self._came.add(name)
        if indexhead.digest(data) != self._named.get(name):
            self._report.add_missing(CHANGED, _day(name))
        elif self._calls.count >= MOST_CALLS:
            self._report.add_missing(TOO_MANY, _day(name))
        else:
            self._open(name, data)

    def _open(self, name: str, data: bytes) -> None:
        epoch, _ = index.parse_folder(name.partition("/")[0]) or ("", None)
        files = self._keys.of(epoch)
        if not files:
            self._report.add_missing(NO_KEY, epoch)
            return
        try:
            self._calls.add(index.decode(decrypt_segment(data, files)))
            self._report.segments += 1
        except DoesNotOpen:
            self._report.add_missing(CLOSED, epoch)
        except index.BadIndex:
            self._report.add_missing(DAMAGED, _day(name))

    def finish(self, before: ListHead | None) -> None:
        """Reports the missing segments, by the lists."""
        if self._lists is None:
            self._read_lists()
        assert self._lists is not None
        if not self._lists:
            self._report.add_missing(NOT_SIGNED if self._small or self._came else NOT_GIVEN)
            return
        head, newest = self._lists[-1]
        self._report.head, self._report.complete_to = head, head.at
        if before is not None and indexhead.is_older(head, before):
            self._report.add_missing(OLDER, before.at)
        for fault in newest.unlisted:
            if self._days.has_day(fault.file):
                self._report.add_missing(FAULTY, _day(fault.file))
        for number, (_, found) in enumerate(reversed(self._lists)):
            for each in found.segments:
                # In an earlier log only segments with a day are expected: others may have been removed with their
                # calls.
                is_certain = not number or _has_day(each.file)
                is_due = is_certain and self._days.has_day(each.file) and not self._days.is_over(each.file)
                if is_due and each.file not in self._came:
                    self._report.add_missing(MISSING, _day(each.file))

    def _read_lists(self) -> None:
        """Reads the newest list of each log: an older list would accept an earlier content of a segment."""
        newest: dict[str, tuple[ListHead, IndexList]] = {}
        for one in self._signed_lists():
            if (known := newest.get(one[0].log)) is None or indexhead.is_older(known[0], one[0]):
                newest[one[0].log] = one
        self._lists = sorted(newest.values(), key=lambda one: one[0].at)
        for _, found in self._lists:
            self._named |= {each.file: each.sha256 for each in found.segments}

    def _signed_lists(self) -> Iterator[tuple[ListHead, IndexList]]:
        for name, data in self._small.items():
            if (named := indexhead.HEAD_FILE.fullmatch(name)) is None:
                continue
            with contextlib.suppress(Refusal, BadInput, UnicodeDecodeError):
                sig = self._small.get(name + namespaces.SUFFIX, b"").decode("ascii")
                signed = SignedListHead(head=data.decode("utf-8"), sig=sig)
                head = indexhead.check_head(signed, self._report.unit, self._signers)
                yield head, indexhead.read(self._small.get(indexhead.list_file(named[1]), b""), head)


def _day(name: str) -> str:
    named = index.parse_segment(name.rpartition("/")[2])
    return name if named is None else named[0].isoformat()


def _has_day(name: str) -> bool:
    return (index.parse_folder(name.partition("/")[0]) or ("", None))[1] is not None
