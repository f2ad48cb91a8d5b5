# SPDX-License-Identifier: Apache-2.0
"""A city with two brokers: an ingest for each, both in one PostgreSQL database, each in a separate schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from broker import Broker, until
from ingest_rig import START_NS, Ingesting, Teller, rows, trusted
from kept_rig import Kept
from linetap_core import cli
from linetap_core.errors import AlreadyRunning, BadInput
from linetap_desk.ingest import database, tables
from linetap_desk.ingest.process import writer_of
from linetap_desk.ingest.register import UnitMessage
from linetap_desk.ingest.store import Store
from postgres_rig import Postgres

NAMES = ("east", "west")
ONLINE = b'{"state":"online","session":"a","version":"1","since":"x"}'


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as server:
        engine = create_engine(server.url)
        with engine.begin() as db:
            for name in NAMES:
                db.execute(text(f"CREATE SCHEMA {name}"))
        engine.dispose()
        yield server


def url_of(server: Postgres, name: str) -> str:
    return f"{server.url}&options=-csearch_path%3D{name}"


@pytest.fixture
def engines(server: Postgres) -> Iterator[dict[str, Engine]]:
    engines = {name: database.open_writer(url_of(server, name)) for name in NAMES}
    yield engines
    for engine in engines.values():
        tables.metadata.drop_all(engine)
        engine.dispose()


def seqs(engine: Engine) -> list[Any]:
    return [row["seq"] for row in rows(engine, tables.events)]


def test_one_ingest_for_each_and_no_second(server: Postgres, engines: dict[str, Engine]) -> None:
    assert engines
    east, west = (url_of(server, name) for name in NAMES)
    with writer_of(east, shared=False), writer_of(west, shared=False):
        for url in (east, west):
            with pytest.raises(AlreadyRunning), writer_of(url, shared=False):
                pass


def test_a_unit_of_one_name_at_both(engines: dict[str, Engine], tmp_path: Path) -> None:
    """Same name, same numbers, another key: neither is set aside, and neither accesses the other."""
    tellers = {name: Teller(tmp_path / name) for name in NAMES}
    for count, (name, teller) in enumerate(tellers.items(), 1):
        for call in range(count):
            teller.call(call)
        Store(engines[name]).write(teller.reports(), trusted(teller))
    assert [len(rows(engines[name], tables.calls)) for name in NAMES] == [1, 2]
    assert not any(rows(engine, tables.set_aside) for engine in engines.values())
    assert {row["origin"] for row in rows(engines["west"], tables.origins)} == {tellers["west"].origin}


def test_a_broker_that_comes_back_says_nothing_of_the_other(engines: dict[str, Engine]) -> None:
    """A new connection makes the state of every one of its own units unknown until the broker has reported it."""
    for engine in engines.values():
        Store(engine).write([UnitMessage("floor-01", "status", ONLINE, START_NS)], [])
    Store(engines["east"]).connected()
    assert [row["state"] for name in NAMES for row in rows(engines[name], tables.units)] == [None, "online"]


def test_a_schema_that_is_not_there(server: Postgres) -> None:
    with pytest.raises(BadInput, match="schema"):
        database.open_writer(url_of(server, "nowhere"))


def test_two_ingests_with_two_brokers(
    server: Postgres, engines: dict[str, Engine], tmp_path: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real brokers and processes: one is killed, and the other's events continue."""
    folders = [tmp_path / name for name in NAMES]
    for name, folder in zip(NAMES, folders, strict=True):
        folder.mkdir()
        (run_dir / name).mkdir()
    with (
        Broker(folders[0] / "broker") as east_broker,
        Broker(folders[1] / "broker") as west_broker,
        Kept(folders[0], run_dir / "east", east_broker.port) as east_floor,
        Kept(folders[1], run_dir / "west", west_broker.port) as west_floor,
        Ingesting(folders[0], east_broker.port, east_floor.signers) as east,
        Ingesting(folders[1], west_broker.port, west_floor.signers) as west,
    ):
        floors, ingests = (east_floor, west_floor), (east, west)
        for name, floor, ingest in zip(NAMES, floors, ingests, strict=True):
            ingest.words += ["--key", str(floor.desk_key)]
            ingest.words[ingest.words.index("--db") + 1] = url_of(server, name)
            ingest.start()
            until(lambda: "session_new" in ingest.said())  # noqa: B023 - asked before it changes
            floor.reporter(desk_s=3)
        east_floor.events(30)
        west_floor.events(20)
        until(lambda: (east_floor.confirmed, west_floor.confirmed) == (30, 20), 60, east.said() + west.said())
        east.kill()
        east_floor.events(5)
        west_floor.events(20)
        until(lambda: west_floor.confirmed == 40, 60, west.said())
        assert east_floor.confirmed == 30
        east.start()
        until(lambda: east_floor.confirmed == 35, 60, east.said())
        assert [ingest.end() for ingest in ingests] == [0, 0]
    assert [seqs(engines[name]) for name in NAMES] == [list(range(1, 36)), list(range(1, 41))]
    assert cli.main(["desk", "calls", "--db", url_of(server, "east"), "--json"]) == 0
    assert "Traceback" not in capsys.readouterr().err
