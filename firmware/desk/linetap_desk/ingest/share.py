# SPDX-License-Identifier: Apache-2.0
"""Divides the units among ingests by a hash of the unit's name, so that each unit has one ingest at a time.

An ingest's memory (holes, confirmations, transfers of copies), and the rows that it reads before it writes, belong to
one unit each. So ingests of different units share no data.

The tables `shares` and `ingests` in PostgreSQL record which ingest has which share, by the database's clock alone. A
lease is renewed every RENEW_S and expires after LEASE_S: an ingest that was killed, froze or was cut off is replaced
automatically. Each time a share is taken its `epoch` rises. Every transaction of a share's ingest first checks the
epoch and locks that row until it ends (`guard_transactions`): an ingest that froze, and resumes after another has taken
the share, writes nothing. PostgreSQL ends a transaction that a frozen ingest left open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Text,
    and_,
    cast,
    delete,
    event,
    func,
    insert,
    or_,
    select,
    text,
    true,
    update,
)

from linetap_core.errors import BadInput, LinetapError
from linetap_desk.ingest.tables import ingests, shares


@dataclass(frozen=True, slots=True)
class Share:
    """Share `number` of `total`, from 1."""

    number: int = 1
    total: int = 1

    def __str__(self) -> str:
        return f"{self.number} of {self.total}"

    @property
    def has_all_units(self) -> bool:
        """Whether the share has all units."""
        return self.total == 1

    @property
    def is_first(self) -> bool:
        """Whether this share's ingest also does the work that belongs to no unit."""
        return self.number == 1

    def has(self, unit: str) -> bool:
        return self.has_all_units or hashlib.sha256(unit.encode()).digest()[0] % self.total + 1 == self.number

    def condition(self, unit: ColumnElement[str]) -> ColumnElement[bool]:
        """The condition on a column that the unit is in this share. PostgreSQL only: SQLite has one ingest with all
        units."""
        if self.has_all_units:
            return true()
        first_byte = func.get_byte(func.sha256(func.convert_to(cast(unit, Text), "UTF8")), 0, type_=Integer)
        return first_byte % self.total + 1 == self.number


ALL_UNITS = Share()


LEASE_S = 15
RENEW_S = 3
_NOW_MS = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
_TABLES = 0x6C746173  # the number of the advisory lock for changes of the division


class ShareLost(LinetapError, RuntimeError):
    """Another ingest has the share."""

    code = "share_lost"


@dataclass(frozen=True, slots=True)
class Lease:
    """A held share. `counter`: no command of an earlier holder has a higher one."""

    share: Share
    epoch: int
    counter: int


class Leases:
    """The leases of the process `name`. `engine` is not connected yet. Every method is one transaction.
    SQLAlchemyError: the database is unavailable, and nothing has changed."""

    def __init__(self, engine: Engine, total: int, name: str) -> None:
        """Divides the units into `total` shares. BadInput while running ingests have another division."""
        self._engine, self._total, self._name = engine, total, name
        end_idle(engine, RENEW_S)
        with engine.begin() as db:
            db.execute(select(func.pg_advisory_xact_lock(_TABLES)))
            stored = {row.share: row for row in db.execute(select(shares))}
            if stored.keys() == set(range(1, total + 1)):
                return
            if any(row.until_ms > _now_ms(db) for row in stored.values()):
                raise BadInput(
                    f"shares: ingests run that divide the units into {len(stored)}, and this one into {total}"
                )
            epoch = max((row.epoch for row in stored.values()), default=0)
            counter = max((row.counter for row in stored.values()), default=0)
            db.execute(delete(shares))
            db.execute(insert(shares), [
                {"share": n, "owner": "", "epoch": epoch, "until_ms": 0, "counter": counter}
                for n in range(1, total + 1)
            ])  # fmt: skip

    def renew(self, leases: Collection[Lease], counter: int) -> set[Lease]:
        """Renews `leases` for LEASE_S from now; returns the leases that are still held. `counter`: above that of every
        command until then."""
        with self._engine.begin() as db:
            until_ms = _now_ms(db) + LEASE_S * 1000
            db.execute(delete(ingests).where(or_(ingests.c.name == self._name, ingests.c.until_ms < _now_ms(db))))
            db.execute(insert(ingests).values(name=self._name, until_ms=until_ms))
            return {lease for lease in leases if self._renewed(db, lease, until_ms, counter)}

    def acquire(self, held_count: int) -> list[Lease]:
        """Takes free shares, up to this process's equal part; returns their leases."""
        with self._engine.begin() as db:
            now_ms, lacking = _now_ms(db), self._fair_part(db) - held_count
            free = select(shares).where(shares.c.until_ms < now_ms).order_by(shares.c.share).limit(max(0, lacking))
            leases = []
            for row in db.execute(free.with_for_update(skip_locked=True)).all():
                mine = shares.c.share == row.share
                its: dict[str, Any] = {"owner": self._name, "epoch": row.epoch + 1}
                db.execute(update(shares).where(mine).values(until_ms=now_ms + LEASE_S * 1000, **its))
                leases.append(Lease(Share(row.share, self._total), row.epoch + 1, row.counter))
            return leases

    def surplus(self, held_count: int) -> int:
        """The number of `held_count` shares beyond this process's equal part."""
        with self._engine.begin() as db:
            return max(0, held_count - self._fair_part(db))

    def release(self, lease: Lease, counter: int) -> None:
        """Frees the share at once. The ingest must have finished all work on it."""
        with self._engine.begin() as db:
            self._renewed(db, lease, 0, counter)

    def leave(self) -> None:
        with self._engine.begin() as db:
            db.execute(delete(ingests).where(ingests.c.name == self._name))

    def _renewed(self, db: Connection, lease: Lease, until_ms: int, counter: int) -> bool:
        values = {"until_ms": until_ms, "counter": func.greatest(shares.c.counter, counter)}
        return db.execute(update(shares).where(_is(lease)).values(**values)).rowcount == 1

    def _fair_part(self, db: Connection) -> int:
        alive = select(func.count()).select_from(ingests).where(ingests.c.until_ms >= _now_ms(db))
        return -(-self._total // max(1, db.execute(alive).scalar_one()))


def guard_transactions(engine: Engine, lease: Lease, idle_s: float = LEASE_S) -> None:
    """Begins each transaction of `engine` with a check of the lease; ShareLost if it is lost. `engine` is not connected
    yet."""

    def begun(db: Connection) -> None:
        its = select(shares.c.share).where(_is(lease)).with_for_update(read=True)
        if db.execute(its).first() is None:
            raise ShareLost(f"share {lease.share}: another ingest has it; nothing was written")

    event.listen(engine, "begin", begun)
    end_idle(engine, idle_s)


def end_idle(engine: Engine, after_s: float) -> None:
    """Has PostgreSQL end an idle transaction of `engine`: the locks of a frozen ingest would block others."""

    def connected(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = {round(after_s * 1000)}")
        connection.commit()

    event.listen(engine, "connect", connected)


def _is(lease: Lease) -> Any:
    return and_(shares.c.share == lease.share.number, shares.c.epoch == lease.epoch)


def _now_ms(db: Connection) -> int:
    return int(db.execute(_NOW_MS).scalar_one())
