# SPDX-License-Identifier: Apache-2.0
"""One-time codes: for the first password and passkey of a new account, and for a person who has lost theirs.

The code of a new account is made on the server's terminal. The replacement of a lost factor needs two people who log in
by passkey: each is shown one half of the code, once, and only both halves together are valid. The database has their
hashes.
"""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from linetap_core.clock import NS_PER_S, S_PER_DAY, rfc3339
from linetap_core.errors import BadInput, ShownRefusal
from linetap_desk.serve.database.accesslog import DONE, AccessTable, Subject
from linetap_desk.serve.database.tables import invitations, people
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.people import accounts, passkeys
from linetap_desk.web import secure

WITHIN_S = S_PER_DAY
HALF = 10  # characters: 50 bits, and ten attempts in a quarter of an hour
_SIGNS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without 0, 1, I and O


class RestoreFault(ShownRefusal):
    """A person may not restore this factor; `code` is the reason."""


def invite(table: AccessTable, by: str, name: str) -> str:
    """A code for an account without a passkey; an earlier code ends. BadInput if two people are required."""
    code = _new() + _new()
    with writing(table.engine) as db:
        person = accounts.require(db, name)
        if passkeys.has_any(db, person.id):
            raise BadInput(f"{name}: has a passkey; two people restore a lost one on the page /restore")
        _replace(db, person.id, secure.digest(code), by, "", table.clock.utc_ns())
        table.append_in(db, by, "", "people_invite", Subject(terms=name), DONE)
    return code


def ask(db: Connection, name: str, by: str, by_person: int, reason: str, now_ns: int) -> str:
    """The first half, for the requesting person. RestoreFault if that person may not."""
    person = _of(db, name, by, by_person)
    half = _new()
    _replace(db, person.id, secure.digest(half), by, reason, now_ns)
    return half


def confirm(db: Connection, name: str, by: str, by_person: int, now_ns: int) -> str:
    """The second half, for another person."""
    person = _of(db, name, by, by_person)
    found = db.execute(select(invitations).where(_open(person.id, now_ns))).one_or_none()
    if found is None or found.confirmed_by is not None or not found.reason:
        raise RestoreFault("restore_not_asked", f"{name}: not requested, or already confirmed")
    if found.asked_by == by:
        raise RestoreFault("restore_second", f"{name}: another person than {by} confirms it")
    half = _new()
    # PostgreSQL shows each statement what others have committed: the request that was read may be another one by now,
    # of this very person, who would have both halves.
    same = (invitations.c.first_sha256 == found.first_sha256) & invitations.c.confirmed_by.is_(None)
    mine = update(invitations).where(_open(person.id, now_ns), same)
    if db.execute(mine.values(second_sha256=secure.digest(half), confirmed_by=by)).rowcount != 1:
        raise RestoreFault("restore_not_asked", f"{name}: it was requested again, or confirmed, in the meantime")
    return half


def pending_restorations(db: Connection, now_ns: int) -> list[Row[Any]]:
    """Restorations begun or finished by two people, and not used yet."""
    wanted = (
        select(people.c.name, people.c.shown, invitations)
        .join(people, people.c.id == invitations.c.person)
        .where(invitations.c.reason != "", invitations.c.ends_at > rfc3339(now_ns))
        .order_by(invitations.c.asked_at)
    )
    return list(db.execute(wanted.limit(100)).all())


def matching_invitation(db: Connection, person: int, code: str, now_ns: int) -> str:
    """The invitation with this code, by its first hash; empty if none has it."""
    code = "".join(sign for sign in code.upper() if sign not in " -")
    found = db.execute(select(invitations).where(_open(person, now_ns))).one_or_none()
    if found is None:
        return ""
    first, second = code[:HALF], code[HALF:]
    if found.reason:  # two halves, and so two people
        good = found.second_sha256 is not None and secure.digest(second) == found.second_sha256
        return found.first_sha256 if good and secure.digest(first) == found.first_sha256 else ""
    return found.first_sha256 if secure.digest(code) == found.first_sha256 else ""


def use_up(db: Connection, person: int, invitation: str, now_ns: int) -> Row[Any] | None:
    """Uses up the invitation and returns it; None if it was used or replaced meanwhile."""
    mine = _open(person, now_ns) & (invitations.c.first_sha256 == invitation)
    found = db.execute(select(invitations).where(mine)).one_or_none()
    if found is None or db.execute(delete(invitations).where(mine)).rowcount != 1:
        return None
    return found


def _of(db: Connection, name: str, by: str, by_person: int) -> Row[Any]:
    person = accounts.by_name(db, name) if accounts.is_name(name) else None
    if person is None or person.locked:
        raise RestoreFault("restore_nobody", "there is no such account, or it is locked")
    if person.name == by:
        raise RestoreFault("restore_own", "nobody restores their own")
    if not passkeys.has_any(db, by_person):
        raise RestoreFault("restore_no_passkey", f"{by}: only who logs in by passkey restores another's")
    return person


def _replace(db: Connection, person: int, first: str, by: str, reason: str, now_ns: int) -> None:
    db.execute(delete(invitations).where(invitations.c.person == person))
    db.execute(
        insert(invitations).values(
            person=person, first_sha256=first, asked_by=by, reason=reason, asked_at=rfc3339(now_ns),
            ends_at=rfc3339(now_ns + WITHIN_S * NS_PER_S),
        )
    )  # fmt: skip


def _open(person: int, now_ns: int) -> Any:
    return (invitations.c.person == person) & (invitations.c.ends_at > rfc3339(now_ns))


def _new() -> str:
    return "".join(secrets.choice(_SIGNS) for _ in range(HALF))
