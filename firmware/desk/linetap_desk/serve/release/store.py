# SPDX-License-Identifier: Apache-2.0
"""Requests, partials and tickets in serve's own database. A change and its row of the access log are one transaction.

A partial is a file that one member of a group passes on to the next; it is overwritten as soon as it is not needed. A
ticket opens the package of one request once, within ten minutes, and only its hash is stored.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio.to_thread
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    Table,
    case,
    delete,
    desc,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from starlette.exceptions import HTTPException
from starlette.requests import Request

from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.release import NamedCall
from linetap_core.evidence.authorization.release import Request as Asked
from linetap_core.evidence.calls.callkey import OfCall
from linetap_desk.serve.database.accesslog import DONE, REFUSED, Subject
from linetap_desk.serve.database.tables import approvals, holds, partials, people, requests, tickets
from linetap_desk.serve.database.transactions import one_at_a_time, overwrite, writing
from linetap_desk.serve.handling.site import Site
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.release.steps import CUSTODIAN, OFFICER, Chain, Kind, Partial, RequestState, StepFault
from linetap_desk.serve.release.uploadchecks import custodians_left, judged_partial
from linetap_desk.web import secure


def columns_without_files(table: Table) -> list[ColumnElement[Any]]:
    """All columns; in place of a file, True if it exists, otherwise null."""
    return [
        case((column.is_(None), null()), else_=literal(True)).label(column.name)
        if isinstance(column.type, LargeBinary)
        else column
        for column in table.c
    ]


def chains(db: Connection, ids: Sequence[str]) -> dict[str, Chain]:
    """The partials of each request or hold, without their data: only whether it exists."""
    found: dict[str, list[Partial]] = {about: [] for about in ids}
    rows = db.execute(
        select(*columns_without_files(partials)).where(partials.c.about.in_(found)).order_by(partials.c.at)
    ).mappings()
    for row in rows:
        found[row["about"]].append(Partial.of(dict(row)))
    return {about: Chain(of) for about, of in found.items()}


def partial_data(db: Connection, about: str, one: Partial) -> bytes:
    """The partial itself; empty once overwritten."""
    return bytes(db.execute(select(partials.c.data).where(*_this_partial(about, one))).scalar() or b"")


def add_officer_partial(db: Connection, about: str, data: bytes, keys: Sequence[bytes], name: str, at: str) -> Partial:
    """Stores an officer's partial. `keys`: those it may belong to. StepFault or OtherLayer if it belongs to none of
    them."""
    key, place = judged_partial(data, keys)
    sha256 = hashlib.sha256(key).hexdigest()
    chain = chains(db, [about])[about]
    if name in chain.people(sha256, place.taken[:-1]):
        raise StepFault("one_person_two_steps", f"{about}: {name} has taken a layer off before in this chain")
    made = Partial(OFFICER, sha256, place.taken, place.left, name, at, True)
    if any((one.key_sha256, one.taken, one.here) == (sha256, place.taken, True) for one in chain.officers):
        raise StepFault("partial_there", f"{about}: the partial of member {made.numbers} was uploaded already")
    _put_partial(db, about, made, data)
    return made


def add_custodian_partial(
    db: Connection, about: str, data: bytes, call: OfCall, named: bool, name: str, at: str
) -> Partial:
    """Stores a custodian's partial. A second one by the same person replaces the first; one that needs as many members
    or more begins another chain."""
    left = custodians_left(data, call, named)
    chain = chains(db, [about])[about]
    before = chain.handed
    if before is not None and (before.by == name or left >= before.left):
        for one in chain.custodians:
            if one.by == name or left >= one.left:
                db.execute(delete(partials).where(*_this_partial(about, one)))
        chain = chains(db, [about])[about]
    number = max((one.taken[0] for one in chain.custodians), default=0) + 1
    made = Partial(CUSTODIAN, "", (number,), left, name, at, True)
    _put_partial(db, about, made, data)
    return made


def empty_partials(db: Connection, about: str, kind: Kind | None = None) -> None:
    """Overwrites partials that are no longer needed. The members' names are kept."""
    mine = partials.c.about == about if kind is None else (partials.c.about == about) & (partials.c.kind == kind)
    db.execute(update(partials).where(mine).values(data=None))


def empty_expired_partials(engine: Engine, now_ns: int) -> None:
    """Overwrites the partials of expired requests and ended holds."""
    now = rfc3339(now_ns)
    over = or_(
        partials.c.about.in_(select(requests.c.id).where(requests.c.expires_at <= now)),
        partials.c.about.in_(select(holds.c.id).where(holds.c.until <= now)),
    )
    with writing(engine) as db:
        gone = db.execute(update(partials).where(over, partials.c.data.is_not(None)).values(data=None)).rowcount
    if gone:
        overwrite(engine)


def _put_partial(db: Connection, about: str, made: Partial, data: bytes) -> None:
    db.execute(delete(partials).where(*_this_partial(about, made)))
    values: Mapping[str, Any] = {
        "about": about, "kind": made.kind, "key_sha256": made.key_sha256, "taken": made.numbers, "left": made.left,
        "data": data, "by": made.by, "at": made.at,
    }  # fmt: skip
    db.execute(insert(partials).values(**values))


