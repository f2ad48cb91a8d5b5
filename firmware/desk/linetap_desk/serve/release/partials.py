# SPDX-License-Identifier: Apache-2.0
"""Files that a member of a group hands on to the next: stored, and overwritten as soon as they are not needed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    case,
    delete,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)

from linetap_core.clock import rfc3339
from linetap_core.evidence.ofcall import OfCall
from linetap_desk.serve.release.chain import CUSTODIAN, OFFICER, Chain, Kind, Partial
from linetap_desk.serve.release.layers import custodians_left, judged
from linetap_desk.serve.release.stepfault import StepFault
from linetap_desk.serve.tables import holds, partials, requests
from linetap_desk.serve.transactions import overwrite, writing

_COLUMNS: list[ColumnElement[Any]] = [
    case((column.is_(None), null()), else_=literal(True)).label(column.name)
    if isinstance(column.type, LargeBinary)
    else column
    for column in partials.c
]


def chains(db: Connection, ids: Sequence[str]) -> dict[str, Chain]:
    """Of each request or hold; without what was brought, only whether it is there."""
    found: dict[str, list[Partial]] = {about: [] for about in ids}
    rows = db.execute(select(*_COLUMNS).where(partials.c.about.in_(found)).order_by(partials.c.at)).mappings()
    for row in rows:
        found[row["about"]].append(Partial.of(dict(row)))
    return {about: Chain(of) for about, of in found.items()}


def data_of(db: Connection, about: str, one: Partial) -> bytes:
    """Empty where it was emptied."""
    return bytes(db.execute(select(partials.c.data).where(*_mine(about, one))).scalar() or b"")


def bring(db: Connection, about: str, data: bytes, keys: Sequence[bytes], name: str, at: str) -> Partial:
    """An officer's partial. `keys`: those it may belong to. StepFault or OtherLayer if it belongs to none."""
    key, place = judged(data, keys)
    sha256 = hashlib.sha256(key).hexdigest()
    chain = chains(db, [about])[about]
    if name in chain.people(sha256, place.taken[:-1]):
        raise StepFault("one_person_two_steps", f"{about}: {name} has taken a layer off before in this chain")
    made = Partial(OFFICER, sha256, place.taken, place.left, name, at, True)
    if any((one.key_sha256, one.taken, one.here) == (sha256, place.taken, True) for one in chain.officers):
        raise StepFault("partial_there", f"{about}: the layer of member {made.numbers} was brought already")
    put(db, about, made, data)
    return made


def hand_on(db: Connection, about: str, data: bytes, call: OfCall, named: bool, name: str, at: str) -> Partial:
    """A custodian's partial. A second one of the same person replaces the first; one that lacks as many
    members or more begins another chain."""
    left = custodians_left(data, call, named)
    chain = chains(db, [about])[about]
    before = chain.handed
    if before is not None and (before.by == name or left >= before.left):
        for one in chain.custodians:
            if one.by == name or left >= one.left:
                db.execute(delete(partials).where(*_mine(about, one)))
        chain = chains(db, [about])[about]
    number = max((one.taken[0] for one in chain.custodians), default=0) + 1
    made = Partial(CUSTODIAN, "", (number,), left, name, at, True)
    put(db, about, made, data)
    return made


def empty(db: Connection, about: str, kind: Kind | None = None) -> None:
    """Overwrites partials that are not needed any more. Who took part is kept."""
    mine = partials.c.about == about if kind is None else (partials.c.about == about) & (partials.c.kind == kind)
    db.execute(update(partials).where(mine).values(data=None))


def empty_over(engine: Engine, now_ns: int) -> None:
    """Those of requests that have expired and of holds whose time is over."""
    now = rfc3339(now_ns)
    over = or_(
        partials.c.about.in_(select(requests.c.id).where(requests.c.expires_at <= now)),
        partials.c.about.in_(select(holds.c.id).where(holds.c.until <= now)),
    )
    with writing(engine) as db:
        gone = db.execute(update(partials).where(over, partials.c.data.is_not(None)).values(data=None)).rowcount
    if gone:
        overwrite(engine)


def put(db: Connection, about: str, made: Partial, data: bytes) -> None:
    db.execute(delete(partials).where(*_mine(about, made)))
    values: Mapping[str, Any] = {
        "about": about, "kind": made.kind, "key_sha256": made.key_sha256, "taken": made.numbers, "left": made.left,
        "data": data, "by": made.by, "at": made.at,
    }  # fmt: skip
    db.execute(insert(partials).values(**values))


def _mine(about: str, one: Partial) -> tuple[ColumnElement[bool], ...]:
    return (
        partials.c.about == about,
        partials.c.kind == one.kind,
        partials.c.key_sha256 == one.key_sha256,
        partials.c.taken == one.numbers,
    )
