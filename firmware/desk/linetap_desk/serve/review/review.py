# SPDX-License-Identifier: Apache-2.0
"""The monthly review: the accesses of each person, and an auditor's signature of the review.

The law requires a check of access records once a month (Standards of Measures for Securing Personal Information Safety,
article 8). The signature is a row of the log itself, so it follows all the rows it covers and cannot be backdated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, func, select

from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.errors import Refusal
from linetap_core.zones import start_of_ns
from linetap_desk.config.pages import Settings
from linetap_desk.serve.database.accesslog import DONE, REFUSED, AccessTable, Subject
from linetap_desk.serve.database.tables import access
from linetap_desk.serve.database.transactions import writing
from linetap_desk.web.pages import Pages

SIGNED = "review_signed"
SEARCHES, EXPORTS = ("search",), ("play", "export", "fetch", "bundle", "release")
# Logins, accounts and the review itself; all other acts concern personal data.
NOT_DATA = ("login", "logout", "unlock", "people", "review", "access")
A_PAGE = 100
REMARK_LIMIT = 300
_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")
_SATURDAY = 5
_MOST_MONTHS = 36
_AT_ONCE = 1000


class NotSigned(Refusal):
    """The review was not signed; `code` is the reason."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class Figures:
    """The accesses of one person in a month."""

    person: str
    views: int = 0
    searches: int = 0
    exports: int = 0
    out_of_hours: int = 0
    refused: int = 0

    @property
    def has_seen(self) -> bool:
        return bool(self.views or self.searches or self.exports)


@dataclass(frozen=True, slots=True)
class Span:
    """A month in the desk's zone; RFC 3339, `until` is the first moment after it."""

    month: str
    since: str
    until: str


def span_of(month: str, pages: Pages) -> Span | None:
    """The month; None if there is no such month."""
    found = _MONTH.fullmatch(month)
    if found is None:
        return None
    year, number = int(found[1]), int(found[2])
    first, after = date(year, number, 1), date(year + number // 12, number % 12 + 1, 1)
    return Span(month, *(rfc3339(start_of_ns(day, pages.zone)) for day in (first, after)))


def months(db: Connection, pages: Pages, now_ns: int) -> list[str]:
    """The months, newest first, from the oldest stored row."""
    oldest = db.execute(select(func.min(access.c.at))).scalar()
    if oldest is None:
        return []
    first, last = (f"{pages.local(ns):%Y-%m}" for ns in (parse_rfc3339(oldest), now_ns))
    return list(_back(last, first))


def _back(month: str, first: str) -> Iterator[str]:
    for _ in range(_MOST_MONTHS):
        if month < first:
            return
        yield month
        year, number = int(month[:4]), int(month[5:])
        month = f"{year - (number == 1)}-{(number + 10) % 12 + 1:02d}"


def figures(db: Connection, span: Span, settings: Settings, pages: Pages) -> list[Figures]:
    people: dict[str, Figures] = {}
    wanted = select(access.c.person, access.c.at, access.c.act, access.c.outcome).where(_within(span))
    with db.execute(wanted.execution_options(yield_per=_AT_ONCE)) as rows:
        for row in rows:
            _count(people.setdefault(row.person, Figures(row.person)), row, settings, pages)
    return sorted(people.values(), key=lambda one: one.person)


def _count(one: Figures, row: Any, settings: Settings, pages: Pages) -> None:
    word = row.act.partition("_")[0]
    if row.outcome == REFUSED:
        one.refused += 1
        return
    if word in NOT_DATA:
        return
    if word in SEARCHES:
        one.searches += 1
    elif word in EXPORTS:
        one.exports += 1
    else:
        one.views += 1
    local = pages.local(parse_rfc3339(row.at))
    if local.weekday() >= _SATURDAY or not settings.opens <= local.time() < settings.closes:
        one.out_of_hours += 1


def rows_of(db: Connection, span: Span, person: str, after: int) -> tuple[list[Row[Any]], int | None]:
    """A page of one person's rows, and the position of the next page."""
    wanted = select(access).where(_within(span), access.c.person == person, access.c.seq > after)
    rows = list(db.execute(wanted.order_by(access.c.seq).limit(A_PAGE + 1)).all())
    return rows[:A_PAGE], rows[A_PAGE - 1].seq if len(rows) > A_PAGE else None


def signed(db: Connection) -> dict[str, Row[Any]]:
    """month -> the row of its signature."""
    return {
        row.terms: row for row in db.execute(select(access).where(access.c.act == SIGNED, access.c.outcome == DONE))
    }


def sign(
    table: AccessTable, span: Span, settings: Settings, pages: Pages, person: str, address: str, remark: str
) -> None:
    """Signs the review. NotSigned if it is not allowed."""
    with writing(table.engine) as db:
        if rfc3339(table.clock.utc_ns()) < span.until:
            raise NotSigned("not_over")
        if span.month in signed(db):
            raise NotSigned("signed_already")
        if not 1 <= len(remark.strip()) <= REMARK_LIMIT:
            raise NotSigned("no_remark")
        if any(one.person == person and one.has_seen for one in figures(db, span, settings, pages)):
            raise NotSigned("among_the_reviewed")
        table.append_in(db, person, address, SIGNED, Subject(terms=span.month, remark=remark.strip()), DONE)


def _within(span: Span) -> Any:
    return (access.c.at >= span.since) & (access.c.at < span.until)
