# SPDX-License-Identifier: Apache-2.0
"""The lists of releases and holds, a page at a time. A page ends at a place in the order, not after a number of rows:
new requests shift nothing (as in desk/calls/reading.py).

Uploaded files are not read for a list, only whether they are there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    case,
    desc,
    literal,
    null,
    or_,
    select,
    tuple_,
)

from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput
from linetap_desk.serve.release import store
from linetap_desk.serve.release.steps import Found
from linetap_desk.serve.release.store import ID
from linetap_desk.serve.tables import approvals, holds, requests

SIZE = 50  # rows of a page, and of what is somebody's to do
MOST_LOOKED = 2000  # open ones among which somebody's are looked for

List = Literal["open", "closed", "holds"]
Way = Literal["on", "back"]
_TOKEN = re.compile(r"(open|closed|holds)~(on|back)~(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z)~(H?[\d-]{9,11})")


@dataclass(frozen=True, slots=True)
class Place:
    """The rows before (`back`) or after (`on`) one row of a list."""

    list: List
    way: Way
    at: str
    id: str

    @classmethod
    def parse(cls, token: str) -> Place:
        """BadInput if it is no page token."""
        found = _TOKEN.fullmatch(token)
        if found is None or ID.fullmatch(found[4]) is None:
            raise BadInput("page: not a page's token; the lists begin anew without one")
        listed: dict[str, List] = {"open": "open", "closed": "closed", "holds": "holds"}
        return cls(listed[found[1]], "on" if found[2] == "on" else "back", found[3], found[4])

    def token(self) -> str:
        return "~".join((self.list, self.way, self.at, self.id))


@dataclass(frozen=True, slots=True)
class Page:
    """`before` and `after`: tokens, empty at the ends."""

    rows: Sequence[Mapping[str, Any]] = ()
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Mine[T]:
    """The next steps of one person. `more`: there are or may be more than these."""

    rows: Sequence[T] = ()
    more: bool = False


def page(db: Connection, listed: List, now_ns: int, place: Place | None = None) -> Page:
    """Open requests by their expiry; closed or expired ones and holds newest first."""
    table, order, newest_first, wanted = _listed(listed, now_ns)
    backward = place is not None and place.way == "back"
    descending = newest_first != backward
    key = tuple_(order, table.c.id)
    if place is not None:
        there = tuple_(literal(place.at), literal(place.id))
        wanted = wanted.where(key < there if descending else key > there)
    keys = [desc(order), desc(table.c.id)] if descending else [order, table.c.id]
    found = [dict(row) for row in db.execute(wanted.order_by(*keys).limit(SIZE + 1)).mappings()]
    more, rows = len(found) > SIZE, found[:SIZE]
    if backward:
        rows.reverse()

    def beyond(way: Way) -> str:
        if not rows or not (more if backward == (way == "back") else place is not None):
            return ""
        row = rows[0] if way == "back" else rows[-1]
        return Place(listed, way, row[order.name], row["id"]).token()

    return Page(rows, beyond("back"), beyond("on"))


def founds(db: Connection, rows: Sequence[Mapping[str, Any]]) -> list[Found]:
    """Requests with their approvals and partials."""
    signed: dict[str, list[Mapping[str, Any]]] = {row["id"]: [] for row in rows}
    for one in db.execute(select(approvals).where(approvals.c.request.in_(signed)).order_by(approvals.c.at)).mappings():
        signed[one["request"]].append(dict(one))
    chains = store.chains(db, list(signed))
    return [Found(row, signed[row["id"]], chains[row["id"]]) for row in rows]


def requests_of(db: Connection, now_ns: int, is_theirs: Callable[[Found], bool]) -> Mine[Found]:
    """The person's requests that expire first, among at most MOST_LOOKED."""
    theirs: list[Found] = []
    place: Place | None = None
    for _ in range(MOST_LOOKED // SIZE):
        part = page(db, "open", now_ns, place)
        theirs += [one for one in founds(db, part.rows) if is_theirs(one)]
        if len(theirs) > SIZE or not part.after:
            return Mine(theirs[:SIZE], len(theirs) > SIZE)
        place = Place.parse(part.after)
    return Mine(theirs[:SIZE], more=True)


def holds_to_do(db: Connection, name: str, now_ns: int) -> list[Mapping[str, Any]]:
    """Holds that may wait for this vault officer: those without a command, then those with the newest commands, which
    the unit may not have executed yet. At most MOST_LOOKED."""
    waiting = and_(holds.c.closed_at.is_(None), holds.c.until > rfc3339(now_ns), holds.c.asked_by != name)
    order = (holds.c.command_at.is_not(None), desc(holds.c.command_at), holds.c.asked_at, holds.c.id)
    wanted = select(*_columns(holds, "command")).where(waiting)
    return [dict(row) for row in db.execute(wanted.order_by(*order).limit(MOST_LOOKED)).mappings()]


def _listed(listed: List, now_ns: int) -> tuple[Table, Any, bool, Select[Any]]:
    if listed == "holds":
        return holds, holds.c.asked_at, True, select(*_columns(holds, "command"))
    over = or_(requests.c.closed_at.is_not(None), requests.c.expires_at <= rfc3339(now_ns))
    wanted = select(*_columns(requests, "request", "inner_age"))
    if listed == "closed":
        return requests, requests.c.asked_at, True, wanted.where(over)
    return requests, requests.c.expires_at, False, wanted.where(~over)


def _columns(table: Table, *brought: str) -> list[ColumnElement[Any]]:
    """Uploaded files as True or null: only whether they are there."""
    return [
        case((column.is_(None), null()), else_=literal(True)).label(column.name) if column.name in brought else column
        for column in table.c
    ]
