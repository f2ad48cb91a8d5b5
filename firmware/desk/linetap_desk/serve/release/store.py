# SPDX-License-Identifier: Apache-2.0
"""Requests in serve's own database. A change and its row of the access log stand together or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection, Table, desc, func, insert, select, update
from starlette.exceptions import HTTPException
from starlette.requests import Request

from linetap_core.errors import BadInput, Refusal
from linetap_desk.serve.access.log import DONE, REFUSED, Subject
from linetap_desk.serve.people.sessions import who_of
from linetap_desk.serve.release import partials
from linetap_desk.serve.release.steps import Found
from linetap_desk.serve.site import Site
from linetap_desk.serve.tables import approvals, people, requests
from linetap_desk.serve.transactions import one_at_a_time, overwrite, writing

_LOCK = 0x6C7472656C
ID = re.compile(r"H?20\d\d-\d{4,6}", re.ASCII)


async def deed(
    request: Request, site: Site, act: str, subject: Subject, do: Callable[[Connection], Subject | None],
    *, forgets: bool = False,
) -> None:  # fmt: skip
    """`do` with its row in the access log. A refusal is a row too, and is raised. What `do` gives replaces the subject
    where that was not known before: an id that was just made. `forgets`: what it deletes leaves no trace in a file."""
    who, address = who_of(request), request.state.address

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
        await refused(request, site, act, subject, error)
        raise


async def refused(request: Request, site: Site, act: str, subject: Subject, error: Exception) -> None:
    said = replace(subject, remark=code_of(error))
    await site.access.write(who_of(request).name, request.state.address, act, said, REFUSED)


def code_of(error: Exception) -> str:
    return str(getattr(error, "code", "bad_input"))


def new_id(db: Connection, site: Site, table: Table, prefix: str = "") -> str:
    """The next of this year, in the desk's zone."""
    head = f"{prefix}{site.pages.local(site.clock.utc_ns()):%Y}-"
    newest = db.execute(
        select(table.c.id).where(table.c.id.startswith(head)).order_by(desc(func.length(table.c.id)), desc(table.c.id))
    ).scalar()
    number = int(str(newest).removeprefix(head)) + 1 if newest is not None else 1
    return f"{head}{number:04d}"


def read(db: Connection, request_id: str) -> Found | None:
    row = db.execute(select(requests).where(requests.c.id == request_id)).mappings().first()
    if row is None:
        return None
    signed = select(approvals).where(approvals.c.request == request_id).order_by(approvals.c.at, approvals.c.role)
    chain = partials.chains(db, [request_id])[request_id]
    return Found(dict(row), [dict(one) for one in db.execute(signed).mappings()], chain)


def require(db: Connection, request_id: str) -> Found:
    found = read(db, request_id) if ID.fullmatch(request_id) else None
    if found is None:
        raise HTTPException(404)
    return found


def add(db: Connection, values: Mapping[str, Any]) -> None:
    db.execute(insert(requests).values(**values))


def change(db: Connection, request_id: str, **values: Any) -> None:
    db.execute(update(requests).where(requests.c.id == request_id).values(**values))


def approve(db: Connection, request_id: str, **values: Any) -> None:
    db.execute(insert(approvals).values(request=request_id, **values))


def shown(db: Connection, name: str) -> str:
    """What an account is called on pages."""
    return str(db.execute(select(people.c.shown).where(people.c.name == name)).scalar() or name)


def subject(row: Mapping[str, Any], remark: str = "") -> Subject:
    """Of a request or a hold."""
    return Subject(
        calls=(row["call_id"],), request=row["id"], purpose=row.get("purpose", ""), case=row["case_number"],
        remark=remark,
    )  # fmt: skip
