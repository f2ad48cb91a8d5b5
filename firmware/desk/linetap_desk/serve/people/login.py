# SPDX-License-Identifier: Apache-2.0
"""From name and password to a session, and from a locked session back to an open one. Each stands in the access log."""

from __future__ import annotations

from dataclasses import dataclass

import anyio.to_thread
from sqlalchemy import select

from linetap_desk.serve.access.log import DONE, REFUSED
from linetap_desk.serve.access.subject import Subject
from linetap_desk.serve.people import accounts, attempts, passwords, sessions
from linetap_desk.serve.people.who import Who
from linetap_desk.serve.site import Site
from linetap_desk.serve.tables import people
from linetap_desk.serve.transactions import writing


class TooMany(Exception):
    """Attempts, for this account or from this address."""


@dataclass(frozen=True, slots=True)
class _Tried:
    person: int
    name: str  # empty: there is no such account
    stored: str | None


async def by_password(site: Site, name: str, password: str, address: str, old: str = "") -> str | None:
    """The token of a new session, None where name and password do not fit. `old`: the browser's session before."""
    tried = await anyio.to_thread.run_sync(_try, site, name, address)
    right = await passwords.fits_in_turn(tried.stored, password)
    return await anyio.to_thread.run_sync(_begin, site, tried, right, address, "login", old)


async def unlock(site: Site, who: Who, password: str, address: str) -> bool:
    """The session goes on as it was, for the one who has it."""
    tried = await anyio.to_thread.run_sync(_try, site, who.name, address)
    right = await passwords.fits_in_turn(tried.stored, password)
    return await anyio.to_thread.run_sync(_unlock, site, who, right, address)


async def by_person(site: Site, person: int, name: str, address: str, act: str, old: str = "") -> str | None:
    """Of somebody who was identified otherwise; `act` says how."""
    return await anyio.to_thread.run_sync(_begin, site, _Tried(person, name, None), True, address, act, old)


async def end(site: Site, who: Who, address: str) -> None:
    def now() -> None:
        with writing(site.own) as db:
            sessions.end(db, who.session)
            site.access.append_in(db, who.name, address, "logout", Subject(), DONE)

    await anyio.to_thread.run_sync(now)


def _try(site: Site, name: str, address: str) -> _Tried:
    with writing(site.own) as db:
        found = accounts.by_name(db, name) if accounts.is_name(name) else None
        known = "" if found is None else name
        attempt = attempts.begin(db, name, address, site.clock.utc_ns())
        if attempt.tell:
            site.access.append_in(db, known, address, "login_too_often", Subject(), REFUSED)
    if not attempt.allowed:
        raise TooMany
    if found is None or found.locked:
        return _Tried(0, known, None)
    return _Tried(found.id, found.name, found.password)


def _begin(site: Site, tried: _Tried, right: bool, address: str, act: str, old: str) -> str | None:
    with writing(site.own) as db:
        site.access.append_in(db, tried.name, address, act, Subject(), DONE if right else REFUSED)
        if not right:
            return None
        if tried.stored is not None:
            attempts.forgive(db, tried.name, address)
        if old:
            sessions.end(db, sessions.digest(old))
        return sessions.begin(db, tried.person, address, site.settings, site.clock.utc_ns())


def _unlock(site: Site, who: Who, right: bool, address: str) -> bool:
    with writing(site.own) as db:
        site.access.append_in(db, who.name, address, "unlock", Subject(), DONE if right else REFUSED)
        if right:
            attempts.forgive(db, who.name, address)
            sessions.unlock(db, who.session, site.clock.utc_ns())
    return right


def has_password(site: Site, who: Who) -> bool:
    with site.own.connect() as db:
        return db.execute(select(people.c.password).where(people.c.id == who.person)).scalar() is not None
