# SPDX-License-Identifier: Apache-2.0
"""Accounts and their passwords, created and changed on the server's terminal. Each change and its row in the access log
are one transaction; a change of roles, lock or password ends the account's sessions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache, partial
from typing import Any

import anyio
import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHash, VerificationError
from argon2.low_level import Type
from sqlalchemy import Connection, Row, delete, insert, select, update

from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.signing import document
from linetap_desk.serve.database.accesslog import DONE, AccessTable, Subject
from linetap_desk.serve.database.tables import passkeys, people, sessions
from linetap_desk.serve.database.transactions import writing
from linetap_desk.web.roles import ALONE, APART, ROLES, SUPERVISOR

LEAST_CHARACTERS, MOST_CHARACTERS = 12, 200  # characters
_HASHER = PasswordHasher(time_cost=5, memory_cost=19_456, parallelism=1, type=Type.ID)
AT_ONCE = 1  # 19 MiB and one processor: further logins wait, which bounds both
MOST_WAITING = 32  # more are refused at once; some seconds of waiting


class TooManyWaiting(Exception):
    """Too many logins wait for their turn."""


def hashed(password: str) -> str:
    """The hash of the password. BadInput if it is too short or too long."""
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise BadInput(f"the password has {len(password)} characters; {LEAST_CHARACTERS} to {MOST_CHARACTERS} expected")
    return _HASHER.hash(password)


def password_fits(stored: str | None, password: str) -> bool:
    """Whether the password is right. Takes the same time without an account, so as not to reveal which accounts
    exist."""
    try:
        same = _HASHER.verify(stored or _placeholder(), password[: MOST_CHARACTERS + 1])
    except (VerificationError, InvalidHash):
        return False
    return same and stored is not None


async def check_password(stored: str | None, password: str) -> bool:
    """Whether the password is right. TooManyWaiting: it was not checked."""
    return await run_hashing(partial(password_fits, stored, password))


async def hash_password(password: str) -> str:
    """The hash of the password. TooManyWaiting: it was not hashed."""
    return await run_hashing(partial(hashed, password))


async def run_hashing[T](do: Callable[[], T]) -> T:
    """Runs a function that hashes a password, one at a time. TooManyWaiting: it was not started."""
    require_room()
    _taken.append(None)
    try:
        return await anyio.to_thread.run_sync(do, limiter=_turns())
    finally:
        _taken.pop()


def require_room() -> None:
    """Raises TooManyWaiting, before a login that could not be checked is logged."""
    if len(_taken) >= AT_ONCE + MOST_WAITING:
        raise TooManyWaiting


# One entry for each running or waiting check: the limiter's own count is updated later.
_taken: list[None] = []


@cache
def _turns() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(AT_ONCE)


@cache
def _placeholder() -> str:
    return _HASHER.hash("nobody has this password")


_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SHOWN_LIMIT = 100
_SHOWN = 20  # departments, in an error
MOST_DEPARTMENTS, _DEPARTMENT_LIMIT = 50, 120


def checked_roles(roles: Iterable[str]) -> str:
    """The roles as the table stores them. BadInput for an unknown role or a forbidden combination."""
    found = frozenset(roles)
    if strange := found - set(ROLES):
        raise BadInput(f"role {', '.join(sorted(strange))}: {', '.join(ROLES)} expected")
    if ALONE in found and len(found) > 1:
        raise BadInput(f"roles {', '.join(sorted(found))}: an auditor has no other role: no one reviews themselves")
    for apart in APART:
        if len(together := sorted(found & apart)) > 1:
            raise BadInput(f"roles {', '.join(together)}: these are for different people")
    return ",".join(sorted(found))


def add_account(
    table: AccessTable, by: str, name: str, shown: str, roles: Iterable[str], password: str | None, subject: str | None,
    *, invited: bool = False,
) -> None:  # fmt: skip
    """Adds an account. BadInput if the name is invalid or taken. Login by `password`, by `subject` at the OIDC
    provider, or both. `invited`: the person chooses a password by a one-time link."""
    if not is_name(name):
        raise BadInput(f"name {name!r}: small letters, digits, . _ and -, 63 at most expected")
    document.require_name(shown, "--shown", _SHOWN_LIMIT)
    if password is None and subject is None and not invited:
        raise BadInput("neither a password nor a subject: no login would be possible with this account")
    granted, stored = checked_roles(roles), None if password is None else hashed(password)
    now = rfc3339(table.clock.utc_ns())
    with writing(table.engine) as db:
        if db.execute(select(people.c.id).where(people.c.name == name)).scalar() is not None:
            raise BadInput(f"{name}: there is such an account already")
        if subject is not None and db.execute(select(people.c.id).where(people.c.subject == subject)).first():
            raise BadInput(f"subject {subject}: it is another account's")
        db.execute(
            insert(people).values(
                name=name, shown=shown, roles=granted, password=stored, subject=subject, locked=False,
                made_at=now, changed_at=now,
            )
        )  # fmt: skip
        _log(table, db, by, "people_add", f"{name}: {granted or 'no role'}")


def set_roles(table: AccessTable, by: str, name: str, roles: Iterable[str]) -> None:
    """Replaces the account's roles."""
    granted = checked_roles(roles)
    with writing(table.engine) as db:
        before = require(db, name).roles
        _change(db, table, name, roles=granted)
        _log(table, db, by, "people_roles", f"{name}: {before or 'no role'} -> {granted or 'no role'}")


