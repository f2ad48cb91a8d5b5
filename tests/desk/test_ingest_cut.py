# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL index of an earlier version: cut into months with every row, or left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from calls_rig import EMPTY, fill
from sqlalchemy import Engine, MetaData, create_engine, inspect, text

from ingest_rig import Teller, rows, trusted
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_core.errors import AlreadyRunning, BadInput
from linetap_desk.ingest import cut, database, months, tables
from linetap_desk.ingest.service import alone
from linetap_desk.ingest.store import Store
from postgres_rig import Postgres

CLOCK = ManualClock(parse_rfc3339("2026-11-24T22:56:00Z"), NS_PER_S)
ODD = {
    "20251231T235959.999Z-L01": "2025-12-31T23:59:59.999Z",
    "20260101T000000.000Z-L01": "2026-01-01T00:00:00.000Z",
    "20260302T000000.000Z-L01": "1970-01-01T00:00:00.000Z",
    "nameless": "2026-11-24T00:00:00.000Z",
    "99990101T000000.000Z-L01": "9999-01-01T00:00:00.000Z",
}


@pytest.fixture
def old(server: Postgres, tmp_path: Path) -> Iterator[Engine]:
    """As version 0076 made it: `calls` in one piece, names in the database's own order, a column less."""
    engine = create_engine(server.url)
    earlier = MetaData()
    for table in tables.metadata.sorted_tables:
        copy = table.to_metadata(earlier)
        copy.dialect_options["postgresql"]["partition_by"] = None
        copy.indexes -= {index for index in copy.indexes if index.name == "calls_astray"}
    earlier.create_all(engine)
    with engine.begin() as db:
        for table in earlier.sorted_tables:
            if "call_id" in table.columns:
                db.execute(text(f'ALTER TABLE {table.name} ALTER COLUMN call_id TYPE text COLLATE "default"'))
        db.execute(text("CREATE INDEX calls_line ON calls (unit, line)"))
    teller = Teller(tmp_path / "unit")
    for call in range(3):
        teller.call(call)
    Store(engine).write(teller.reports(), trusted(teller))
    fill(engine, [EMPTY | {"unit": "a-1", "call_id": name, "began_at": began} for name, began in ODD.items()])
    with engine.begin() as db:
        db.execute(text("ALTER TABLE calls DROP COLUMN rebuilt"))
    yield engine
    with engine.begin() as db:
        db.execute(text("DROP VIEW IF EXISTS of_somebody"))
        db.execute(text("DROP TABLE IF EXISTS calls"))
    earlier.drop_all(engine)
    engine.dispose()


