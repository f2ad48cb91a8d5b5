# SPDX-License-Identifier: Apache-2.0
"""Counts the calls opened by request, by department, from the pages' own database."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, select

from linetap_core.clock import rfc3339
from linetap_core.evidence.calls import sealed
from linetap_desk.protection.figures import department_of
from linetap_desk.protection.period import Period
from linetap_desk.searching.departments import Departments
from linetap_desk.serve.database.tables import requests
from linetap_desk.serve.release.steps import GIVEN


def released(db: Connection, period: Period, departments: Departments) -> Counter[str]:
    """The calls of requests that were closed as carried out in the period, by department; a call counts once."""
    within = (requests.c.closed_at >= rfc3339(period.since_ns), requests.c.closed_at < rfc3339(period.until_ns))
    wanted = select(requests.c.unit, requests.c.line, requests.c.call_id).where(requests.c.outcome == GIVEN, *within)
    found: Counter[str] = Counter()
    for row in db.execute(wanted.distinct()):
        at_ns = sealed.call_ns(row.call_id)
        found[department_of(departments, row.unit, row.line, at_ns)] += 1
    return found
