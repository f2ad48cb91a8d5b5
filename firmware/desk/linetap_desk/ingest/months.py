# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL: `calls` lies in partitions, one for each month that calls are named after.

`calls_other` takes every call whose month has none. A month around now is given its partition, and the calls that lie
there for it are moved; a unit that names calls after any other month makes no table.
"""

from __future__ import annotations

import logging
import re

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from linetap_core.clock import NS_PER_S, Clock, rfc3339
from linetap_desk.ingest.tables import calls

AHEAD, BACK = 1, 120  # months around now that may have a partition: 122 are the most
EVERY_S = 600
LOCK_S = 2  # so long a new partition waits for who reads `calls_other`; it is tried again
OTHER = "calls_other"
EVERY_NAME = ("", "999913")  # from, to: of every call that is not astray
_NAME = re.compile(r"calls_(\d{4}(?:0[1-9]|1[0-2]))")
_TIME = re.compile(r"(\d{4})-(0[1-9]|1[0-2])-")
_LOCKED = "55P03"  # lock_not_available

log = logging.getLogger("linetap.ingest")


class Months:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._due_ns = 0

    def look(self) -> None:
        """SQLAlchemyError: the database is away."""
        now_ns = self._clock.monotonic_ns()
        if self._engine.dialect.name != "postgresql" or now_ns < self._due_ns:
            return
        with self._engine.begin() as db:
            lacking = wanted(db, OTHER, self._clock.utc_ns()) - there(db)
        for number in sorted(lacking):
            self._make(number)
        self._due_ns = now_ns + EVERY_S * NS_PER_S

    def _make(self, number: int) -> None:
        try:
            with self._engine.begin() as db:
                db.execute(text(f"SET LOCAL lock_timeout = '{LOCK_S}s'"))
                moved = make(db, number)
            log.info("month: %s has a partition; %d calls were moved into it", name_of(number), moved)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", "") != _LOCKED:
                raise
            log.warning("month_waits: %s: somebody reads %s; it is tried again", name_of(number), OTHER)


def make(db: Connection, number: int) -> int:
    """How many calls were in `calls_other` for it. A table of its own is attached: readers of the other months go on,
    which they could not while one is made in its place."""
    name, span = name_of(number), {"low": _month(number), "high": _month(number + 1)}
    columns = ", ".join(db.dialect.identifier_preparer.quote(column.name) for column in calls.columns)
    db.execute(text(f"CREATE TABLE {name} (LIKE {calls.name} INCLUDING ALL)"))
    moved = db.execute(
        text(
            f"WITH moved AS (DELETE FROM {OTHER} WHERE call_id >= :low AND call_id < :high RETURNING {columns})"
            f" INSERT INTO {name} ({columns}) SELECT {columns} FROM moved"
        ),
        span,
    )
    db.execute(text(f"ALTER TABLE {calls.name} ATTACH PARTITION {name} {values(number)}"))
    return moved.rowcount


def there(db: Connection) -> set[int]:
    """The months that have a partition."""
    found = (_NAME.fullmatch(name) for name in parts(db))
    return {int(one[1][:4]) * 12 + int(one[1][4:]) - 1 for one in found if one is not None}


def parts(db: Connection, schema: str = "") -> list[str]:
    """The names of all partitions; those in the connection's own schema, where no other is named."""
    asked = text(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = to_regclass(:name)"
    )
    return list(db.execute(asked, {"name": f'"{schema}".{calls.name}' if schema else calls.name}).scalars())


def wanted(db: Connection, table: str, now_ns: int) -> set[int]:
    """The month of now and those ahead; and of calls in `table`, as far as they are BACK at most."""
    now = number_at(now_ns)
    span = {"low": _month(now - BACK), "high": _month(now + AHEAD + 1)}
    asked = text(f"SELECT DISTINCT substr(call_id, 1, 6) FROM {table} WHERE call_id >= :low AND call_id < :high")
    found = (number_of(f"{name[:4]}-{name[4:]}-") for name in db.execute(asked, span).scalars())
    return {now + ahead for ahead in range(AHEAD + 1)} | {number for number in found if number is not None}


def name_of(number: int) -> str:
    return f"{calls.name}_{_month(number)}"


def values(number: int) -> str:
    return f"FOR VALUES FROM ('{_month(number)}') TO ('{_month(number + 1)}')"


def number_of(time: str | None) -> int | None:
    """Months since year 0 at a time as the tables have it; None for a year that has not four digits."""
    found = _TIME.match(time or "")
    return None if found is None else int(found[1]) * 12 + int(found[2]) - 1


def number_at(ns: int) -> int:
    """The same at a time in UTC nanoseconds, of our own clock."""
    number = number_of(rfc3339(ns))
    assert number is not None
    return number


def begins(number: int) -> str:
    """Its first moment, as the tables have times."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}-01T00:00:00.000Z"


def names_between(low: str, high: str | None, beyond: bool = False) -> tuple[str, str]:
    """From, and before: what calls that began from `low` to `high` are named, but for those astray. `beyond`: without
    the moment `high`."""
    first, last = number_of(low), number_of(high)
    if beyond and last is not None and high == begins(last):
        last -= 1
    return EVERY_NAME[0] if first is None else _month(first), EVERY_NAME[1] if last is None else _month(last + 1)


def _month(number: int) -> str:
    """As a name begins; behind the last that has four digits, behind them all."""
    return f"{number // 12:04d}{number % 12 + 1:02d}" if number < 120_000 else EVERY_NAME[1]