def every(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Table -> its rows in their order."""
    with engine.connect() as db:
        there = {column["name"] for column in inspect(db).get_columns("calls")}
    names = [column.name for column in tables.calls.columns if column.name in there and column.name != "rebuilt"]
    with engine.connect() as db:
        found = db.execute(text(f'SELECT {", ".join(names)} FROM calls ORDER BY unit, call_id COLLATE "C"'))
        calls = [dict(row) for row in found.mappings()]
    others = [table for table in tables.metadata.sorted_tables if table.name != "calls"]
    return {"calls": calls} | {table.name: rows(engine, table) for table in others}


def lying(engine: Engine) -> dict[str, int]:
    with engine.connect() as db:
        found = db.execute(text("SELECT tableoid::regclass::text, count(*) FROM calls GROUP BY 1"))
        return {row[0]: row[1] for row in found}


def test_every_row_is_there_afterwards(old: Engine, server: Postgres) -> None:
    before = every(old)
    assert len(before["calls"]) == 3 + len(ODD)
    engine = database.open_writer(server.url, CLOCK)
    assert every(engine) == before
    assert lying(engine) == {
        "calls_202512": 1,
        "calls_202601": 1,
        "calls_202603": 1,
        "calls_202611": 3,
        "calls_other": 2,
    }
    with engine.connect() as db:
        assert months.number_of("2026-12-") in months.there(db)
        assert not inspect(db).has_table(cut.BEFORE)
        names = {index["name"] for index in inspect(db).get_indexes("calls")}
        orders = db.execute(
            text("SELECT DISTINCT collation_name FROM information_schema.columns WHERE column_name = 'call_id'"
                 " AND table_schema = current_schema()")
        ).scalars()  # fmt: skip
        assert list(orders) == ["C"]
    assert names == {index.name for index in tables.calls.indexes}
    engine.dispose()
    again = database.open_writer(server.url, CLOCK)
    assert every(again) == before
    again.dispose()


def test_a_new_one_is_the_same_as_one_that_was_cut(old: Engine, server: Postgres) -> None:
    """Columns, key, indexes: nothing depends on which way a database came to be."""
    database.open_writer(server.url, CLOCK).dispose()
    with old.begin() as db:
        db.execute(text("DROP SCHEMA IF EXISTS fresh CASCADE"))
        db.execute(text("CREATE SCHEMA fresh"))
    database.open_writer(f"{server.url}&options=-csearch_path%3Dfresh", CLOCK).dispose()
    seen = []
    with old.connect() as db:
        for schema in ("public", "fresh"):
            look = inspect(db)
            columns = sorted(
                (str(one["name"]), str(one["type"]), one["nullable"]) for one in look.get_columns("calls", schema)
            )
            key = look.get_pk_constraint("calls", schema)["constrained_columns"]
            indexes = db.execute(
                text("SELECT replace(indexdef, :schema || '.', '') FROM pg_indexes WHERE schemaname = :schema"
                     " AND tablename = 'calls' ORDER BY 1"),
                {"schema": schema},
            ).scalars().all()  # fmt: skip
            seen.append((columns, key, [one.replace("calls_pkey1", "calls_pkey") for one in indexes]))
    assert seen[0] == seen[1]
    with old.begin() as db:
        db.execute(text("DROP SCHEMA fresh CASCADE"))


def test_who_could_read_it_can_read_it(old: Engine, server: Postgres) -> None:
    with old.begin() as db:
        db.execute(text('DROP ROLE IF EXISTS "the pages"'))
        db.execute(text('CREATE ROLE "the pages"'))
        db.execute(text('GRANT SELECT ON calls TO "the pages"'))
    database.open_writer(server.url, CLOCK).dispose()
    with old.begin() as db:
        db.execute(text('SET LOCAL ROLE "the pages"'))
        assert db.execute(text("SELECT count(*) FROM calls")).scalar_one() == 3 + len(ODD)


def test_where_it_fails_the_old_one_is_as_it_was(old: Engine, server: Postgres) -> None:
    """Somebody's view hangs on the old table, which is found out at the very end."""
    with old.begin() as db:
        db.execute(text("CREATE VIEW of_somebody AS SELECT unit, count(*) FROM calls GROUP BY unit"))
    before, indexes = every(old), inspect(old).get_indexes("calls")
    with pytest.raises(BadInput, match="calls_before"):
        database.open_writer(server.url, CLOCK)
    assert every(old) == before
    assert inspect(old).get_indexes("calls") == indexes
    with old.begin() as db:
        assert cut.is_whole(db)
        db.execute(text("DROP VIEW of_somebody"))
    database.open_writer(server.url, CLOCK).dispose()
    assert every(old) == before


def test_where_the_server_dies_the_old_one_is_as_it_was(old: Engine, server: Postgres) -> None:
    with old.begin() as db:
        db.execute(text("ALTER TABLE calls ADD COLUMN rebuilt boolean"))
    before, db = every(old), old.connect()
    cut.cut(db, CLOCK.utc_ns())
    assert not cut.is_whole(db)
    server.stop()
    db.invalidate()
    db.close()
    old.dispose()
    server.start()
    assert every(old) == before
    with old.connect() as db:
        assert cut.is_whole(db)


def test_not_beside_an_ingest(old: Engine, server: Postgres) -> None:
    with old.connect() as held:
        assert database.take_writers_place(held)
        with pytest.raises(AlreadyRunning):
            database.open_writer(server.url, CLOCK)
        assert cut.is_whole(held)
    old.dispose()
    with alone(server.url) as engine, engine.connect() as db:
        assert not cut.is_whole(db)
