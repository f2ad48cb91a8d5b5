# SPDX-License-Identifier: Apache-2.0
"""The index rebuilt from the store and from units, compared row by row with the original."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from copy_rig import Units
from sqlalchemy import Engine, create_engine, insert, inspect, text

from broker import Broker, until
from ingest_rig import START_NS, UNIT, Ingesting, rows
from kept_rig import Kept
from linetap_core import cli
from linetap_core.clock import NS_PER_S, ManualClock, rfc3339
from linetap_core.durable import files
from linetap_core.errors import AlreadyRunning
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallRecord
from linetap_desk.copy.store import Tree
from linetap_desk.ingest import database, tables
from linetap_desk.ingest.process import writer_of
from linetap_desk.ingest.store import Store
from linetap_desk.rebuild import newdatabase, storedcalls
from postgres_rig import Postgres

LIMIT_S = 120
# Times of reception and delays differ for each delivery: the unit's bytes are the same.
MOMENTS = {
    "events": {"received_at", "late"},
    "calls": {"late"},
    "origins": {"heard_at"},
    "units": {"heard_at", "health_at", "outbox_seq"},
    "copies": {"stored_at", "closing_at"},
    "heads": {"id", "received_at"},
    "outages": {"id"},
    "alerts": {"id"},
    "set_aside": {"id"},
}


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Restores signals and log: the command changes them like a separate process."""
    before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    log, (handlers, level) = (
        logging.getLogger("linetap"),
        (logging.getLogger("linetap").handlers, logging.getLogger("linetap").level),
    )
    yield
    for number, handler in before:
        signal.signal(number, handler)
    log.handlers, log.level = handlers, level


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'desk.db'}"
    server: Postgres = request.getfixturevalue("server")
    engine = create_engine(server.url)
    with engine.begin() as db:
        for schema in inspect(db).get_schema_names():
            if schema.startswith("linetap") or schema == "public":
                db.execute(text(f'DROP SCHEMA "{schema}" CASCADE'))
        db.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return server.url


@pytest.fixture
def floor(tmp_path: Path, url: str) -> Iterator[Units]:
    """Four calls with a copy, one of them held, one destroyed with its copy expired; one without a copy."""
    clock = ManualClock(START_NS + NS_PER_S, 5 * NS_PER_S)
    units = Units(tmp_path, clock, database.open_writer(url))
    configure(tmp_path, url, units.store, units.holds)
    yield units
    units.close()


