# SPDX-License-Identifier: Apache-2.0
"""Supervisors' reviews of ended calls, in serve's own database. Reviews are never changed: a later one is added, and
counts.

A supervisor is notified of, sees and reviews the ended calls of their account's departments, and those of departments
without a supervisor, so that each call has one. An account without departments has all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import batched
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, tuple_

from linetap_core.clock import NS_PER_DAY, rfc3339
from linetap_core.errors import BadInput
from linetap_desk.ingest.tables import calls
from linetap_desk.serve.database.accesslog import without_numbers
from linetap_desk.serve.database.tables import access, end_reviews, people
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.people.accounts import departments_in
from linetap_desk.serve.people.sessions import SessionUser
from linetap_desk.web.roles import SUPERVISOR, SUPERVISORS
from linetap_desk.web.text import N_

FINDINGS = {
    "justified": N_("Justified"),
    "unjustified": N_("Not justified"),
    "unclear": N_("To be checked"),
}
REMARK_LIMIT = 300
DUE_DAYS, MOST_DUE = 90, 1000  # calls that wait for a review
_AT_ONCE = 250
Name = tuple[str, str]  # unit, call_id


def checked(finding: str, remark: str) -> str:
    """The remark. BadInput without a remark, unless the finding is `justified`."""
    if finding not in FINDINGS:
        raise BadInput(f"finding: one of {', '.join(sorted(FINDINGS))} expected")
    if len(remark) > REMARK_LIMIT or (finding != "justified" and not remark):
        raise BadInput(f"remark: 1 to {REMARK_LIMIT} characters expected")
    if without_numbers(remark) != remark:
        raise BadInput("remark: without a telephone number expected")
    return remark


def add(db: Connection, name: Name, finding: str, remark: str, by: str, now_ns: int) -> None:
    db.execute(insert(end_reviews).values(
        unit=name[0], call_id=name[1], finding=finding, remark=remark, by=by, at=rfc3339(now_ns),
    ))  # fmt: skip


def of_call(db: Connection, name: Name) -> list[Mapping[str, Any]]:
    """The call's reviews, newest first."""
    mine = (end_reviews.c.unit == name[0], end_reviews.c.call_id == name[1])
    return [
        dict(row) for row in db.execute(select(end_reviews).where(*mine).order_by(end_reviews.c.id.desc())).mappings()
    ]


def last_of(db: Connection, names: Iterable[Name]) -> dict[Name, str]:
    """The newest finding of each reviewed call."""
    found: dict[Name, str] = {}
    for some in batched(names, _AT_ONCE, strict=False):
        mine = tuple_(end_reviews.c.unit, end_reviews.c.call_id).in_(some)
        for row in db.execute(select(end_reviews).where(mine).order_by(end_reviews.c.id)):
            found[row.unit, row.call_id] = row.finding
    return found


def due(
    desk: Connection, own: Connection, now_ns: int, sees: Callable[[Mapping[str, Any]], bool]
) -> list[Name]:  # fmt: skip
    """The ended calls of the last months that the person sees and that wait for a review, newest first, at most
    MOST_DUE. Reviewed calls, and calls of other departments, do not count against that limit."""
    since = rfc3339(now_ns - DUE_DAYS * NS_PER_DAY)
    wanted = select(calls.c.unit, calls.c.call_id, calls.c.line, calls.c.began_at).where(
        calls.c.situation.is_not(None), calls.c.began_at >= since
    )
    found = list[Name]()
    for some in batched(desk.execute(wanted.order_by(calls.c.began_at.desc())).mappings(), _AT_ONCE, strict=False):
        names = [(row["unit"], row["call_id"]) for row in some if sees(dict(row))]
        done = last_of(own, names)
        found += [name for name in names if name not in done]
        if len(found) >= MOST_DUE:
            break
    return found[:MOST_DUE]


def prune(engine: Engine) -> None:
    """Deletes reviews older than the first row of the access log, which a wrong clock does not empty."""
    with writing(engine) as db:
        db.execute(delete(end_reviews).where(end_reviews.c.at < select(func.min(access.c.at)).scalar_subquery()))


def seen_by(db: Connection, who: SessionUser) -> Callable[[str], bool]:
    """A function: whether this person sees the ended calls of a department; empty: calls without a department."""
    if not who.departments or not who.roles & SUPERVISORS:
        return lambda _: True
    rows = db.execute(select(people.c.roles, people.c.departments).where(people.c.locked.is_(False)))
    others = [departments_in(row.departments) for row in rows if SUPERVISOR in row.roles.split(",")]
    if not all(others):  # another supervisor has all departments
        return lambda department: department in who.departments
    somebodys = frozenset().union(*others)
    return lambda department: department in who.departments or department not in somebodys
