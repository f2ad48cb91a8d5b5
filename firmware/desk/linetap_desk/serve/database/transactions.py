# SPDX-License-Identifier: Apache-2.0
"""Write transactions on serve's own database, with locking, and the removal of deleted data."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator

from sqlalchemy import Connection, Engine, text

log = logging.getLogger("linetap.serve")

WRITES = "linetap_writes"  # the execution option of a connection that will write


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A write transaction. SQLite acquires the writer's lock at the beginning: a transaction that reads first could
    fail to get it later."""
    with engine.connect().execution_options(**{WRITES: True}) as db, db.begin():
        yield db


def overwrite(engine: Engine) -> None:
    """Removes deleted data from SQLite's write-ahead log too; if the database is being read, or the disk is full, the
    next call does. The deletion itself is committed already."""
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:  # of the driver itself, which is no SQLAlchemyError
        log.warning("database_not_overwritten: %s; the next deletion does it", error)
    finally:
        connection.close()


def one_at_a_time(db: Connection, number: int) -> None:
    """Holds a lock until this transaction ends. SQLite has only one writer."""
    if db.dialect.name == "postgresql":
        db.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": number})