def _this_partial(about: str, one: Partial) -> tuple[ColumnElement[bool], ...]:
    return (
        partials.c.about == about,
        partials.c.kind == one.kind,
        partials.c.key_sha256 == one.key_sha256,
        partials.c.taken == one.numbers,
    )


_LOCK = 0x6C7472656C
ID = re.compile(r"H?20\d\d-\d{4,6}", re.ASCII)


async def run_logged(
    request: Request, site: Site, act: str, subject: Subject, do: Callable[[Connection], Subject | None],
    *, forgets: bool = False,
) -> None:  # fmt: skip
    """Runs `do` and appends its row of the access log. A refusal is logged too, and raised. A subject returned by `do`
    replaces `subject`, for example for a new id. `forgets`: overwrites deleted data in the file."""
    who, address = session_user(request), request.state.address

    def within() -> None:
        with writing(site.own) as db:
            one_at_a_time(db, _LOCK)
            known = do(db)
            site.access.append_in(db, who.name, address, act, known or subject, DONE)
        if forgets:
            overwrite(site.own)

    try:
        await anyio.to_thread.run_sync(within)
    except (Refusal, BadInput) as error:
        await log_refusal(request, site, act, subject, error)
        raise


async def log_refusal(request: Request, site: Site, act: str, subject: Subject, error: Exception) -> None:
    subject = replace(subject, remark=code_of(error))
    await site.access.write(session_user(request).name, request.state.address, act, subject, REFUSED)


def code_of(error: Exception) -> str:
    return str(getattr(error, "code", "bad_input"))


def new_id(db: Connection, site: Site, table: Table, prefix: str = "") -> str:
    """The next id of this year, in the desk's zone."""
    head = f"{prefix}{site.pages.local(site.clock.utc_ns()):%Y}-"
    newest = db.execute(
        select(table.c.id).where(table.c.id.startswith(head)).order_by(desc(func.length(table.c.id)), desc(table.c.id))
    ).scalar()
    number = int(str(newest).removeprefix(head)) + 1 if newest is not None else 1
    return f"{head}{number:04d}"


def read_request(db: Connection, request_id: str) -> RequestState | None:
    row = db.execute(select(requests).where(requests.c.id == request_id)).mappings().first()
    if row is None:
        return None
    signed = select(approvals).where(approvals.c.request == request_id).order_by(approvals.c.at, approvals.c.role)
    chain = chains(db, [request_id])[request_id]
    return RequestState(dict(row), [dict(one) for one in db.execute(signed).mappings()], chain)


def require_request(db: Connection, request_id: str) -> RequestState:
    found = read_request(db, request_id) if ID.fullmatch(request_id) else None
    if found is None:
        raise HTTPException(404)
    return found


def add_request(db: Connection, site: Site, unit: str, call: NamedCall, asked: Asked, by: str) -> Subject:
    """Stores a new request under the next id; the returned subject has the id."""
    values = {
        "id": new_id(db, site, requests), "unit": unit, "call_id": call.call_id, "line": call.line,
        "record_sha256": call.record_sha256, "purpose": asked.purpose, "case_number": asked.case,
        "requester": asked.requester, "recipient": asked.recipient, "asked_by": by,
        "asked_at": asked.created, "expires_at": asked.expires, "party": asked.party or None,
    }  # fmt: skip
    db.execute(insert(requests).values(**values))
    return subject(values)


def update_request(db: Connection, request_id: str, **values: Any) -> None:
    db.execute(update(requests).where(requests.c.id == request_id).values(**values))


def add_approval(db: Connection, request_id: str, **values: Any) -> None:
    db.execute(insert(approvals).values(request=request_id, **values))


def display_name(db: Connection, name: str) -> str:
    """The account's display name."""
    return str(db.execute(select(people.c.shown).where(people.c.name == name)).scalar() or name)


def subject(row: Mapping[str, Any], remark: str = "") -> Subject:
    """The subject of a log row, from the row of a request or a hold."""
    return Subject(
        calls=(row["call_id"],), request=row["id"], purpose=row.get("purpose", ""), case=row["case_number"],
        remark=remark,
    )  # fmt: skip


TICKET_S = 600


def make_ticket(db: Connection, request_id: str, by: str, now_ns: int) -> str:
    """A new ticket; an earlier one of the same request becomes invalid."""
    ticket = secrets.token_urlsafe(32)
    db.execute(delete(tickets).where(tickets.c.request == request_id))
    ends_at = rfc3339(now_ns + TICKET_S * NS_PER_S)
    db.execute(insert(tickets).values(request=request_id, sha256=secure.digest(ticket), by=by, ends_at=ends_at))
    return ticket


def use_ticket(db: Connection, ticket: str, now_ns: int) -> tuple[str, str] | None:
    """Uses up the ticket; returns the request, and the person who made the ticket. None if it is unknown or expired."""
    found = db.execute(select(tickets).where(tickets.c.sha256 == secure.digest(ticket))).one_or_none()
    if found is None:
        return None
    if db.execute(delete(tickets).where(tickets.c.sha256 == found.sha256)).rowcount != 1:
        return None  # in PostgreSQL another transaction may have used it meanwhile
    return (found.request, found.by) if now_ns < parse_rfc3339(found.ends_at) else None
