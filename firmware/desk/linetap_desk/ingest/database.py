# SPDX-License-Identifier: Apache-2.0
"""Opens the desk's database by its URL: SQLite in a file, or PostgreSQL."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from linetap_core.durable.files import FILE_MODE, restrict_to_group
from linetap_core.errors import BadInput
from linetap_desk.ingest.tables import metadata

BUSY_MS = 5000  # SQLite: longest wait of a reader for the writer's checkpoint, or the reverse
_WRITER = 0x6C746170  # PostgreSQL: the number of the advisory lock of a schema's only writer
_EXCLUSIVE = "SELECT pg_try_advisory_lock(:n, hashtext(current_schema()))"
_SHARED = "SELECT pg_try_advisory_lock_shared(:n, hashtext(current_schema()))"
_MAKING = "SELECT pg_advisory_xact_lock(:n, hashtext(current_schema()) + 1)"  # one process makes tables at a time
_KINDS = "sqlite:///desk.db or postgresql+psycopg://user@host/desk expected"

log = logging.getLogger("linetap.ingest")


def open_writer(text: str) -> Engine:
    """An engine for writing; creates missing tables and columns. BadInput for an invalid or unwritable database."""
    return open_url(parse_url(text))


def open_url(url: URL) -> Engine:
    engine = _engine(url)
    make_file(url, FILE_MODE)
    with contextlib.ExitStack() as failing:
        failing.callback(engine.dispose)
        try:
            with engine.begin() as db:  # PostgreSQL: all or nothing
                _make(db)
        except SQLAlchemyError as error:
            raise BadInput(f"--db {without_password(url)}: {reason(error)}") from None
        failing.pop_all()
    return engine


def connected_writer(text: str) -> Engine:
    """Another engine for a database whose tables exist, not connected yet."""
    return _engine(parse_url(text))


def _make(db: Connection) -> None:
    if db.dialect.name == "postgresql":
        db.execute(text(_MAKING), {"n": _WRITER})
    made = inspect(db).get_table_names()
    for table in metadata.sorted_tables:
        if table.name in made:
            _add_columns(db, table)
        else:
            db.execute(CreateTable(table, if_not_exists=True))  # another process may create it too
        for index in sorted(table.indexes, key=lambda index: str(index.name)):  # some are from a later version
            db.execute(CreateIndex(index, if_not_exists=True))


def open_reader(text: str) -> Engine:
    """An engine for reading only. BadInput if the database does not exist: a search must not create an empty one."""
    url = parse_url(text)
    if (path := file_of(url)) is not None and not path.is_file():
        raise BadInput(f"--db {without_password(url)}: there is no file {path}; `linetap desk ingest` makes it")
    engine = connecting(url, f"--db {without_password(url)}", _KINDS)
    event.listen(engine, "connect", _set_read_only if engine.dialect.name == "sqlite" else _set_read_only_postgresql)
    return engine


def begin_snapshot(db: Connection) -> None:
    """Lets all statements of this connection read the same state. Called before its first one."""
    sqlite = db.dialect.name == "sqlite"
    db.exec_driver_sql("BEGIN" if sqlite else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def parse_url(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # ValueError: for a port that is no number
        raise BadInput(f"--db: not a database's URL; {_KINDS}") from None
    if url.get_backend_name() not in ("sqlite", "postgresql") or (
        url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")
    ):
        raise BadInput(f"--db {without_password(url)}: {_KINDS}")
    return url


def file_of(url: URL) -> Path | None:
    """SQLite's file; None for PostgreSQL."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def make_file(url: URL, mode: int) -> None:
    """Creates SQLite's file with `mode`, since SQLite itself would create it with 0666 and the umask. Closes an
    existing file, its log and its journal to other users. SQLite gives a log and a journal the mode of the file.

    An existing file is not opened here: closing it would release the locks that this process has on it.
    """
    path = file_of(url)
    if path is None:
        return
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode))
        return
    except FileExistsError:
        pass
    except OSError as error:
        raise BadInput(f"{without_password(url)}: {path}: {error.strerror}") from None
    for one in all_files_of(path):
        with contextlib.suppress(FileNotFoundError):
            if not restrict_to_group(one):
                log.warning("database_not_closed: %s is another user's, and stays as readable as it is", one)


def all_files_of(path: Path) -> list[Path]:
    """SQLite's file with its log and journal."""
    return [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))]


def rebuilt_file_of(path: Path) -> Path:
    """The complete database of `linetap desk rebuild` that is not in place yet, after a power cut."""
    return path.with_name(f"{path.name}.whole")


def lock_as_writer(connection: Connection, shared: bool = False) -> bool:
    """Acquires the writer's lock; returns whether it was free. PostgreSQL: held until this connection ends, for one
    schema, since the ingest of another broker writes into another schema. `shared`: ingests with other shares of the
    units (share.py) may hold it too. SQLite has a separate lock file."""
    if connection.dialect.name != "postgresql":
        return True
    taken = connection.execute(text(_SHARED if shared else _EXCLUSIVE), {"n": _WRITER}).scalar()
    connection.commit()  # the session holds the lock; an open transaction would block vacuum
    return bool(taken)


def reason(error: SQLAlchemyError) -> str:
    """The driver's message on one line. SQLAlchemy's own contains the statement and its values."""
    original = getattr(error, "orig", None) or error
    said = str(original).strip().splitlines()[0] if str(original).strip() else type(original).__name__
    return f"{said}; {_OTHER_USER}" if _NO_ROLE.search(said) else said


# PostgreSQL identifies a Unix user by itself (peer): root, or a person, is none of its roles.
_NO_ROLE = re.compile(r'role "[^"]*" does not exist|Peer authentication failed')
_OTHER_USER = "run it as the database's user: runuser -u linetap-desk -- linetap ... (linetap-pages for the pages' own)"


def _add_columns(db: Connection, table: Table) -> None:
    """Adds the columns of later versions. All are nullable, since older rows have no value."""
    quoted = db.dialect.identifier_preparer.quote
    there = {column["name"] for column in inspect(db).get_columns(table.name)}
    for column in (column for column in table.columns if column.name not in there):
        kind = column.type.compile(db.dialect)
        db.execute(text(f"ALTER TABLE {quoted(table.name)} ADD COLUMN {quoted(column.name)} {kind}"))


def _engine(url: URL) -> Engine:
    engine = connecting(url, f"--db {without_password(url)}", _KINDS)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
    return engine


def connecting(url: URL, beginning: str, remedy: str) -> Engine:
    """An engine, not connected yet. BadInput, beginning with `beginning`, for an unknown or missing driver."""
    try:
        return create_engine(url, hide_parameters=True)
    except NoSuchModuleError:
        raise BadInput(f"{beginning}: {remedy}") from None
    except ModuleNotFoundError as error:
        raise BadInput(f"{beginning}: this needs {error.name}, which Debian has as python3-{error.name}") from None


def _set_pragmas(connection: Any, _record: Any) -> None:
    """Sets synchronous FULL: in WAL mode NORMAL may lose the last commits in a power cut, after the broker received an
    acknowledgement. secure_delete removes cleared data (destroyedcalls.py) from the file."""
    for pragma in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _set_read_only(connection: Any, _record: Any) -> None:
    """Sets query_only, not mode=ro: the first reader of WAL must create the file in which readers register."""
    for pragma in (f"busy_timeout={BUSY_MS}", "query_only=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _set_read_only_postgresql(connection: Any, _record: Any) -> None:
    """Sets default_transaction_read_only in PostgreSQL, for the life of this connection."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    connection.commit()


def without_password(url: URL) -> str:
    return url.render_as_string(hide_password=True)
