# SPDX-License-Identifier: Apache-2.0
"""`./build.sh bench search`, small: its data have the stated properties, and are stored."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

import pytest
from sqlalchemy import Table, func, select

from broker import until
from ingest_rig import rows
from linetap_bench.measure import generatedcalls, search
from linetap_bench.measure.generatedcalls import write_events
from linetap_bench.stage import servers
from linetap_core.errors import BadInput
from linetap_desk.ingest import database
from linetap_desk.ingest.tables import calls, events, set_aside
from postgres_rig import Postgres, needed


def test_the_bench_measures_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed()
    for name, value in (("CALLS", 4000), ("SEARCH_S", 0.5), ("PAUSE_S", 0), ("WARM_S", 2)):
        monkeypatch.setattr(search, name, value)
    found = {row.name: row for row in search.measure(tmp_path, tmp_path, tmp_path)}
    assert len(found) == 7
    for kind in ("SQLite", "PostgreSQL"):
        assert f"{kind}, 4,000 calls" in found[f"search, {kind}: a page of calls, p95"].method
        assert "searches of 19 kinds" in found[f"search, {kind}: a page of calls, p95"].method
    assert list(tmp_path.iterdir()) == []


def test_the_ingests_store_takes_what_is_written(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    engine = database.open_writer(url)

    def count(table: Table) -> int:
        with engine.connect() as db:
            return db.execute(select(func.count()).select_from(table)).scalar_one()

    stop = multiprocessing.Event()
    writer = threading.Thread(target=write_events, args=(url, 400, stop))
    writer.start()
    try:
        until(lambda: count(events) > 3 * generatedcalls.UNITS)
    finally:
        stop.set()
        writer.join(120)
    assert not writer.is_alive()
    assert count(set_aside) == 0
    assert count(calls) >= generatedcalls.UNITS
    engine.dispose()


def test_without_postgresql_sqlite_alone_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> Path:
        raise BadInput("there is no PostgreSQL on this machine")

    for name, value in (("CALLS", 1000), ("SEARCH_S", 0.1), ("PAUSE_S", 0), ("WARM_S", 0)):
        monkeypatch.setattr(search, name, value)
    monkeypatch.setattr(servers, "programs", none)
    assert all(row.name.startswith("search, SQLite:") for row in search.measure(tmp_path, tmp_path, tmp_path))
    assert "SQLite alone is measured: there is no PostgreSQL" in capsys.readouterr().err


def test_postgresql_has_the_same_calls(tmp_path: Path) -> None:
    generatedcalls.make(tmp_path / "desk.db", 3000)
    kept = []
    with Postgres() as server:
        generatedcalls.copy(tmp_path / "desk.db", server.url)
        for url in (f"sqlite:///{tmp_path / 'desk.db'}", server.url):
            engine = database.open_reader(url)
            kept.append(sorted(map(str, rows(engine, calls))))
            engine.dispose()
    assert kept[0] == kept[1]


def test_three_years_of_calls(tmp_path: Path) -> None:
    generatedcalls.make(tmp_path / "desk.db", 20_000)
    engine = database.open_reader(f"sqlite:///{tmp_path / 'desk.db'}")
    with engine.connect() as db:

        def count(*wanted: object) -> int:
            return db.execute(select(func.count()).select_from(calls).where(*wanted)).scalar_one()  # type: ignore[arg-type]

        assert count() == 20_000
        lines = db.execute(select(calls.c.unit, calls.c.line).distinct()).all()
        assert len(lines) == generatedcalls.UNITS * generatedcalls.LINES
        assert 11_500 < count(calls.c.destroyed_at.is_not(None)) < 12_500
        assert count(calls.c.destroyed_at.is_not(None), calls.c.direction.is_not(None)) == 0
        assert 5 < count(calls.c.mark.is_not(None)) < 60
        assert count(calls.c.disposition == "missed", calls.c.direction == "out") == 0
    engine.dispose()
