# SPDX-License-Identifier: Apache-2.0
"""A search session: the opened indexes of all units in memory, and searches. Each search is logged here and at the desk
before it has a result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from unicodedata import normalize
from urllib.parse import quote
from zoneinfo import ZoneInfo

from linetap_core import jsontext
from linetap_core.clock import NS_PER_S, Clock, parse_rfc3339
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.authorization.roles import Purpose
from linetap_core.evidence.calls import index, indexhead
from linetap_core.evidence.calls.index import Entry as IndexEntry
from linetap_core.evidence.calls.indexhead import ListHead
from linetap_core.evidence.signing import unitnames
from linetap_core.evidence.signing.signers import Signer
from linetap_core.mask import masked
from linetap_core.rundir import read_small
from linetap_core.zones import local_time
from linetap_desk.accesslog.access import Entry
from linetap_desk.accesslog.deskfolder import Desk
from linetap_desk.custody.search.connection import DeskConnection
from linetap_desk.custody.search.memory import Kind, SearchQuery, UnitCalls
from linetap_desk.custody.search.unitindex import NOT_GIVEN, NOT_WHOLE, Days, UnitReport, open_index
from linetap_desk.inputs import strict
from linetap_desk.searching.departments import Departments
from linetap_desk.searching.indexsearch import IndexKeys, days_of

HEADS = "index-heads.json"  # in the desk's folder: each unit's newest list seen here
MOST_SHOWN = 1000
LATE_S = 3600  # a list that ends so long before the searched days do is reported
_HEADS_LIMIT_BYTES = 16 << 20
_MOST_TEXT = 64


@dataclass(frozen=True, slots=True)
class FoundCall:
    """A found call. `ask`: the address of the desk's page that requests its release."""

    at_ns: int
    entry: IndexEntry
    extension: str
    department: str
    ask: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The result. `more`: not all calls are shown. `row`: of the desk's access log."""

    rows: list[FoundCall]
    more: bool
    row: int


