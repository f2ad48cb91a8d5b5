# SPDX-License-Identifier: Apache-2.0
"""Sessions: an opaque token in the browser, its hash in the database. They lock when idle, and they expire."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import anyio.to_thread
from sqlalchemy import Connection, Engine, delete, insert, select, update
from starlette.requests import Request

from linetap_core.clock import NS_PER_S, Clock, parse_rfc3339, rfc3339
from linetap_desk.config.pages import Settings
from linetap_desk.serve.database.tables import people, sessions
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.people.accounts import departments_in
from linetap_desk.web import secure
from linetap_desk.web.roles import WATCH


@dataclass(frozen=True, slots=True)
class SessionUser:
    """The logged-in person, for handlers. `locked`: nothing is shown until the password is typed again."""

    person: int
    name: str
    shown: str
    roles: frozenset[str]
    session: str  # SHA-256 of the token
    locked: bool
    locks_s: int = 0  # until it locks without action, and until it ends
    ends_s: int = 0
    departments: frozenset[str] = frozenset()  # of a supervisor; empty: all


def session_user(request: Request) -> SessionUser:
    """The person of a request to a route that is not public, after the gate."""
    who: SessionUser = request.state.who
    return who


COOKIE = "__Host-linetap-session"
MOST_A_PERSON = 8  # beyond that the oldest ends
_TOUCH_NS = 10 * NS_PER_S  # seen_at is written at most this often


def begin(db: Connection, person: int, address: str, settings: Settings, now_ns: int) -> str:
    """Begins a session; returns the token."""
    token = secrets.token_urlsafe(32)
    db.execute(delete(sessions).where(sessions.c.ends_at <= rfc3339(now_ns)))
    older = select(sessions.c.token_sha256).where(sessions.c.person == person).order_by(sessions.c.began_at.desc())
    surplus = db.execute(older.offset(MOST_A_PERSON - 1)).scalars().all()
    db.execute(delete(sessions).where(sessions.c.token_sha256.in_(surplus)))
    now = rfc3339(now_ns)
    db.execute(
        insert(sessions).values(
            token_sha256=secure.digest(token),
            person=person,
            address=address,
            began_at=now,
            seen_at=now,
            ends_at=rfc3339(now_ns + settings.session_s * NS_PER_S),
            locked=False,
        )
    )
    return token


def find(db: Connection, session: str, settings: Settings, now_ns: int, acts: bool) -> tuple[SessionUser | None, bool]:
    """The person, and whether `record_use` must write. None: no session, an expired one, or a locked account."""
    found = db.execute(
        select(sessions, people.c.id, people.c.name, people.c.shown, people.c.roles, people.c.departments)
        .join(people, people.c.id == sessions.c.person)
        .where(sessions.c.token_sha256 == session, sessions.c.ends_at > rfc3339(now_ns), people.c.locked.is_(False))
    ).one_or_none()
    if found is None:
        return None, False
    roles = frozenset(filter(None, found.roles.split(",")))
    idle_s = idle_of(settings, roles)
    locked = found.locked or found.seen_at <= rfc3339(now_ns - idle_s * NS_PER_S)
    news = locked != found.locked or (acts and not locked and found.seen_at <= rfc3339(now_ns - _TOUCH_NS))
    locks_s = max(0, idle_s - (now_ns - parse_rfc3339(found.seen_at)) // NS_PER_S)
    ends_s = max(0, (parse_rfc3339(found.ends_at) - now_ns) // NS_PER_S)
    departments = departments_in(found.departments)
    return SessionUser(found.id, found.name, found.shown, roles, session, locked, locks_s, ends_s, departments), news


def idle_of(settings: Settings, roles: frozenset[str]) -> int:
    return settings.watch_idle_s if roles == WATCH else settings.idle_s


def record_use(db: Connection, who: SessionUser, now_ns: int) -> None:
    """Records that the session was locked, or its last use. It never unlocks a session."""
    mine = update(sessions).where(sessions.c.token_sha256 == who.session)
    db.execute(mine.values(locked=True) if who.locked else mine.values(seen_at=rfc3339(now_ns)))


def unlock(db: Connection, session: str, now_ns: int) -> None:
    db.execute(update(sessions).where(sessions.c.token_sha256 == session).values(locked=False, seen_at=rfc3339(now_ns)))


def end(db: Connection, session: str) -> None:
    db.execute(delete(sessions).where(sessions.c.token_sha256 == session))


class OpenSessions:
    def __init__(self, engine: Engine, settings: Settings, clock: Clock) -> None:
        self.engine, self.settings, self.clock = engine, settings, clock

    async def who(self, token: str, acts: bool) -> SessionUser | None:
        """The person of the session. `acts`: a person acted, which postpones the lock."""
        return await anyio.to_thread.run_sync(self._who, secure.digest(token), acts)

    async def still(self, who: SessionUser) -> bool:
        """Whether `who` may still see an open stream; streams call this at intervals."""
        found = await anyio.to_thread.run_sync(self._who, who.session, False)
        return found is not None and not found.locked and found.roles == who.roles

    def _who(self, session: str, acts: bool) -> SessionUser | None:
        now_ns = self.clock.utc_ns()
        with self.engine.connect() as db:
            who, news = find(db, session, self.settings, now_ns, acts)
        if who is not None and news:
            with writing(self.engine) as db:
                record_use(db, who, now_ns)
        return who
