# SPDX-License-Identifier: Apache-2.0
"""The access log: a row for every view, search, play and export, committed before it is answered."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection, Engine, delete, insert, select

from linetap_core.clock import Clock, rfc3339
from linetap_core.evidence.keys import PublicKey, SigningKey
from linetap_desk.serve.access import chain
from linetap_desk.serve.access.chain import ChainFault, Head
from linetap_desk.serve.access.masking import call_without_numbers, case_without_numbers, without_numbers
from linetap_desk.serve.access.subject import Subject
from linetap_desk.serve.tables import access, access_anchor, access_head
from linetap_desk.serve.transactions import one_at_a_time, writing

SHOWN, REFUSED, DONE = "shown", "refused", "done"
_TEXT_LIMIT, _CALLS_LIMIT = 300, 8000  # characters: nobody keeps a row out by a long word
_LOCK = 0x6C74616363  # PostgreSQL: the number of the lock that whoever appends holds
_ONLY = 1


class AccessTable:
    """Several processes may append: the server, and a command on its terminal."""

    def __init__(self, engine: Engine, clock: Clock, key: SigningKey) -> None:
        self.engine, self.clock, self.key = engine, clock, key
        self.refused: Counter[str] = Counter()  # since the start, by act

    async def write(self, person: str, address: str, act: str, subject: Subject, outcome: str = SHOWN) -> None:
        """Stands when this returns. SQLAlchemyError or ChainFault: it does not, and nothing may be shown."""
        await anyio.to_thread.run_sync(self.append, person, address, act, subject, outcome)

    def append(self, person: str, address: str, act: str, subject: Subject, outcome: str = SHOWN) -> None:
        with writing(self.engine) as db:
            self.append_in(db, person, address, act, subject, outcome)

    def append_in(
        self, db: Connection, person: str, address: str, act: str, subject: Subject, outcome: str = SHOWN
    ) -> Head:
        """In a transaction of `writing`, with what else must stand or not stand together with it."""
        last = last_head(db, self.key.public_key())
        now = rfc3339(self.clock.utc_ns())
        row = {
            "seq": last.seq + 1,
            "at": now,
            "person": _cut(person),
            "address": _cut(address),
            "act": act,
            "outcome": outcome,
            "calls": _cut(" ".join(map(call_without_numbers, subject.calls)), _CALLS_LIMIT),
            "terms": _cut(" ".join(filter(None, (subject.request, without_numbers(subject.terms))))),
            "purpose": _cut(without_numbers(subject.purpose)),
            "case_number": _cut(case_without_numbers(subject.case)),
            "remark": _cut(without_numbers(subject.remark)),
        }
        head = Head("head", last.seq + 1, chain.hash_of(row, last.hash), now)
        db.execute(insert(access).values(**row, hash=head.hash))
        self.refused[act] += outcome == REFUSED  # nobody else is here: `last_head`
        db.execute(delete(access_head))
        db.execute(insert(access_head).values(id=_ONLY, **chain.signed(head, self.key)))
        return head


def last_head(db: Connection, key: PublicKey) -> Head:
    """Nobody else appends until this transaction ends. ChainFault unless the rows end with a head that `key` signed."""
    one_at_a_time(db, _LOCK)
    found = db.execute(select(access_head)).one_or_none()
    last = db.execute(select(access.c.seq, access.c.hash).order_by(access.c.seq.desc()).limit(1)).one_or_none()
    if found is None:
        if last is not None:
            raise ChainFault("access_head_bad", "the access log has rows and no head")
        return Head("head", 0, chain.NOTHING, "")
    head = chain.own(found.head, found.sig, "head", key)
    end: Any = last
    if end is None and (gone := db.execute(select(access_anchor)).one_or_none()) is not None:
        end = chain.own(gone.head, gone.sig, "anchor", key)  # all rows were older than two years
    if end is None or (end.seq, end.hash) != (head.seq, head.hash):
        ends = "has no rows" if end is None else f"ends with row {end.seq}"
        raise ChainFault("access_log_changed", f"the access log {ends}, its head has {head.seq}")
    return head


def _cut(text: Any, limit: int = _TEXT_LIMIT) -> str:
    """PostgreSQL takes no NUL, and no half of a surrogate pair either."""
    return str(text).replace("\0", "")[:limit].encode("utf-8", "backslashreplace").decode("utf-8")