class SearchSession:
    """A session. `signers`: the published file on this machine, the only list of the units."""

    def __init__(
        self, connection: DeskConnection, desk: Desk, signers: list[Signer], keys: IndexKeys, table: Departments,
        zone: ZoneInfo, clock: Clock,
    ) -> None:  # fmt: skip
        self.begun, self.zone, self.desk = connection.begun, zone, desk
        self._connection, self._signers, self._keys, self._table = connection, signers, keys, table
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._calls: dict[str, UnitCalls] = {}
        self.reports: dict[str, UnitReport] = {}
        named = {name for signer in signers if signer.is_unit for name in signer.principals.split(",")}
        self.by_pattern = any(not unitnames.is_name(name) for name in named)  # then the file does not list all units
        self.units = sorted(filter(unitnames.is_name, named | set(self.begun.units)))

    def purpose(self) -> Purpose | None:
        """The purpose by the roles in force here; None if they do not list it, or are invalid."""
        try:
            return self.desk.roles(self.desk.access.entries()).purpose(self.begun.purpose)
        except LinetapError:
            return None

    @property
    def count(self) -> int:
        return sum(calls.count for calls in self._calls.values())

    def load(self, tell: Callable[[int, int], None] = lambda _done, _of: None) -> None:
        """Fetches and opens the index of every unit. Reports the units that fail, and continues."""
        before = self._read_heads()
        first, last = days_of(self.begun.first, self.begun.last)
        today = local_time(self._clock.utc_ns(), self.zone).date()
        for number, unit in enumerate(self.units, 1):
            if unit not in self.begun.units:
                self.reports[unit] = UnitReport(unit, gaps={NOT_GIVEN: set()})
            else:
                self._load(unit, Days(first, last, today), before.get(unit))
            tell(number, len(self.units))
        self._keep_heads(before)

    def _load(self, unit: str, days: Days, before: ListHead | None) -> None:
        try:
            with self._connection.index(unit) as source:
                self._calls[unit], self.reports[unit] = open_index(
                    source, unit, self._signers, self._keys, days, before
                )
        except BadInput:
            self.reports[unit] = UnitReport(unit, gaps={NOT_WHOLE: set()})

    # --- a search ------------------------------------------------------------------------------------------------

    def search(self, kind: Kind, typed: str, first: date, last: date) -> SearchResult:
        """Searches. BadInput for invalid criteria. The log entry here has the number masked; the desk's has no
        number."""
        with self._one_at_a_time:
            entry = Entry(verb="find", number=_masked_term(kind, typed), name=self.begun.person)
            entry.purpose, entry.case, entry.request = self.begun.purpose, self.begun.case, self.begun.id
            entry.span = f"{first}/{last}"
            with self.desk.access.logged_step(entry) as step:
                wanted = self._query_of(kind, typed, first, last)
                named = f"{self.desk.access.name} {len(step.past)}"
                step.granted()
                logged = self._connection.log(kind, first, last, len(self._calls), named)
                found = list(islice(self._matching_entries(wanted), MOST_SHOWN + 1))
            rows = sorted(map(self._row, found), key=lambda row: row.at_ns)
            return SearchResult(rows[:MOST_SHOWN], len(rows) > MOST_SHOWN, logged.seq)

    def _query_of(self, kind: Kind, typed: str, first: date, last: date) -> SearchQuery:
        if not self.begun.first <= first <= last <= self.begun.last:
            raise BadInput(f"days: {self.begun.first} to {self.begun.last} were granted")
        text, digits = normalize("NFKC", typed).strip(), ""  # full-width digits of a Korean keyboard too
        if kind == "number":
            digits = index.digits_of(text)
            if not index.LEAST_DIGITS <= len(digits) <= _MOST_TEXT:
                raise BadInput(f"number: at least {index.LEAST_DIGITS} digits of its ending expected")
        elif not text or len(text) > _MOST_TEXT:
            raise BadInput(f"{kind}: 1 to {_MOST_TEXT} characters expected")
        seats = self._table.periods_of(extension=text) if kind == "extension" else []
        if kind == "name":
            named = [name for name in self._table.names() if text.casefold() in normalize("NFC", name).casefold()]
            seats = [
                seat
                for name in named
                for seat in (*self._table.periods_of(department=name), *self._table.behind_pbx(name))
            ]
        return SearchQuery(
            kind, strict.moment_ns(str(first), self.zone), strict.last_ns(str(last), self.zone), digits, text, seats
        )

    def _matching_entries(self, wanted: SearchQuery) -> Iterable[IndexEntry]:
        for calls in self._calls.values():
            yield from calls.search(wanted)

    def _row(self, entry: IndexEntry) -> FoundCall:
        at_ns = index.began_ns(entry)
        extension, department = self._table.at(entry, at_ns)
        ask = f"{self._connection.url}/release/ask/{quote(entry.unit, safe='')}/{quote(entry.call_id, safe='')}"
        return FoundCall(at_ns, entry, extension, department, ask)

    # --- segments not searched -----------------------------------------------------------------------------------

    def late(self) -> list[UnitReport]:
        """Units with a list that ends more than LATE_S before the end of the granted days, or before now."""
        end_ns = min(self._clock.utc_ns(), strict.last_ns(str(self.begun.last), self.zone))
        return [
            report for report in self.reports.values()
            if report.complete_to and parse_rfc3339(report.complete_to) < end_ns - LATE_S * NS_PER_S
        ]  # fmt: skip

    def gaps(self) -> dict[str, dict[str, list[str]]]:
        """Reason -> unit -> days or epochs."""
        found: dict[str, dict[str, list[str]]] = {}
        for unit, report in sorted(self.reports.items()):
            for why, what in report.gaps.items():
                found.setdefault(why, {})[unit] = sorted(what)
        return found

    @property
    def is_whole(self) -> bool:
        return not self.gaps() and not self.late() and not self.by_pattern

    # --- the newest lists that were seen -------------------------------------------------------------------------

    @property
    def _heads(self) -> Path:
        return self.desk.folder / HEADS

    def _read_heads(self) -> dict[str, ListHead]:
        """The stored heads; empty if there are none. BadInput for a damaged file, which a person must remove."""
        if not self._heads.exists():
            return {}
        data = read_small(self._heads, _HEADS_LIMIT_BYTES)
        try:
            return jsontext.decode(data, type=dict[str, ListHead])
        except ValueError as error:
            raise BadInput(f"{self._heads}: {error}; without it an older index is not recognised") from None

    def _keep_heads(self, before: dict[str, ListHead]) -> None:
        new = {unit: report.head for unit, report in self.reports.items() if report.head is not None}
        kept = before | {
            unit: head for unit, head in new.items() if unit not in before or not indexhead.is_older(head, before[unit])
        }
        replace_durably(self._heads, jsontext.line(kept).encode("utf-8"))


def _masked_term(kind: Kind, typed: str) -> str:
    """The masked number; for a name or an extension only the kind of search, since both may identify a person."""
    return masked(index.digits_of(normalize("NFKC", typed))) if kind == "number" else f"({kind})"
