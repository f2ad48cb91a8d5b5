# SPDX-License-Identifier: Apache-2.0
"""The register of citizens' requests in serve's own database. Half a year after the end of a request cleanup.py clears
its personal data.

180 days: the longest period in which a decision can be contested (Administrative Appeals Act, art. 27(3)).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, Engine, desc, insert, select, update
from starlette.exceptions import HTTPException

from linetap_core.clock import NS_PER_DAY, rfc3339
from linetap_core.evidence.authorization import citizen
from linetap_desk.serve.citizen.steps import CitizenRequest, Urgency
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.database.tables import citizens, requests
from linetap_desk.serve.database.transactions import overwrite, writing

ID = re.compile(r"C20\d\d-\d{4,6}", re.ASCII)
KEPT_DAYS = 180
MOST_OPEN, MOST_CLOSED = 500, 50  # shown
PERSONAL = ("alias", "digits", "called_on", "verified", "reason", "room", "attending")


def require(db: Connection, request_id: str) -> CitizenRequest:
    row = None
    if ID.fullmatch(request_id):
        row = db.execute(select(citizens).where(citizens.c.id == request_id)).mappings().first()
    if row is None:
        raise HTTPException(404)
    return CitizenRequest(dict(row))


def add(db: Connection, values: Mapping[str, Any]) -> None:
    db.execute(insert(citizens).values(**values))


def change(db: Connection, request_id: str, **values: Any) -> None:
    db.execute(update(citizens).where(citizens.c.id == request_id).values(**values))


def open_requests(db: Connection) -> list[CitizenRequest]:
    """The open requests, most urgent first."""
    wanted = select(citizens).where(citizens.c.closed_at.is_(None)).order_by(citizens.c.counted_from, citizens.c.id)
    found = [CitizenRequest(dict(row)) for row in db.execute(wanted.limit(MOST_OPEN)).mappings()]
    return sorted(found, key=lambda one: (one.deadline, one.id))


def closed_requests(db: Connection) -> list[CitizenRequest]:
    """The closed requests, latest first."""
    wanted = select(citizens).where(citizens.c.closed_at.is_not(None)).order_by(desc(citizens.c.closed_at))
    return [CitizenRequest(dict(row)) for row in db.execute(wanted.limit(MOST_CLOSED)).mappings()]


def releases_of(db: Connection, found: CitizenRequest) -> Sequence[Mapping[str, Any]]:
    """The releases requested for it, found by their signed case; empty once its digits are cleared."""
    if found.row["digits"] is None:
        return []
    case = citizen.case_text(found.id, found.row["digits"])
    mine = (requests.c.case_number == case, requests.c.purpose == citizen.PURPOSE)
    return [dict(row) for row in db.execute(select(requests).where(*mine).order_by(requests.c.asked_at)).mappings()]


def subject(request_id: str, remark: str = "", calls: tuple[str, ...] = ()) -> Subject:
    """The subject of a row of the access log, without personal data."""
    return Subject(calls=calls, request=request_id, purpose=citizen.PURPOSE, remark=remark)


def count_by_urgency(db: Connection, today: date) -> dict[Urgency, int]:
    found: dict[Urgency, int] = {"overdue": 0, "soon": 0, "open": 0}
    for one in open_requests(db):
        found[one.urgency(today)] += 1
    return found


def clear_ended(engine: Engine, now_ns: int) -> None:
    """Clears the personal data of ended requests, from the database's file too."""
    ended = rfc3339(now_ns - KEPT_DAYS * NS_PER_DAY)
    with writing(engine) as db:
        gone = db.execute(
            update(citizens)
            .where(citizens.c.closed_at <= ended, citizens.c.cleared_at.is_(None))
            .values(cleared_at=rfc3339(now_ns), **dict.fromkeys(PERSONAL))
        ).rowcount
    if gone:
        overwrite(engine)
