# SPDX-License-Identifier: Apache-2.0
"""The ingest with PostgreSQL instead of SQLite."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls_house import NOON_NS, NOW_NS, OTHER, CallsHouse
from calls_house import UNIT as MAIN
from copy_rig import DAY_NS, Units
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.exc import InternalError

from broker import Broker, until
from ingest_rig import START_NS, UNIT, Ingesting, Teller, rows, trusted
from kept_rig import Kept
from linetap_core import cli
from linetap_core.clock import NS_PER_S, ManualClock, rfc3339
from linetap_core.errors import AlreadyRunning
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import signers
from linetap_desk.calls import emptyresult, query
from linetap_desk.calls.criteria import SearchCriteria
from linetap_desk.ingest import database, tables
from linetap_desk.ingest.destroyedcalls import Clearing
from linetap_desk.ingest.judge import Report
from linetap_desk.ingest.missingevents import Holes
from linetap_desk.ingest.process import writer_of
from linetap_desk.ingest.store import Store
from linetap_desk.serve.calls import calldetails as calls_story
from postgres_rig import Postgres


@pytest.fixture
def engine(server: Postgres) -> Iterator[Engine]:
    engine = database.open_writer(server.url)
    yield engine
    tables.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def teller(tmp_path: Path) -> Teller:
    teller = Teller(tmp_path / "unit")
    for call in range(6):
        teller.call(call)
    return teller


def test_a_copy_from_its_coming_to_the_end_of_its_index(engine: Engine, tmp_path: Path) -> None:
    clock = ManualClock(START_NS + NS_PER_S, 5 * NS_PER_S)
    units = Units(tmp_path, clock, engine)
    try:
        record, kept = units.sealed_call(1, 200_000), units.sealed_call(2)
        units.serve()
        assert units.is_copied(record)
        assert units.row(record)["copied_at"]
        units.tell("held", kept.call_id)
        clock.advance(61 * DAY_NS)
        units.tell("started", "20270125T000000.000Z-L02", clock.utc_ns())
        units.serve()
        assert not units.copy_of(record).exists()
        assert units.is_copied(kept)
        for each in (record, kept):
            units.tell("destroyed", each.call_id, clock.utc_ns(), why="retention")
        Clearing(engine, clock).clear_due()
        assert units.row(record)["direction"] is None
        assert units.row(kept)["direction"] == "in"
        assert {event["event"] for event in units.events_of(record)} == {"cleared", "destroyed"}
    finally:
        units.close()


def test_an_index_in_partitions_goes_on(server: Postgres, tmp_path: Path) -> None:
    """As made by an earlier version: calls are still stored and found, in any partition."""
    home = database.open_writer(server.url)
    columns = "unit, call_id, began_at, late"
    with home.begin() as db:
        db.exec_driver_sql("ALTER TABLE calls RENAME TO whole")
        db.exec_driver_sql("CREATE TABLE calls (LIKE whole, PRIMARY KEY (unit, call_id)) PARTITION BY RANGE (call_id)")
        db.exec_driver_sql("CREATE TABLE calls_202611 PARTITION OF calls FOR VALUES FROM ('202611') TO ('202612')")
        db.exec_driver_sql("CREATE TABLE calls_other PARTITION OF calls DEFAULT")
        db.exec_driver_sql("DROP TABLE whole CASCADE")
        kept = "('floor-03', '20261124T225600.000Z-L01', '2026-11-24T22:56:00.000Z', false)"
        db.exec_driver_sql(f"INSERT INTO calls ({columns}) VALUES {kept}")
    home.dispose()
    clock = ManualClock(START_NS + NS_PER_S, 5 * NS_PER_S)
    units = Units(tmp_path, clock, database.open_writer(server.url))
    try:
        record = units.sealed_call(1, 200_000)
        assert units.row(record)["sealed_at"]
        with units.engine.connect() as db:
            found = query.page(db, SearchCriteria())
        assert {row["call_id"] for row in found.rows} == {"20261124T225600.000Z-L01", record.call_id}
    finally:
        units.close()
        tables.metadata.drop_all(units.engine)
        units.engine.dispose()


def test_whatever_order_they_come_in(engine: Engine, teller: Teller) -> None:
    reports = teller.reports()
    shuffled = [*reports, *reports[:10]]
    random.Random(4).shuffle(shuffled)
    for at in range(0, len(shuffled), 7):
        Store(engine).write(shuffled[at : at + 7], trusted(teller))
    assert [row["payload"] for row in rows(engine, tables.events)] == [report.payload for report in reports]
    assert [row["through"] for row in rows(engine, tables.origins)] == [30]
    assert len(rows(engine, tables.calls)) == 6
    assert not rows(engine, tables.set_aside)


def test_what_it_cannot_store_is_set_aside_or_left_out(engine: Engine, teller: Teller) -> None:
    """A NUL in a text, a number beyond 32 bits: SQLite accepts both."""
    payload = teller.reports(1, 1)[0].payload
    odd = [
        teller.report(json.dumps(json.loads(payload) | fields).encode())
        for fields in ({"why": "a\u0000b"}, {"line": 1 << 40}, {"event": "a\u0000b"}, {"seq": 1 << 70})
    ]
    rubbish = Report(UNIT, b"\x00\xff" * 100, "\u0000", START_NS)
    Store(engine).write([odd[0], *odd[1:], rubbish], trusted(teller))
    assert [row["payload"] for row in rows(engine, tables.events)] == [odd[0].payload]
    assert sorted(row["code"] for row in rows(engine, tables.set_aside)) == [
        "payload_malformed", "payload_malformed", "seq_taken", "signature_malformed",
    ]  # fmt: skip


def test_another_disk_under_the_same_key(engine: Engine, tmp_path: Path) -> None:
    """Separate chains, the old one's gap stated as lost, and the one in use confirmed."""
    store, key = Store(engine), keys.new_unit_key()
    old, new = (Teller(tmp_path / name, key=key, vault=name) for name in ("0000100000000001", "0000200000000002"))
    for teller, call in ((old, 1), (new, 2)):
        teller.call(call)
    reports = old.reports()
    store.write([*reports[:2], reports[4]], trusted(old))
    assert store.write(new.reports(late_s=60), trusted(old)) == {
        (UNIT, f"{new.origin} {new.vault}"): new.outbox.last_seq
    }
    with engine.begin() as db:
        db.execute(tables.alerts.update().where(tables.alerts.c.code == "vault_new").values(ended_at="x"))
    assert [(row["code"], row["last"] - row["first"]) for row in rows(engine, tables.alerts)] == [
        ("events_lost", 2), ("vault_new", -1),
    ]  # fmt: skip
    holes = Holes(engine, ManualClock(START_NS))
    assert holes.find() == []
    store.write(reports, trusted(old))
    Holes(engine, ManualClock(START_NS)).find()
    assert all(row["ended_at"] for row in rows(engine, tables.alerts))
    assert store.ack_fields([(UNIT, f"{new.origin} {new.vault}")]) != {}


