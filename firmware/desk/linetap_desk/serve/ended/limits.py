# SPDX-License-Identifier: Apache-2.0
"""The ended calls that a supervisor is notified of, sees and reviews: those of the departments of their account, and
those of departments that no supervisor has, so that no call is without one. An account without departments has all."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select

from linetap_desk.serve.database.tables import people
from linetap_desk.serve.people.accounts import departments_in
from linetap_desk.serve.people.sessions import Who
from linetap_desk.web.roles import SUPERVISOR, SUPERVISORS


def seen_by(db: Connection, who: Who) -> Callable[[str], bool]:
    """Whether this person sees the ended calls of a department; empty: of none."""
    if not who.departments or not who.roles & SUPERVISORS:
        return lambda _: True
    rows = db.execute(select(people.c.roles, people.c.departments).where(people.c.locked.is_(False)))
    others = [departments_in(row.departments) for row in rows if SUPERVISOR in row.roles.split(",")]
    if not all(others):  # somebody has all of them
        return lambda department: department in who.departments
    somebodys = frozenset().union(*others)
    return lambda department: department in who.departments or department not in somebodys
