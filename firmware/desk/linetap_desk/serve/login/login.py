# SPDX-License-Identifier: Apache-2.0
"""Login and unlock: limited attempts, a password, the passkey if the account has one, a session. Each is a row of the
access log.

An attempt is counted before its password is checked, so that a thousand at once are not a thousand guesses. An attempt
of a login in two steps counts until the second is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import anyio.to_thread
from sqlalchemy import Connection, delete, func, insert, select

from linetap_core.clock import NS_PER_S, rfc3339
from linetap_core.evidence.signing.assertion import PasskeyFault
from linetap_desk.serve.database.accesslog import DONE, REFUSED, Subject
from linetap_desk.serve.database.tables import attempts, people
from linetap_desk.serve.database.transactions import one_at_a_time, writing
from linetap_desk.serve.handling.site import Site
from linetap_desk.serve.people import accounts, passkeys, sessions
from linetap_desk.serve.people.passkeys import Answer, Ceremony
from linetap_desk.serve.people.sessions import SessionUser
from linetap_desk.web import secure

WITHIN_S = 15 * 60
_LOCK = 0x6C74747279  # PostgreSQL: otherwise simultaneous attempts would each count as the first
MOST_ATTEMPTS = {"name": 10, "address": 50}  # a city hall may share one address


class Attempt(NamedTuple):
    """The permission for an attempt. `logs`: only the first attempt over the limit is logged; others would fill the
    log."""

    allowed: bool
    logs: bool


def begin_attempt(db: Connection, name: str, address: str, now_ns: int) -> Attempt:
    """Counts the attempt. If it is not allowed, the password must not be checked."""
    one_at_a_time(db, _LOCK)
    db.execute(delete(attempts).where(attempts.c.at <= rfc3339(now_ns - WITHIN_S * NS_PER_S)))
    values = {"name": secure.digest(name), "address": address}  # the name field may contain a password
    for kind, value in values.items():
        if _count_attempts(db, kind, value) >= MOST_ATTEMPTS[kind]:
            logs = _count_attempts(db, f"{kind}_told", value) == 0
            if logs:
                _add_attempt(db, f"{kind}_told", value, now_ns)
            return Attempt(False, logs)
    for kind, value in values.items():
        _add_attempt(db, kind, value, now_ns)
    return Attempt(True, False)


def _count_attempts(db: Connection, kind: str, value: str) -> int:
    mine = (attempts.c.kind == kind) & (attempts.c.value == value)
    return db.execute(select(func.count()).select_from(attempts).where(mine)).scalar() or 0


def _add_attempt(db: Connection, kind: str, value: str, now_ns: int) -> None:
    db.execute(insert(attempts).values(kind=kind, value=value, at=rfc3339(now_ns)))


def clear_attempts(db: Connection, name: str, address: str) -> None:
    """Clears the account's attempts after a correct password, and this one of the address: an attacker at the same
    address may have an account."""
    db.execute(delete(attempts).where(attempts.c.kind == "name", attempts.c.value == secure.digest(name)))
    mine = select(func.max(attempts.c.id)).where(attempts.c.kind == "address", attempts.c.value == address)
    db.execute(delete(attempts).where(attempts.c.id == mine.scalar_subquery()))


class TooMany(Exception):
    """Too many attempts for this account or from this address."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    person: int
    name: str  # empty: there is no such account
    stored: str | None
    as_of: str = ""  # the account's last change; empty if nothing waited since it was read


class AccountChanged(PasskeyFault):
    """The account was changed between the two steps of a login."""

    code = "account_changed"


class Entered(NamedTuple):
    """The result. `token`: of a new session. `second`: of a login that now needs the passkey. Neither: refused."""

    token: str = ""
    second: str = ""
    no_passkey: bool = False  # the account needs one, and has none


async def by_password(site: Site, name: str, password: str, address: str, there: str, old: str = "") -> Entered:
    """Logs in by password. `there`: the page to go to; `old`: the browser's previous session."""
    accounts.require_room()
    tried = await anyio.to_thread.run_sync(_try, site, name, address)
    right = await accounts.check_password(tried.stored, password)
    return await _enter(site, tried, right, address, "login", there, old)


async def unlock(site: Site, who: SessionUser, password: str, address: str) -> bool:
    """Unlocks the session of `who`."""
    accounts.require_room()
    tried = await anyio.to_thread.run_sync(_try, site, who.name, address)
    right = await accounts.check_password(tried.stored, password)
    return await anyio.to_thread.run_sync(_unlock, site, who, right, address)


