# SPDX-License-Identifier: Apache-2.0
"""Partitions of `calls` in PostgreSQL: made ahead, made for what is late, and for nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from calls_rig import EMPTY, fill
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError

from ingest_rig import rows
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_desk.ingest import database, months, tables
from postgres_rig import Postgres

DAY_NS = 86_400 * NS_PER_S
NOW_NS = parse_rfc3339("2026-11-24T22:56:00Z")


@pytest.fixture
def engine(server: Postgres) -> Iterator[Engine]:
    engine = database.open_writer(server.url)
    yield engine
    tables.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS, 5 * NS_PER_S)


def named(*call_ids: str) -> list[dict[str, object]]:
    began = "2026-11-24T22:56:00.000Z"
    return [EMPTY | {"unit": "floor-03", "call_id": one, "line": 1, "began_at": began} for one in call_ids]


def lying(engine: Engine) -> dict[str, list[str]]:
    """Partition -> the names in it."""
    asked = text("SELECT tableoid::regclass::text, call_id FROM calls ORDER BY call_id")
    with engine.connect() as db:
        found: dict[str, list[str]] = {name: [] for name in months.parts(db)}
        for part, call_id in db.execute(asked):
            found[part].append(call_id)
    return found


def test_this_month_and_the_next(engine: Engine, clock: ManualClock) -> None:
    looking = months.Months(engine, clock)
    looking.look()
    assert sorted(lying(engine)) == ["calls_202611", "calls_202612", "calls_other"]
    clock.advance(7 * DAY_NS)
    looking.look()
    assert "calls_202701" in lying(engine)


def test_what_came_before_its_month_had_a_partition_is_moved(engine: Engine, clock: ManualClock) -> None:
    late, first = "20250228T235959.999Z-L01", "20261101T000000.000Z-L01"
    ahead, second = "20261231T235959.999Z-L01-2", "20261130T235959.999Z-L02"
    fill(engine, named(late, first, ahead, second))
    before = rows(engine, tables.calls)
    months.Months(engine, clock).look()
    assert lying(engine) == {
        "calls_202502": [late], "calls_202611": [first, second], "calls_202612": [ahead], "calls_other": [],
    }  # fmt: skip
    assert rows(engine, tables.calls) == before


def test_an_absurd_month_makes_no_partition(engine: Engine, clock: ManualClock) -> None:
    odd = ["", "19700101T000000.000Z-L01", "20161031T235959.999Z-L01", "20261", "20270101T000000.000Z-L01",
           "99991231T235959.999Z-L01", "가", "x'; DROP TABLE calls --"]  # fmt: skip
    fill(engine, named(*odd, "20161101T000000.000Z-L01"))
    months.Months(engine, clock).look()
    assert sorted(lying(engine)) == ["calls_201611", "calls_202611", "calls_202612", "calls_other"]
    assert lying(engine)["calls_other"] == sorted(odd)


def test_there_is_a_bound(engine: Engine, clock: ManualClock) -> None:
    fill(
        engine, named(*(f"{year}{month:02d}01T000000.000Z-L01" for year in range(1900, 2100) for month in range(1, 13)))
    )
    months.Months(engine, clock).look()
    assert len(lying(engine)) == months.BACK + 1 + months.AHEAD + 1


def test_every_partition_has_every_index(engine: Engine, clock: ManualClock) -> None:
    months.Months(engine, clock).look()
    with engine.connect() as db:
        lacking = text(
            "SELECT count(*) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
            " WHERE indrelid = 'calls_202611'::regclass AND NOT relispartition"
        )
        assert db.execute(lacking).scalar_one() == 0
        assert len(inspect(db).get_indexes("calls_202611")) == len(tables.calls.indexes)


def test_a_name_is_there_once(engine: Engine, clock: ManualClock) -> None:
    """The key is the table's, not a partition's."""
    looking = months.Months(engine, clock)
    looking.look()
    for name in ("20261124T225600.000Z-L01", "nameless"):
        fill(engine, named(name))
        with pytest.raises(IntegrityError):
            fill(engine, named(name))


def test_whoever_reads_does_not_hold_up_the_ingest(
    engine: Engine, clock: ManualClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who stays keeps a partition from being made, and nothing else; later it is made."""
    monkeypatch.setattr(months, "LOCK_S", 0.05)
    name = "20261124T225600.000Z-L01"
    looking = months.Months(engine, clock)
    with engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM calls")).scalar_one()
        looking.look()
        assert "month_waits" in caplog.text
        fill(engine, named(name))
    assert lying(engine) == {"calls_other": [name]}
    clock.advance(months.EVERY_S * NS_PER_S)
    looking.look()
    assert lying(engine) == {"calls_202611": [name], "calls_202612": [], "calls_other": []}


def test_who_reads_a_month_reads_on_while_another_is_made(engine: Engine, clock: ManualClock) -> None:
    months.Months(engine, clock).look()
    with engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM calls WHERE call_id LIKE '2026%'")).scalar_one()
        reader.rollback()
        reader.execute(text("SELECT count(*) FROM calls WHERE call_id >= '202611' AND call_id < '202612'")).scalar_one()
        clock.advance(31 * DAY_NS)
        months.Months(engine, clock).look()
        assert "calls_202701" in lying(engine)


@pytest.mark.parametrize(
    ("low", "high", "names"),
    [
        ("", None, ("", "999913")),
        ("2026-11-24T00:00:00.000Z", "2026-11-25T00:00:00.000Z", ("202611", "202612")),
        ("9999-12-31T00:00:00.000Z", "9999-12-31T00:00:00.000Z", ("999912", "999913")),
        ("2026-12-31T00:00:00.000Z", "2027-01-01T00:00:00.000Z", ("202612", "202702")),
        ("999-11-24T00:00:00.000Z", "1-01-01T00:00:00.000Z", ("", "999913")),  # as our clock writes such a year
    ],
)
def test_the_names_of_a_time(low: str, high: str | None, names: tuple[str, str]) -> None:
    assert months.names_between(low, high) == names


def test_the_first_moment_of_a_month_may_be_left_out() -> None:
    assert months.names_between("", "2027-01-01T00:00:00.000Z", beyond=True) == ("", "202701")
    assert months.names_between("", "2027-01-01T00:00:00.001Z", beyond=True) == ("", "202702")