def configure(folder: Path, url: str, store: Path, holds: Path, more: str = "") -> None:
    if not (folder / "desk.key").exists():
        (folder / "desk.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
    (folder / "desk.toml").write_text(
        f'db = "{url}"\nsigners = "allowed_signers"\nkey = "desk.key"\n'
        f'[copy]\nstore = "file://{store}"\nholds = "{holds}"\n{more}'
    )


def rebuild(folder: Path, *words: str) -> int:
    return cli.main(["desk", "rebuild", "--config", str(folder / "desk.toml"), "--for", "0", *words])


def everything(engine: Engine, *but: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, without delivery-dependent columns."""
    return {
        table.name: sorted(
            ({name: value for name, value in row.items() if name not in MOMENTS.get(table.name, set())}
             for row in rows(engine, table)), key=repr,
        )
        for table in tables.metadata.sorted_tables if table.name not in but
    }  # fmt: skip


def now(url: str) -> Engine:
    return database.open_reader(url)


def hold_of(units: Units, record: CallRecord, **other: Any) -> None:
    digest = units.row(record)["record_sha256"]
    fields = {
        "call_id": record.call_id, "unit": record.unit, "record_sha256": digest, "key_sha256": "0" * 64,
        "from_epoch": "", "to": "age1", "made_at": "2026-11-25T00:00:00.000Z", "case": "2026-117", "basis": "law",
        "until": "2100-01-01T00:00:00.000Z",
    } | other  # fmt: skip
    folder = units.holds / record.call_id
    folder.mkdir()
    data = hold.encode(hold.Hold(**fields))
    (folder / "hold.json").write_bytes(data)
    (folder / "hold.json.sig").write_text(sshsig.sign(data, keys.new_unit_key(), namespaces.HOLD))


# --- the store alone: the unit is gone -------------------------------------------------------------------------


def test_calls_of_a_unit_that_is_gone_come_from_their_records(floor: Units, tmp_path: Path, url: str,
                                                              capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    records = [floor.sealed_call(minute, ended_at=f"2026-11-24T22:{minute:02d}:13.000Z", answered_at=None,
                                 direction="in", duration_s=12.5) for minute in range(4)]  # fmt: skip
    floor.serve()
    hold_of(floor, records[1])
    lonely = floor.sealed_call(9)
    live = {row["call_id"]: row for row in rows(floor.engine, tables.calls)}
    copies = everything(floor.engine)["copies"]
    floor.engine.dispose()
    assert rebuild(tmp_path) == 0
    said = capsys.readouterr().out
    engine = now(url)
    found = {row["call_id"]: row for row in rows(engine, tables.calls)}
    assert found.keys() == live.keys() - {lonely.call_id}, "of that one nothing is anywhere but at its unit"
    for record in records:
        was, its = live[record.call_id], found[record.call_id]
        same = ("unit", "line", "direction", "disposition", "duration_s", "record_sha256", "destroyed_at", "mark")
        assert {name: its[name] for name in same} == {name: was[name] for name in same}
        assert (its["began_at"], its["ended_at"]) == (rfc3339(sealed.call_ns(record.call_id)), record.ended_at)
        assert its["rebuilt"]
    assert [bool(found[record.call_id]["held_at"]) for record in records] == [False, True, False, False]
    assert everything(engine)["copies"] == copies
    assert "19 events are missing" in said
    assert "4 calls are derived from their record in the store only" in said
    engine.dispose()


def test_what_the_unit_tells_later_counts_for_more(floor: Units, tmp_path: Path, url: str) -> None:
    """Once its events are here the rows are the live ones, and nothing made from a record is left."""
    for minute in range(3):
        floor.sealed_call(minute)
    floor.serve()
    live = everything(floor.engine)
    floor.engine.dispose()
    assert rebuild(tmp_path) == 0
    reports = floor.teller.reports()
    engine = database.open_writer(url)
    Store(engine, marks_late=False).write(reports[:2], floor.signers.now())
    some = {row["call_id"]: row["sealed_at"] for row in rows(engine, tables.calls)}
    assert all(some.values()), "an event that is not of the end takes nothing away"
    Store(engine, marks_late=False).write(reports[2:], floor.signers.now())
    again = everything(engine)
    for name in ("events", "calls", "origins", "copies"):
        assert again[name] == live[name] != [], name
    engine.dispose()


def test_forged_and_damaged_records_are_refused_and_counted(floor: Units, tmp_path: Path, url: str,
                                                            capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    whole, changed, strange, moved, lacking, other, unsigned = (floor.sealed_call(minute) for minute in range(7))
    floor.serve()
    data = (floor.copy_of(changed) / "record.json").read_bytes()
    (floor.copy_of(changed) / "record.json").write_bytes(data.replace(b'"line":1', b'"line":2'))
    data = (floor.copy_of(strange) / "record.json").read_bytes()
    (floor.copy_of(strange) / "record.json.sig").write_text(sshsig.sign(data, keys.new_unit_key(), namespaces.RECORD))
    shutil.move(floor.copy_of(moved), floor.store / "floor-09" / "2026/11/24" / moved.call_id)
    (floor.copy_of(lacking) / "audio.001.age").unlink()
    place_of = floor.copy_of(other)
    shutil.rmtree(place_of)
    shutil.copytree(floor.copy_of(whole), place_of)
    (floor.copy_of(unsigned) / "record.json.sig").unlink()
    (floor.store / UNIT / "2026/11/24" / "link").symlink_to(floor.copy_of(whole))
    hold_of(floor, whole, record_sha256="1" * 64)
    floor.engine.dispose()
    assert rebuild(tmp_path) == 1
    engine, said = now(url), capsys.readouterr().out
    assert [row["call_id"] for row in rows(engine, tables.calls)] == [whole.call_id]
    assert [row["call_id"] for row in rows(engine, tables.copies)] == [whole.call_id]
    assert rows(engine, tables.calls)[0]["held_at"] is None
    for line in ("copy_no_call: 2", "copy_incomplete: 1", "copy_record: 1", "hold_record: 1", "signer_not_trusted: 2"):
        assert f"refused {line}\n" in said
    assert "8 entries there or among the holds were refused" in said
    engine.dispose()


def test_a_copy_that_the_units_own_event_contradicts_is_none(floor: Units, tmp_path: Path) -> None:
    """A second record signed by the unit: the one named in its event is the call's."""
    record = floor.sealed_call(1)
    floor.serve()
    data = (floor.copy_of(record) / "record.json").read_bytes().replace(b'"line":1', b'"line":2')
    floor.seal(floor.copy_of(record), data)
    engine = database.open_writer(f"sqlite:///{tmp_path / 'other.db'}")
    refused = storedcalls.Refused()
    assert storedcalls.store_copies(Tree(floor.store), None, engine, floor.signers.now(), refused, START_NS) == 1
    Store(engine).write(floor.teller.reports(), floor.signers.now())
    assert storedcalls.settle(engine, refused) == 0
    assert dict(refused.counts) == {"copy_changed": 1}
    assert not rows(engine, tables.copies)
    assert rows(engine, tables.calls)[0]["line"] == 1
    engine.dispose()


def test_what_only_the_desk_has_seen_is_taken_over(floor: Units, tmp_path: Path, url: str,
                                                   capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    at = rfc3339(START_NS)
    floor.sealed_call(1)
    forged = floor.teller.report(b"no event", "bm90IGEgc2lnbmF0dXJl")
    Store(floor.engine).write([forged], floor.signers.now())
    head = {"unit": UNIT, "origin": "o", "size": 1, "root": "r", "at": at, "head": b"{}", "sig": "", "received_at": at}
    with floor.engine.begin() as db:
        db.execute(insert(tables.outages).values(unit=UNIT, kind="offline", why="", began_at=at, ended_at=at, times=2))
        alert = {"unit": UNIT, "origin": "o", "first": 1, "last": 2, "since": at, "alerted_at": at}
        db.execute(insert(tables.alerts).values(code="log_fork", **alert))
        db.execute(insert(tables.heads).values(code="log_fork", **head))
    live = everything(floor.engine)
    floor.engine.dispose()
    assert rebuild(tmp_path) == 0
    engine = now(url)
    found = everything(engine)
    for name in ("outages", "alerts", "set_aside"):
        assert found[name] == live[name] != []
    assert found["heads"] == [], "nobody whom the file names has signed it"
    assert rows(engine, tables.units)[0]["set_aside"] == 1
    engine.dispose()
    assert rebuild(tmp_path, "--without-old") == 0
    engine = now(url)
    assert not any(everything(engine)[name] for name in ("outages", "alerts", "set_aside", "units"))
    assert "is lost: nothing was to be taken over" in capsys.readouterr().out
    engine.dispose()


# --- the place ---------------------------------------------------------------------------------------------------


class Dies(BaseException):
    pass


def dying(patched: pytest.MonkeyPatch, step: int) -> None:
    """Dies at the n-th rename of a file or beginning of a transaction."""
    left = step

    def watched(original: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Dies
            return original(*args, **more)

        return call

    for owner, name in ((Path, "rename"), (Path, "replace"), (Path, "unlink"), (os, "link"), (os, "fsync")):
        patched.setattr(owner, name, watched(getattr(owner, name)))
    patched.setattr(Engine, "begin", watched(Engine.begin))
    patched.setattr(newdatabase, "sync_directory", watched(files.sync_directory))


def test_interrupted_anywhere_it_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is always one whole database in place, the old one or the new."""
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    units = Units(tmp_path, ManualClock(START_NS + NS_PER_S, 5 * NS_PER_S))
    configure(tmp_path, url, units.store, units.holds)
    units.sealed_call(1)
    units.serve()
    live = everything(units.engine)
    units.close()
    for step in range(1, 60):
        with monkeypatch.context() as patched:
            dying(patched, step)
            try:
                rebuild(tmp_path)
                break
            except Dies:
                pass
        gc.collect()  # a dead process has no open database
        engine = now(url)
        there = everything(engine)
        engine.dispose()
        assert len(there["calls"]) == 1
        assert there["copies"] == live["copies"]
        assert rebuild(tmp_path) == 0
        assert not [*tmp_path.glob("desk.db.rebuild*"), *tmp_path.glob("desk.db.whole*")]
    assert step > 15, "so many steps there are at least"
    first = min(tmp_path.glob("desk.db.before-*"))
    engine = now(f"sqlite:///{first}")
    assert len(rows(engine, tables.events)) == 4
    engine.dispose()


def test_what_an_ingest_has_stored_since_a_power_cut_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cut comes when the new database is complete and not yet in place. The units drop what is confirmed then."""
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    units = Units(tmp_path, ManualClock(START_NS + NS_PER_S, 5 * NS_PER_S))
    configure(tmp_path, url, units.store, units.holds)
    units.sealed_call(1)
    units.serve()
    units.close()

    def cut(_: newdatabase.File) -> str:
        raise Dies

    with monkeypatch.context() as patched:
        patched.setattr(newdatabase.File, "swap", cut)
        with pytest.raises(Dies):
            rebuild(tmp_path)
    gc.collect()
    outage = {"unit": UNIT, "kind": "offline", "why": "", "times": 1, "began_at": "2026-11-25T00:00:00.000Z"}
    with writer_of(url, shared=False) as engine, engine.begin() as db:
        db.execute(insert(tables.outages).values(outage))
    assert rebuild(tmp_path) == 0
    engine = now(url)
    assert outage["began_at"] in [row["began_at"] for row in rows(engine, tables.outages)]
    assert len(rows(engine, tables.calls)) == 1
    engine.dispose()


def test_a_hold_without_its_signature_is_named(
    floor: Units, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = floor.sealed_call(1)
    floor.serve()
    hold_of(floor, call)
    signature = floor.holds / call.call_id / "hold.json.sig"
    signature.unlink()
    floor.engine.dispose()
    assert rebuild(tmp_path) == 1
    said = capsys.readouterr().out
    assert "refused hold_unread: 1\n" in said
    assert f"{signature}: No such file or directory" in said


def test_a_damaged_old_one_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    units = Units(tmp_path, ManualClock(START_NS + NS_PER_S, 5 * NS_PER_S))
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    configure(tmp_path, url, units.store, units.holds)
    units.sealed_call(1)
    units.serve()
    units.close()
    (tmp_path / "desk.db").write_bytes(b"no database" * 1000)
    (tmp_path / "desk.db-wal").write_bytes(b"rest of its log")
    assert rebuild(tmp_path) == 0
    engine = now(url)
    assert len(rows(engine, tables.calls)) == 1
    engine.dispose()
    (before,) = (
        path for path in tmp_path.glob("desk.db.before-*") if path.suffix != ".wal" and "-wal" not in path.name
    )
    assert before.read_bytes().startswith(b"no database")
    assert "the old database cannot be read" in capsys.readouterr().out


def test_not_while_an_ingest_writes_or_somebody_reads(floor: Units, tmp_path: Path, url: str) -> None:
    floor.sealed_call(1)
    with writer_of(url, shared=False):
        assert rebuild(tmp_path) == AlreadyRunning.exit_status
    if url.startswith("sqlite"):
        floor.engine.dispose()
        reader = sqlite3.connect(tmp_path / "desk.db")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM calls").fetchall()
        assert rebuild(tmp_path) == 2
        reader.close()
        assert rebuild(tmp_path) == 0


def test_postgresqls_readers_read_on(server: Postgres, tmp_path: Path) -> None:
    """A role that could read the tables can read the new ones, and the old ones are in a separate schema."""
    engine = create_engine(server.url)
    with engine.begin() as db:
        for name in ("public", *(one for one in inspect(db).get_schema_names() if one.startswith("linetap_before"))):
            db.execute(text(f'DROP SCHEMA IF EXISTS "{name}" CASCADE'))
        db.execute(text("CREATE SCHEMA public"))
    units = Units(tmp_path, ManualClock(START_NS + NS_PER_S, 5 * NS_PER_S), database.open_writer(server.url))
    configure(tmp_path, server.url, units.store, units.holds)
    units.sealed_call(1)
    with engine.begin() as db:
        db.execute(text('DROP ROLE IF EXISTS "the pages"'))
        db.execute(text('CREATE ROLE "the pages"'))
        db.execute(text('GRANT USAGE ON SCHEMA public TO "the pages"'))
        db.execute(text('GRANT SELECT ON calls TO "the pages"'))
    units.engine.dispose()
    assert rebuild(tmp_path) == 0
    with engine.begin() as db:
        db.execute(text('SET LOCAL ROLE "the pages"'))
        assert db.execute(text("SELECT count(*) FROM calls")).scalar_one() == 0
    with engine.begin() as db:
        (before,) = (one for one in inspect(db).get_schema_names() if one.startswith("linetap_before"))
        assert db.execute(text(f'SELECT count(*) FROM "{before}".calls')).scalar_one() == 1
        assert newdatabase.NEW not in inspect(db).get_schema_names()
    engine.dispose()
    units.close()


# --- with units ----------------------------------------------------------------------------------------------------


def test_the_result_equals_the_live_one(tmp_path: Path, run_dir: Path) -> None:
    """A real vault, its reporter, a broker, an ingest with copies; every table, every row."""
    store = tmp_path / "store"
    store.mkdir()
    with (
        Broker(tmp_path / "broker") as broker,
        Kept(tmp_path, run_dir, broker.port) as floor,
        Ingesting(tmp_path, broker.port, floor.signers) as ingest,
    ):
        (tmp_path / "holds").mkdir()
        configure(
            tmp_path, ingest.db, store, tmp_path / "holds", f'[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        )
        (tmp_path / "desk.key").write_bytes(floor.desk_key.read_bytes())
        words = (tmp_path / "desk.toml").read_text().replace('"allowed_signers"', f'"{floor.signers}"')
        (tmp_path / "desk.toml").write_text(words.replace("[copy]\n", "[copy]\nday_kbit_s = 1000000\n"))
        ingest.words = ["--config", str(tmp_path / "desk.toml")]
        records = [floor.call(20_000) for _ in range(3)]
        floor.events(60)
        ingest.start()
        until(lambda: "session_" in ingest.said())
        floor.reporter(desk_s=3)

        def settled() -> bool:
            copied = [row["copied_at"] for row in rows(ingest.engine, tables.calls) if row["call_id"].startswith("2")]
            if len(copied) != len(records) or not all(copied) or floor.confirmed != floor.outbox.last_seq:
                return False
            heads = rows(ingest.engine, tables.heads)  # of the whole log: one is told every 10 s at most
            return [row["size"] for row in heads] == [floor.unit_log.size]

        try:
            until(settled, LIMIT_S)
        except AssertionError as error:
            error.add_note(f"the ingest said:\n{ingest.said()}\nthe reporter said:\n{floor.said()}")
            raise
        assert ingest.end() == 0
        live = everything(ingest.engine)
        confirmed = floor.confirmed
        ingest.engine.dispose()
        command = [sys.executable, "-m", "linetap", "desk", "rebuild", "--config", str(tmp_path / "desk.toml")]
        found = subprocess.run([*command, "--for", "50"], capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert found.returncode == 0, found.stdout + found.stderr
        assert "0 events are missing" in found.stdout
        assert "1 of 1 online units have reported everything" in found.stdout
        engine = now(ingest.db)
        again = everything(engine)
        for name, its in live.items():
            assert again[name] == its, name
        assert len(again["events"]) >= 60 + 3 * 3
        engine.dispose()
        floor.events(5)  # not confirmed by a desk yet
        found = subprocess.run([*command, "--for", "50"], capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert found.returncode == 0, found.stdout + found.stderr
        engine = now(ingest.db)
        assert len(rows(engine, tables.events)) == len(again["events"]) + 5
        engine.dispose()
        assert floor.confirmed == confirmed, "a unit lets go of what is confirmed, and this index could yet be gone"
        ingest.start()
        until(lambda: floor.confirmed == floor.outbox.last_seq, LIMIT_S, ingest.said())