async def by_person(
    site: Site, person: int, name: str, address: str, act: str, there: str, old: str = ""
) -> Entered:  # fmt: skip
    """Logs in a person whom `act` names as identified by other means."""
    return await _enter(site, _Attempt(person, name, None), True, address, act, there, old)


async def new_session(site: Site, who: SessionUser, address: str) -> str:
    """Begins another session for a logged-in person who has just typed the password."""

    def now() -> str:
        with writing(site.own) as db:
            site.access.append_in(db, who.name, address, "login", Subject(), DONE)
            return sessions.begin(db, who.person, address, site.settings, site.clock.utc_ns())

    return await anyio.to_thread.run_sync(now)


async def by_passkey(site: Site, waiting: Ceremony, given: Answer, address: str) -> Entered:
    """Finishes a login by the passkey. PasskeyFault has the reason of a refusal."""

    def now() -> str:
        now_ns = site.clock.utc_ns()
        with writing(site.own) as db:
            if not accounts.is_as_of(db, waiting.person, waiting.as_of):
                raise AccountChanged("locked, or changed, since the password was typed")
            passkeys.use(db, site.settings, waiting, given, now_ns)
            return _session(db, site, waiting, address)

    return Entered(token=await anyio.to_thread.run_sync(now))


def _session(db: Connection, site: Site, waiting: Ceremony, address: str) -> str:
    site.access.append_in(db, waiting.name, address, waiting.act, Subject(remark="passkey"), DONE)
    clear_attempts(db, waiting.name, address)
    if waiting.old:
        sessions.end(db, secure.digest(waiting.old))
    return sessions.begin(db, waiting.person, address, site.settings, site.clock.utc_ns())


async def _enter(site: Site, tried: _Attempt, right: bool, address: str, act: str, there: str, old: str) -> Entered:
    begun = await anyio.to_thread.run_sync(_begin, site, tried, right, address, act, there, old)
    return begun if isinstance(begun, Entered) else Entered(second=site.ceremonies.begin(begun))


async def end(site: Site, who: SessionUser, address: str) -> None:
    def now() -> None:
        with writing(site.own) as db:
            sessions.end(db, who.session)
            site.access.append_in(db, who.name, address, "logout", Subject(), DONE)

    await anyio.to_thread.run_sync(now)


def _try(site: Site, name: str, address: str) -> _Attempt:
    with writing(site.own) as db:
        found = accounts.by_name(db, name) if accounts.is_name(name) else None
        known = "" if found is None else name
        attempt = begin_attempt(db, name, address, site.clock.utc_ns())
        if attempt.logs:
            site.access.append_in(db, known, address, "login_too_often", Subject(), REFUSED)
    if not attempt.allowed:
        raise TooMany
    if found is None or found.locked:
        return _Attempt(0, known, None)
    return _Attempt(found.id, found.name, found.password, found.changed_at)


def _begin(
    site: Site, tried: _Attempt, right: bool, address: str, act: str, there: str, old: str
) -> Entered | Ceremony:  # fmt: skip
    now_ns = site.clock.utc_ns()
    with writing(site.own) as db:
        if tried.as_of:  # the account may have changed while the password waited
            right = right and accounts.is_as_of(db, tried.person, tried.as_of)
        if right and passkeys.has_any(db, tried.person):
            site.access.append_in(db, tried.name, address, "login_first", Subject(), DONE)
            as_of = db.execute(select(people.c.changed_at).where(people.c.id == tried.person)).scalar_one()
            return Ceremony(tried.person, tried.name, act, now_ns, as_of, there, old)
        roles = db.execute(select(people.c.roles).where(people.c.id == tried.person)).scalar() or ""
        missing = right and passkeys.required(site.settings, roles)
        outcome = REFUSED if missing or not right else DONE
        site.access.append_in(db, tried.name, address, act, Subject(remark="no_passkey" if missing else ""), outcome)
        if outcome == REFUSED:
            return Entered(no_passkey=missing)
        if tried.stored is not None:
            clear_attempts(db, tried.name, address)
        if old:
            sessions.end(db, secure.digest(old))
        return Entered(token=sessions.begin(db, tried.person, address, site.settings, now_ns))


def _unlock(site: Site, who: SessionUser, right: bool, address: str) -> bool:
    with writing(site.own) as db:
        site.access.append_in(db, who.name, address, "unlock", Subject(), DONE if right else REFUSED)
        if right:
            clear_attempts(db, who.name, address)
            sessions.unlock(db, who.session, site.clock.utc_ns())
    return right


def has_password(site: Site, who: SessionUser) -> bool:
    with site.own.connect() as db:
        return db.execute(select(people.c.password).where(people.c.id == who.person)).scalar() is not None
