# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL: an index of an earlier version, whose `calls` is one table, is cut into months. In the transaction of its
caller: it is cut whole, or as it was.
"""

from __future__ import annotations

import logging

from sqlalchemy import Connection, inspect, text
from sqlalchemy.schema import CreateTable

from linetap_desk.ingest import months
from linetap_desk.ingest.tables import SUPERSEDED, calls, metadata

LOCK_S = 10  # so long it waits for who reads
BEFORE = "calls_before"

log = logging.getLogger("linetap.ingest")


def is_whole(db: Connection) -> bool:
    """Whether `calls` is one table yet."""
    kind = db.execute(
        text("SELECT relkind FROM pg_class WHERE oid = to_regclass(:name)"), {"name": calls.name}
    ).scalar()
    return kind == "r"


def cut(db: Connection, now_ns: int) -> None:
    """Its indexes are not made: all of them at the end take less time than to keep them meanwhile."""
    db.execute(text(f"SET LOCAL lock_timeout = '{LOCK_S}s'"))
    db.execute(text(f"LOCK TABLE {calls.name} IN ACCESS EXCLUSIVE MODE"))
    home = str(db.execute(text("SELECT current_schema()")).scalar_one())
    readers = grants(db, home, calls.name)
    for index in inspect(db).get_indexes(calls.name):
        if index["name"] in {each.name for each in calls.indexes} | set(SUPERSEDED):
            db.execute(text(f'DROP INDEX "{index["name"]}"'))
    db.execute(text(f"ALTER TABLE {calls.name} RENAME TO {BEFORE}"))
    db.execute(text(f"ALTER INDEX {calls.name}_pkey RENAME TO {BEFORE}_pkey"))
    _order_names(db, home)
    db.execute(CreateTable(calls))
    make_other(db)
    for number in sorted(months.wanted(db, BEFORE, now_ns)):
        db.execute(text(f"CREATE TABLE {months.name_of(number)} PARTITION OF {calls.name} {months.values(number)}"))
    columns = ", ".join(db.dialect.identifier_preparer.quote(column.name) for column in calls.columns)
    moved = db.execute(text(f"INSERT INTO {calls.name} ({columns}) SELECT {columns} FROM {BEFORE}")).rowcount
    db.execute(text(f"DROP TABLE {BEFORE}"))
    for name, who, what in readers:
        db.execute(text(f'GRANT {what} ON "{name}" TO {who}'))
    db.execute(text(f"ANALYZE {calls.name}"))
    log.info("months: %d calls now lie in a partition a month", moved)


def make_other(db: Connection) -> None:
    if db.execute(text("SELECT to_regclass(:name)"), {"name": months.OTHER}).scalar() is None:
        db.execute(text(f"CREATE TABLE {months.OTHER} PARTITION OF {calls.name} DEFAULT"))


def grants(db: Connection, home: str, name: str) -> list[tuple[str, str, str]]:
    """Table, grantee as SQL has it, privilege; but for the owner's own."""
    wanted = text(
        "SELECT CASE grantee WHEN 'PUBLIC' THEN 'PUBLIC' ELSE quote_ident(grantee) END, privilege_type "
        "FROM information_schema.role_table_grants "
        "WHERE table_schema = :home AND table_name = :name AND grantee <> current_user"
    )
    return [(name, *row) for row in db.execute(wanted, {"home": home, "name": name})]


def _order_names(db: Connection, home: str) -> None:
    """Names of calls are compared byte by byte, in every table that has one."""
    asked = text(
        "SELECT 1 FROM information_schema.columns WHERE table_schema = :home AND table_name = :name "
        "AND column_name = 'call_id' AND collation_name IS DISTINCT FROM 'C'"
    )
    for table in metadata.sorted_tables:
        if table is not calls and db.execute(asked, {"home": home, "name": table.name}).first() is not None:
            db.execute(text(f'ALTER TABLE {table.name} ALTER COLUMN call_id TYPE text COLLATE "C"'))
