# SPDX-License-Identifier: Apache-2.0
"""Opens serve's own database by URL, SQLite in a file or PostgreSQL; never the ingest's."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from linetap_core.errors import BadInput, LinetapError
from linetap_desk.ingest.database import (
    BUSY_MS,
    connecting,
    file_of,
    make_file,
    parse_url,
    reason,
    without_password,
)
from linetap_desk.serve import migrations
from linetap_desk.serve.database.transactions import WRITES

_KINDS = "sqlite:///serve.db or postgresql+psycopg://user@host/serve is right"
_MODE = 0o600  # write access would allow making accounts (docs/desk-serve.md)


def open_own(name: str) -> Engine:
    """Opens it and migrates its tables. BadInput for an invalid URL, or if it cannot be written."""
    url = parse_url(name)
    engine = _engine(url)
    make_file(url, _MODE)
    with contextlib.ExitStack() as failing:
        failing.callback(engine.dispose)
        try:
            if not migrations.is_current(engine):
                migrations.upgrade(engine)
        except SQLAlchemyError as error:
            raise BadInput(f"{without_password(url)}: {reason(error)}") from None
        failing.pop_all()
    return engine


def migrate_apart(name: str) -> None:
    """Migrates in a separate process if necessary. BadInput as for opening the database."""
    url = parse_url(name)
    path = file_of(url)
    if path is not None and not path.is_file():
        _migrate(name)
        return
    engine = _engine(url)
    try:
        current = migrations.is_current(engine)
    except SQLAlchemyError:  # the other process reports the error
        current = False
    finally:
        engine.dispose()
    if not current:
        _migrate(name)


def _migrate(name: str) -> None:
    command = [sys.executable, "-m", "linetap_desk.serve.opendatabase"]
    done = subprocess.run(command, input=name, text=True, stderr=subprocess.PIPE, check=False)  # may contain a password
    if done.returncode:
        raise BadInput((done.stderr.strip().splitlines() or [f"the migration ended with {done.returncode}"])[-1])


def open_there(name: str) -> Engine:
    """Opens an existing database for reading; BadInput if there is none. Nothing is created."""
    url = parse_url(name)
    if (path := file_of(url)) is not None and not path.is_file():
        raise BadInput(f"{without_password(url)}: there is no file {path}; `linetap desk serve` makes it")
    return _engine(url)


def _engine(url: URL) -> Engine:
    engine = connecting(url, without_password(url), _KINDS)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: Any, _record: Any) -> None:
    """Sets synchronous FULL: written rows of the access log must survive a power cut. The driver's own transactions are
    off: `_begin` begins them. secure_delete removes emptied data (release/store.py) from the file."""
    connection.isolation_level = None
    always = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")
    for pragma in (f"busy_timeout={BUSY_MS}", *always):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")


def main() -> int:
    """Migrates the database whose URL is on standard input; `migrate_apart` starts it as a process."""
    try:
        open_own(sys.stdin.read().strip()).dispose()
    except LinetapError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
