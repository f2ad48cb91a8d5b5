# SPDX-License-Identifier: Apache-2.0
"""Makes the new database beside the old one, and replaces that in one step or not at all.

SQLite: NAME.rebuild beside NAME; once complete it is renamed to NAME.whole. The next rebuild puts that in place, unless
an ingest has begun to write since. The old file stays as NAME.before-TIME. PostgreSQL: a separate schema; the tables
are exchanged in one transaction.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from linetap_core.clock import Clock, compact
from linetap_core.durable.files import move_durably, sync_directory
from linetap_core.errors import AlreadyRunning, BadInput
from linetap_core.service import InstanceLock
from linetap_desk.ingest import database
from linetap_desk.ingest.tables import metadata

NEW = "linetap_rebuild"  # PostgreSQL's schema
LOCK_S = 10  # PostgreSQL: how long the exchange waits for readers
_STOP = "who reads it is to be ended first (`linetap desk serve`, `metrics`)"


class DatabasePlace(Protocol):
    whole: bool  # a complete one from an earlier run must only be put in place

    def begin(self) -> Engine:
        """An empty new database; the rest of an earlier attempt is deleted."""

    def finish(self, new: Engine) -> None:
        """Marks `new` as complete, and closes it."""

    def swap(self) -> str:
        """Replaces the old database; returns the old one's new place, empty if there was none."""


@contextlib.contextmanager
def exclusive_place(db: str, clock: Clock) -> Iterator[DatabasePlace]:
    """The place, locked. AlreadyRunning while an ingest writes there."""
    url = database.parse_url(db)
    path = database.file_of(url)
    if path is not None:
        if not path.absolute().parent.is_dir():
            raise BadInput(f"db {db}: there is no folder {path.absolute().parent}")
        with InstanceLock(path.absolute().parent, path.name):
            yield File(path.absolute(), clock)
        return
    engine = database.connecting(
        url, f"db {database.without_password(url)}", "postgresql+psycopg://desk@host/linetap is right"
    )
    try:
        with engine.connect() as held:
            if not database.lock_as_writer(held):
                raise AlreadyRunning("db: an ingest writes there; it is to be ended first")
            yield Schema(url, engine, clock)
    except SQLAlchemyError as error:
        raise BadInput(f"db {database.without_password(url)}: {database.reason(error)}") from None
    finally:
        engine.dispose()


class File:
    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._new, self._whole = path.with_name(f"{path.name}.rebuild"), database.rebuilt_file_of(path)
        self.whole = self._whole.exists()

    def begin(self) -> Engine:
        _fold(self._path)
        for path in database.all_files_of(self._new):
            path.unlink(missing_ok=True)
        return database.open_url(URL.create("sqlite", database=str(self._new)))

    def finish(self, new: Engine) -> None:
        new.dispose()
        _fold(self._new)
        with self._new.open("rb") as file:
            os.fsync(file.fileno())
        move_durably(self._new, self._whole)

    def swap(self) -> str:
        """Replaces the file. Moves the log of a damaged old database first: SQLite would otherwise apply it to the new
        one."""
        kept = ""
        _fold(self._path)
        if self._path.exists():
            before = self._path.with_name(f"{self._path.name}.before-{compact(self._clock.utc_ns())}")
            for path, to in zip(database.all_files_of(self._path)[1:], database.all_files_of(before)[1:], strict=True):
                with contextlib.suppress(FileNotFoundError):
                    path.rename(to)
            os.link(self._path, before)
            _allow_as(self._path, self._whole)
            kept = str(before)
        self._whole.replace(self._path)
        sync_directory(self._path.parent)
        return kept


def _allow_as(old: Path, new: Path) -> None:
    """Gives readers of the old file access to the new one, except users outside its group."""
    about = old.stat()
    with contextlib.suppress(PermissionError):  # another user's file, or a group without us
        os.chown(new, -1, about.st_gid)
        new.chmod(about.st_mode & 0o770)


def _fold(path: Path) -> None:
    """Merges SQLite's log into the file and deletes it; a damaged database is not changed. BadInput while another
    process has it open: closing it there would delete the log of the new file."""
    if not path.exists():
        return
    with contextlib.closing(sqlite3.connect(path, timeout=database.BUSY_MS / 1000)) as db:
        try:
            db.execute("PRAGMA journal_mode=DELETE").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise BadInput(f"{path}: {error}; {_STOP}") from None
        except sqlite3.DatabaseError:
            return


class Schema:
    whole = False  # PostgreSQL exchanges the tables in one transaction

    def __init__(self, url: URL, engine: Engine, clock: Clock) -> None:
        self._url, self._engine, self._clock = url, engine, clock

    def begin(self) -> Engine:
        with self._engine.begin() as db:
            db.execute(text(f"DROP SCHEMA IF EXISTS {NEW} CASCADE"))
            db.execute(text(f"CREATE SCHEMA {NEW}"))
        options = str(self._url.query.get("options", ""))
        return database.open_url(self._url.update_query_dict({"options": f"{options} -csearch_path={NEW}".strip()}))

    def finish(self, new: Engine) -> None:
        new.dispose()

    def swap(self) -> str:
        """Exchanges the tables. Readers of the old tables may read the new ones."""
        before = "linetap_before_" + compact(self._clock.utc_ns()).replace(".", "_").lower()
        with self._engine.begin() as db:
            db.execute(text(f"SET LOCAL lock_timeout = '{LOCK_S}s'"))
            home = str(db.execute(text("SELECT current_schema()")).scalar_one())
            there = set(inspect(db).get_table_names(schema=home))
            old = [table.name for table in metadata.sorted_tables if table.name in there]
            readers = [row for name in old for row in _grants(db, home, name)]
            if old:
                db.execute(text(f'CREATE SCHEMA "{before}"'))
            for name in old:
                db.execute(text(f'ALTER TABLE "{home}"."{name}" SET SCHEMA "{before}"'))
            for name in (table.name for table in metadata.sorted_tables):
                db.execute(text(f'ALTER TABLE "{NEW}"."{name}" SET SCHEMA "{home}"'))
            for name, who, what in readers:
                db.execute(text(f'GRANT {what} ON "{home}"."{name}" TO {who}'))
            db.execute(text(f"DROP SCHEMA {NEW}"))
        return f"schema {before}" if old else ""


def _grants(db: Connection, home: str, name: str) -> list[tuple[str, str, str]]:
    """Table, grantee as in SQL, privilege; without the owner's own."""
    wanted = text(
        "SELECT CASE grantee WHEN 'PUBLIC' THEN 'PUBLIC' ELSE quote_ident(grantee) END, privilege_type "
        "FROM information_schema.role_table_grants "
        "WHERE table_schema = :home AND table_name = :name AND grantee <> current_user"
    )
    return [(name, *row) for row in db.execute(wanted, {"home": home, "name": name})]
