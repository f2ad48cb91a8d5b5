# SPDX-License-Identifier: Apache-2.0
"""The access log: a row for every view, search, play and export, committed before it is answered."""

from __future__ import annotations

import anyio.to_thread
from sqlalchemy import Engine, func, insert, select

from linetap.clock import Clock, rfc3339
from linetap.desk.serve.database import writing
from linetap.desk.serve.route import Subject
from linetap.desk.serve.tables import access

SHOWN, REFUSED = "shown", "refused"


class AccessTable:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    async def write(self, person: str, address: str, act: str, subject: Subject, outcome: str = SHOWN) -> None:
        """Stands when this returns. SQLAlchemyError: it does not, and nothing may be shown."""
        await anyio.to_thread.run_sync(self.append, person, address, act, subject, outcome)

    def append(self, person: str, address: str, act: str, subject: Subject, outcome: str = SHOWN) -> None:
        with writing(self._engine) as db:
            seq = (db.execute(select(func.max(access.c.seq))).scalar() or 0) + 1
            db.execute(
                insert(access).values(
                    seq=seq,
                    at=rfc3339(self._clock.utc_ns()),
                    person=person,
                    address=address,
                    act=act,
                    outcome=outcome,
                    calls=",".join(subject.calls),
                    terms=subject.terms,
                    purpose=subject.purpose,
                    reason=subject.case,
                    hash="",
                )
            )
