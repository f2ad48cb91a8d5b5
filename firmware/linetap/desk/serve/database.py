# SPDX-License-Identifier: Apache-2.0
"""serve's own database by URL: SQLite in a file, or PostgreSQL. Never the ingest's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from linetap.desk.ingest.database import BUSY_MS, file_of, parse, reason
from linetap.desk.serve import tables
from linetap.errors import BadInput

_WRITES = "linetap_writes"


def open_own(text: str, make: bool = True) -> Engine:
    """BadInput for a URL that is none, where nothing can be written, and without `make` where there is none yet."""
    url = parse(text)
    shown = url.render_as_string(hide_password=True)
    path = file_of(url)
    if path is not None and not make and not path.is_file():
        raise BadInput(f"{shown}: there is no file {path}; `linetap desk serve` makes it")
    try:
        engine = create_engine(url, hide_parameters=True)
    except NoSuchModuleError:
        raise BadInput(f"{shown}: sqlite:///serve.db or postgresql+psycopg://user@host/serve would be right") from None
    except ModuleNotFoundError as error:
        raise BadInput(f"{shown}: this needs {error.name}, which Debian has as python3-{error.name}") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _as_we_need_it)
        event.listen(engine, "begin", _begin)
    try:
        tables.metadata.create_all(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        raise BadInput(f"{shown}: {reason(error)}") from None
    return engine


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes. SQLite takes the writer's place at its beginning: one that first reads and then finds
    the place taken could only fail."""
    with engine.connect().execution_options(**{_WRITES: True}) as db, db.begin():
        yield db


def _as_we_need_it(connection: Any, _record: Any) -> None:
    """FULL: what the access log has written must be there after a power cut. The driver begins no transaction of its
    own: `_begin` does."""
    connection.isolation_level = None
    for pragma in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN")