def set_departments(table: AccessTable, by: str, name: str, departments: Sequence[str], known: Sequence[str]) -> None:
    """Replaces the departments of a supervisor; none: all. `known`: the departments of the table of lines and the
    register; if it is not empty, another name is an error."""
    if len(departments) > MOST_DEPARTMENTS:
        raise BadInput(f"{len(departments)} departments; {MOST_DEPARTMENTS} at most expected, or none: all")
    for one in departments:
        if not one or len(one) > _DEPARTMENT_LIMIT or not one.isprintable():
            raise BadInput(f"department {one[:20]!r}: 1 to {_DEPARTMENT_LIMIT} printable characters expected")
        if known and one not in known:
            raise BadInput(f"department {one!r}: not in the table of lines; {', '.join(known[:_SHOWN])} expected")
    with writing(table.engine) as db:
        person = require(db, name)
        if SUPERVISOR not in person.roles.split(","):
            raise BadInput(f"{name}: is no {SUPERVISOR}; departments are a supervisor's")
        _change(db, table, name, departments="\n".join(sorted(set(departments))))
        _log(table, db, by, "people_departments", f"{name}: {', '.join(sorted(set(departments))) or 'all'}")


def departments_in(stored: str) -> frozenset[str]:
    """The departments of an account's row; empty: all."""
    return frozenset(filter(None, stored.split("\n")))


def lock_account(table: AccessTable, by: str, name: str, locked: bool) -> None:
    with writing(table.engine) as db:
        require(db, name)
        _change(db, table, name, locked=locked)
        _log(table, db, by, "people_lock" if locked else "people_unlock", name)


def set_password(table: AccessTable, by: str, name: str, password: str) -> None:
    stored = hashed(password)
    with writing(table.engine) as db:
        require(db, name)
        _change(db, table, name, password=stored)
        _log(table, db, by, "people_password", name)


def list_accounts(table: AccessTable) -> Sequence[Row[Any]]:
    with table.engine.connect() as db:
        return db.execute(select(people).order_by(people.c.name)).all()


def with_passkey(table: AccessTable) -> set[str]:
    """The names of accounts with a passkey."""
    with table.engine.connect() as db:
        return set(db.execute(select(people.c.name).join(passkeys, passkeys.c.person == people.c.id)).scalars())


def is_name(text: str) -> bool:
    """Whether it is a valid account name."""
    return _NAME.fullmatch(text) is not None


def by_name(db: Connection, name: str) -> Row[Any] | None:
    return db.execute(select(people).where(people.c.name == name)).one_or_none()


def has_role(db: Connection, name: str, roles: Collection[str]) -> bool:
    """Whether the account is open and has one of these roles now; for permissions that outlive a session, such as
    tickets."""
    found = by_name(db, name)
    return found is not None and not found.locked and not set(roles).isdisjoint(found.roles.split(","))


def is_as_of(db: Connection, person: int, changed_at: str) -> bool:
    """Whether the account is open, and unchanged since then."""
    mine = (people.c.id == person) & people.c.locked.is_(False)
    return db.execute(select(people.c.changed_at).where(mine)).scalar() == changed_at


def require(db: Connection, name: str) -> Row[Any]:
    """The account; BadInput if there is none."""
    found = by_name(db, name)
    if found is None:
        raise BadInput(f"{name}: there is no such account; `linetap desk people list` lists them")
    return found


def _change(db: Connection, table: AccessTable, name: str, **values: Any) -> None:
    db.execute(update(people).where(people.c.name == name).values(changed_at=rfc3339(table.clock.utc_ns()), **values))
    mine = select(people.c.id).where(people.c.name == name).scalar_subquery()
    db.execute(delete(sessions).where(sessions.c.person == mine))


def _log(table: AccessTable, db: Connection, by: str, act: str, terms: str) -> None:
    table.append_in(db, by, "", act, Subject(terms=terms), DONE)
