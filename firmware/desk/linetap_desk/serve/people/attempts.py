# SPDX-License-Identifier: Apache-2.0
"""Login attempts have a bound, for an account and for an address. Each is written down before the password is looked
at, so that a thousand at once are not a thousand guesses."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from linetap_core.clock import NS_PER_S, rfc3339
from linetap_desk.serve.tables import attempts
from linetap_desk.serve.transactions import one_at_a_time

WITHIN_S = 15 * 60
_LOCK = 0x6C74747279  # PostgreSQL: else as many as come at once would all count as the first
MOST = {"name": 10, "address": 50}  # a city hall may come from one address


class Try(NamedTuple):
    """`tell`: the first that is too many is written down; the rest would only fill the log."""

    allowed: bool
    tell: bool


def begin(db: Connection, name: str, address: str, now_ns: int) -> Try:
    """Not allowed: the password is not to be looked at."""
    one_at_a_time(db, _LOCK)
    db.execute(delete(attempts).where(attempts.c.at <= rfc3339(now_ns - WITHIN_S * NS_PER_S)))
    values = {"name": _key(name), "address": address}
    for kind, value in values.items():
        if _count(db, kind, value) >= MOST[kind]:
            tell = _count(db, f"{kind}_told", value) == 0
            if tell:
                _add(db, f"{kind}_told", value, now_ns)
            return Try(False, tell)
    for kind, value in values.items():
        _add(db, kind, value, now_ns)
    return Try(True, False)


def _count(db: Connection, kind: str, value: str) -> int:
    mine = (attempts.c.kind == kind) & (attempts.c.value == value)
    return db.execute(select(func.count()).select_from(attempts).where(mine)).scalar() or 0


def _add(db: Connection, kind: str, value: str, now_ns: int) -> None:
    db.execute(insert(attempts).values(kind=kind, value=value, at=rfc3339(now_ns)))


def forgive(db: Connection, name: str, address: str) -> None:
    """It was the right one. Of the address this one goes, not the others: who guesses may have an account too."""
    db.execute(delete(attempts).where(attempts.c.kind == "name", attempts.c.value == _key(name)))
    mine = select(func.max(attempts.c.id)).where(attempts.c.kind == "address", attempts.c.value == address)
    db.execute(delete(attempts).where(attempts.c.id == mine.scalar_subquery()))


def _key(name: str) -> str:
    """Of whatever was typed, which may have been the password."""
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
