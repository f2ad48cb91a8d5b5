# SPDX-License-Identifier: Apache-2.0
"""Sessions: an opaque token in the browser, its hash here. They lock when nobody sits there, and end."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import Connection, delete, insert, select, update

from linetap_core.clock import NS_PER_S, rfc3339
from linetap_desk.serve.people.who import Who
from linetap_desk.serve.settings import Settings
from linetap_desk.serve.tables import people, sessions

COOKIE = "__Host-linetap-session"
MOST_A_PERSON = 8  # the oldest goes
_TOUCH_NS = 10 * NS_PER_S  # written down no more often
_WALL = frozenset({"watch"})


def begin(db: Connection, person: int, address: str, settings: Settings, now_ns: int) -> str:
    """The token."""
    token = secrets.token_urlsafe(32)
    db.execute(delete(sessions).where(sessions.c.ends_at <= rfc3339(now_ns)))
    older = select(sessions.c.token_sha256).where(sessions.c.person == person).order_by(sessions.c.began_at.desc())
    surplus = db.execute(older.offset(MOST_A_PERSON - 1)).scalars().all()
    db.execute(delete(sessions).where(sessions.c.token_sha256.in_(surplus)))
    now = rfc3339(now_ns)
    db.execute(
        insert(sessions).values(
            token_sha256=digest(token),
            person=person,
            address=address,
            began_at=now,
            seen_at=now,
            ends_at=rfc3339(now_ns + settings.session_s * NS_PER_S),
            locked=False,
        )
    )
    return token


def find(db: Connection, session: str, settings: Settings, now_ns: int, deed: bool) -> tuple[Who | None, bool]:
    """Who has it, and whether this is to be written down by `note`. None: no such session, or its end has come, or the
    person was locked out."""
    found = db.execute(
        select(sessions, people.c.id, people.c.name, people.c.shown, people.c.roles)
        .join(people, people.c.id == sessions.c.person)
        .where(sessions.c.token_sha256 == session, sessions.c.ends_at > rfc3339(now_ns), people.c.locked.is_(False))
    ).one_or_none()
    if found is None:
        return None, False
    roles = frozenset(filter(None, found.roles.split(",")))
    idle_s = settings.watch_idle_s if roles == _WALL else settings.idle_s
    locked = found.locked or found.seen_at <= rfc3339(now_ns - idle_s * NS_PER_S)
    news = locked != found.locked or (deed and not locked and found.seen_at <= rfc3339(now_ns - _TOUCH_NS))
    return Who(found.id, found.name, found.shown, roles, session, locked), news


def note(db: Connection, who: Who, now_ns: int) -> None:
    """That it has locked, or that somebody sits there. Nothing here opens a locked one again."""
    mine = update(sessions).where(sessions.c.token_sha256 == who.session)
    db.execute(mine.values(locked=True) if who.locked else mine.values(seen_at=rfc3339(now_ns)))


def unlock(db: Connection, session: str, now_ns: int) -> None:
    db.execute(update(sessions).where(sessions.c.token_sha256 == session).values(locked=False, seen_at=rfc3339(now_ns)))


def end(db: Connection, session: str) -> None:
    db.execute(delete(sessions).where(sessions.c.token_sha256 == session))


def digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