def test_a_hole(engine: Engine, teller: Teller) -> None:
    reports, clock = teller.reports(), ManualClock(START_NS, NS_PER_S)
    Store(engine).write([reports[0], *reports[4:]], trusted(teller))
    holes, asked = Holes(engine, clock), []
    for _ in range(60):
        clock.sleep(1)
        asked += holes.find()
    assert {(one.first, one.last) for one in asked} == {(2, 4)}
    Store(engine).write(reports[1:4], trusted(teller))
    clock.sleep(2)
    assert holes.find() == []
    assert [row["ended_at"] is None for row in rows(engine, tables.alerts)] == [False]


def test_one_writer(engine: Engine, server: Postgres) -> None:
    assert engine
    with writer_of(server.url, shared=False), pytest.raises(AlreadyRunning), writer_of(server.url, shared=False):
        pass
    with writer_of(server.url, shared=False):
        pass


def test_a_reader_writes_nothing(engine: Engine, teller: Teller, server: Postgres) -> None:
    Store(engine).write(teller.reports(), trusted(teller))
    reader = database.open_reader(server.url)
    for _ in range(2):  # the second time on a connection that was used
        with pytest.raises(InternalError, match="read-only transaction"), reader.begin() as db:
            db.execute(delete(tables.calls))
    assert len(rows(reader, tables.calls)) == 6
    reader.dispose()


def test_a_snapshot_reads_one_state(engine: Engine, server: Postgres, teller: Teller) -> None:
    reader = database.open_reader(server.url)
    count = select(func.count()).select_from(tables.calls)
    with reader.connect() as db:
        database.begin_snapshot(db)
        before = db.execute(count).scalar_one()
        Store(engine).write(teller.reports(), trusted(teller))
        assert db.execute(count).scalar_one() == before == 0
    with reader.connect() as db:
        assert db.execute(count).scalar_one() > 0
    reader.dispose()


def test_search(engine: Engine, teller: Teller, server: Postgres, capsys: pytest.CaptureFixture[str]) -> None:
    Store(engine).write(teller.reports(), trusted(teller))
    words = ["desk", "calls", "--db", server.url, "--json", "--disposition", "recorded", "--from", "2026-11-24"]
    assert cli.main(words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_what_the_pages_read(engine: Engine, server: Postgres, tmp_path: Path) -> None:
    """Outages, calls skipped by policy, destroyed calls; and a call with its signatures."""
    assert engine
    house = CallsHouse(tmp_path, server.url)
    house.fill()
    with house.engine.connect() as db:
        found = emptyresult.known_reasons(db, OTHER, 2, rfc3339(NOON_NS), rfc3339(NOON_NS + 5000 * NS_PER_S), NOW_NS)
        assert (found.destroyed, [one.kind for one in found.away], found.whole) == (1, ["offline"], True)
        known = signers.parse((tmp_path / "allowed_signers").read_text())
        story = calls_story.read_details(db, MAIN, house.names["held"], known)
    assert story is not None
    assert (story.held, {one.check for one in story.events}) == (True, {"good"})
    house.engine.dispose()


def test_the_server_killed_while_events_flow(tmp_path: Path, run_dir: Path, server: Postgres, engine: Engine) -> None:
    """Acknowledged events are there when it returns, and the others are sent again."""
    with (
        Broker(tmp_path / "broker") as broker,
        Kept(tmp_path, run_dir, broker.port) as floor,
        Ingesting(tmp_path, broker.port, floor.signers) as ingest,
    ):
        ingest.words += ["--key", str(floor.desk_key)]
        ingest.words[ingest.words.index("--db") + 1] = server.url
        ingest.start()
        until(lambda: "session_new" in ingest.said())
        floor.reporter(desk_s=3)
        for _ in range(3):
            before = floor.confirmed
            floor.events(40)
            until(lambda: floor.confirmed > before)  # noqa: B023 - asked before it changes
            floor.events(40)
            server.stop()
            floor.events(20)
            server.start()
        until(lambda: floor.confirmed == 300, 60, ingest.said())
        assert "Traceback" not in ingest.said()
        assert ingest.end() == 0
    engine.dispose()
    assert [row["seq"] for row in rows(engine, tables.events)] == list(range(1, 301))
