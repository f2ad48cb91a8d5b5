# SPDX-License-Identifier: Apache-2.0
"""A ticket opens the package of one request once, within ten minutes. Only its hash is kept."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import Connection, delete, insert, select

from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap_desk.serve.tables import tickets

GOOD_S = 600


def make(db: Connection, request_id: str, by: str, now_ns: int) -> str:
    """An earlier one of the same request is good no more."""
    ticket = secrets.token_urlsafe(32)
    db.execute(delete(tickets).where(tickets.c.request == request_id))
    ends_at = rfc3339(now_ns + GOOD_S * NS_PER_S)
    db.execute(insert(tickets).values(request=request_id, sha256=_digest(ticket), by=by, ends_at=ends_at))
    return ticket


def take(db: Connection, ticket: str, now_ns: int) -> tuple[str, str] | None:
    """The request and who asked for the ticket, which is used up; None of one that is not known or too old."""
    found = db.execute(select(tickets).where(tickets.c.sha256 == _digest(ticket))).one_or_none()
    if found is None:
        return None
    if db.execute(delete(tickets).where(tickets.c.sha256 == found.sha256)).rowcount != 1:
        return None  # in PostgreSQL another may have taken it since it was read
    return (found.request, found.by) if now_ns < parse_rfc3339(found.ends_at) else None


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "replace")).hexdigest()
