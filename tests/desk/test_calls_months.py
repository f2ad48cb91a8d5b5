# SPDX-License-Identifier: Apache-2.0
"""A search in months finds what one of the whole finds, whatever units have named their calls, and reads few months."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from calls_rig import EMPTY, fill, fits, order, walk
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, event, select, text

from linetap_bench.measure import callsmade
from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap_desk.calls import query, reading
from linetap_desk.calls.bounds import Cursor, Way
from linetap_desk.calls.criteria import STATES, Seat, Wanted, legs
from linetap_desk.calls.reading import Reading
from linetap_desk.ingest import database, months, tables
from postgres_rig import Postgres

UNITS = ("floor-03", "a-1")
# On both sides of the edges of months that have a partition, and of those that have none.
TIMES = (
    "0001-01-01T00:00:00.000Z", "1970-01-01T00:00:07.000Z", "2024-02-29T12:00:00.000Z", "2026-09-30T23:59:59.999Z",
    "2026-10-01T00:00:00.000Z", "2026-10-31T23:59:59.999Z", "2026-11-01T00:00:00.000Z", "2026-11-24T22:56:00.000Z",
    "2026-11-24T22:56:00.000Z", "2027-01-01T00:00:00.000Z", "2031-05-05T05:05:05.555Z", "9999-12-31T23:59:59.999Z",
)  # fmt: skip
PARTS = ("2024-02", "2026-09", "2026-10", "2026-11", "2026-12")
OLD_YEARS = ("1-01-01T00:00:00.000Z", "999-12-01T00:00:00.000Z")  # as our clock writes them
BEGINNING = "0000-00-00T00:00:00.000Z"
NAMES = ("1-011T", "999-2-", "999-0-1", "202611", "2026-11-24", "999913", "가", "x'; DROP TABLE calls --")


@dataclass
class Both:
    sqlite: Engine
    postgresql: Engine

    def hold(self, calls: list[dict[str, Any]]) -> None:
        for engine in (self.sqlite, self.postgresql):
            with engine.begin() as db:
                db.execute(delete(tables.calls))
            fill(engine, calls)


@pytest.fixture(scope="module")
def both(server: Postgres) -> Iterator[Both]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        both = Both(database.open_writer(f"sqlite:///{folder}/desk.db"), database.open_writer(server.url))
        with both.postgresql.begin() as db:
            for name in PARTS:
                number = months.number_of(f"{name}-01T")
                assert number is not None
                months.make(db, number)
        yield both
        tables.metadata.drop_all(both.postgresql)
        both.sqlite.dispose()
        both.postgresql.dispose()


def compact(time: str) -> str:
    return time.replace("-", "").replace(":", "")


@st.composite
def a_call(draw: st.DrawFn) -> dict[str, Any]:
    """Its name says when it began, or another time (the clock was set), or none."""
    began = draw(st.sampled_from(TIMES + OLD_YEARS))
    said = draw(st.just(began) | st.just(began) | st.sampled_from(TIMES))
    line = draw(st.integers(1, 2))
    name = draw(
        st.just(f"{compact(said)}-L{line:02d}") | st.just(f"{compact(said)}-L{line:02d}") | st.sampled_from(NAMES)
    )
    return EMPTY | {
        "unit": draw(st.sampled_from(UNITS)), "call_id": name + draw(st.sampled_from(["", "-2"])), "line": line,
        "began_at": began, "direction": draw(st.sampled_from(["in", "out"])),
        "disposition": draw(st.sampled_from(["recorded", "missed", None])),
        "mark": draw(st.sampled_from([None, None, "abuse"])),
        "destroyed_at": draw(st.sampled_from([None, None, TIMES[-1]])),
    }  # fmt: skip


@st.composite
def a_search(draw: st.DrawFn) -> Wanted:
    some = st.none() | st.sampled_from(TIMES)
    seat = st.builds(Seat, st.sampled_from(UNITS), st.sampled_from([None, 1, 2]), some, some)
    return Wanted(
        since=draw(some), until=draw(some), unit=draw(st.sampled_from([None, None, *UNITS])),
        line=draw(st.sampled_from([None, None, 1])),
        seats=draw(st.none() | st.none() | st.lists(seat, max_size=2, unique_by=lambda one: one.unit)),
        direction=draw(st.sampled_from([None, None, "in"])),
        disposition=draw(st.sampled_from([None, None, "recorded"])),
        mark=draw(st.sampled_from([None] * 4 + ["any"])), state=draw(st.sampled_from([None] * 6 + [*STATES])),
    )  # fmt: skip


def one(began: str, name: str) -> dict[str, Any]:
    return EMPTY | {"unit": "a-1", "call_id": name, "line": 1, "began_at": began}


# Looked for together, though one place was given up long before the other.
PLACES = Wanted(seats=[Seat("floor-03", until=TIMES[3]), Seat("a-1", until=TIMES[9])])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(a_call(), max_size=25, unique_by=lambda row: (row["unit"], row["call_id"])),
    wanted=a_search(),
    size=st.integers(1, 7),
    chunk=st.sampled_from([1, 3, 4000]),
    way=st.sampled_from(["older", "newer"]),
    many=st.sampled_from([1, 2, 99]),
)
@example([one(TIMES[7], "20240229T120000.000Z-L01")], Wanted(since=TIMES[6], until=TIMES[9]), 1, 1, "older", 99)
@example([one(TIMES[7], "nameless")], Wanted(since=TIMES[6], until=TIMES[9], line=1), 1, 1, "newer", 99)
@example([one(OLD_YEARS[1], "999-2-"), one(TIMES[-1], "99991231T235959.999Z-L01")], Wanted(line=1), 1, 1, "newer", 99)
@example([one(TIMES[7], "20261124T225600.000Z-L01")], PLACES, 1, 1, "older", 1)
def test_both_databases_find_the_same(
    both: Both, calls: list[dict[str, Any]], wanted: Wanted, size: int, chunk: int, way: Way, many: int
) -> None:
    """And what a plain reading of all rows finds; page by page, in however many steps it is looked."""
    both.hold(calls)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("CHUNK", chunk), ("BUDGET", 2 * chunk), ("LEAST", chunk)):
            patch.setattr(query, name, value)
        patch.setattr(reading, "MANY", many)
        for engine in (both.sqlite, both.postgresql):
            with engine.connect() as db:
                pages = walk(db, wanted, size, way, BEGINNING)
            found.append([row for page in (pages if way == "older" else reversed(pages)) for row in page])
    expected = sorted((row for row in calls if fits(row, wanted)), key=order, reverse=True)
    assert found == [expected, expected]


_PARENTS = (
    "SELECT own.relname, up.relname FROM pg_inherits JOIN pg_class own ON own.oid = inhrelid"
    " JOIN pg_class up ON up.oid = inhparent WHERE up.relkind = 'I'"
)


def test_who_is_astray(both: Both) -> None:
    """Of a year of three digits too: in the order of a language it may lie anywhere among the others."""
    regular = [one(TIMES[7], "20261124T225600.000Z-L01"), one(TIMES[7], "20261101T000000.000Z-L01")]
    odd = [one(OLD_YEARS[1], "999-2-"), one(OLD_YEARS[0], "1-011T"), one(TIMES[7], "20261201T000000.000Z-L01"),
           one(TIMES[7], "nameless")]  # fmt: skip
    both.hold(regular + odd)
    with both.postgresql.connect() as db:
        found = set(db.execute(select(tables.calls.c.call_id).where(tables.ASTRAY)).scalars())
    assert found == {row["call_id"] for row in odd}


class TestPlans:
    """Three years of calls, and what PostgreSQL says it would read."""

    @pytest.fixture(scope="class")
    @classmethod
    def many(cls, server: Postgres) -> Iterator[Engine]:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            callsmade.make(Path(folder) / "desk.db", 60_000)
            url = f"{server.url}&options=-csearch_path%3Dmany"
            engine = database.connecting(database.parse(server.url), "", "")
            with engine.begin() as db:
                db.execute(text("CREATE SCHEMA many"))
            engine.dispose()
            callsmade.copy(Path(folder) / "desk.db", url)
        engine = database.open_writer(url)
        yield engine
        engine.dispose()

    def reads(self, engine: Engine, wanted: Wanted, cursor: Cursor | None = None, way: Way = "older") -> list[set[str]]:
        """Of each piece of its one leg the partitions, and the indexes of the whole table that lead there."""
        found = []
        with engine.connect() as db:
            (leg,) = legs(wanted)
            looking = Reading(db, way, whole=True)
            for piece in looking.spans(leg, cursor):
                statement, values = looking.rows_asked(piece, cursor, 51, None)
                made = statement.params(values).compile(db.engine, compile_kwargs={"literal_binds": True})
                (plan,) = db.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {made}".replace("%", "%%")).one()
                parents = {row[0]: row[1] for row in db.execute(text(_PARENTS))}
                nodes = list(nodes_of(json.loads(plan) if isinstance(plan, str) else plan))
                found.append(
                    {node["Relation Name"] for node in nodes if "Relation Name" in node}
                    | {f"by {parents[node['Index Name']]}" for node in nodes if "Index Name" in node}
                )
        return found

    def week(self, day: str, **more: Any) -> Wanted:
        began_ns = parse_rfc3339(f"{day}T00:00:00Z")
        return Wanted(since=rfc3339(began_ns), until=rfc3339(began_ns + 7 * 86_400 * NS_PER_S), **more)

    def test_a_week_is_in_its_month(self, many: Engine) -> None:
        asked = self.week("2025-03-10", unit="floor-003", line=2)
        assert self.reads(many, asked) == [{"calls_202503", "by calls_at_line"}]

    def test_a_week_over_an_edge_is_in_two(self, many: Engine) -> None:
        asked = self.week("2025-03-28")
        assert self.reads(many, asked) == [{"calls_202503", "calls_202504", "by calls_began"}]

    def test_a_page_without_an_end_begins_with_two(self, many: Engine) -> None:
        older, newer = (
            self.reads(many, Wanted(unit="floor-003", line=2), Cursor(way, "2025-03-10T00:00:00.000Z"), way)
            for way in ("older", "newer")
        )
        assert {name for name in older[0] if not name.startswith("by ")} == {"calls_202502", "calls_202503"}
        assert {name for name in newer[0] if not name.startswith("by ")} == {"calls_202503", "calls_202504"}
        assert (len(older), len(newer)) == (3, 3)

    def test_the_newest_are_looked_for_in_the_newest(self, many: Engine) -> None:
        assert self.reads(many, Wanted())[0] == {"calls_202611", "calls_202612", "calls_other", "by calls_began"}

    def test_a_department_is_asked_for_at_once(self, many: Engine) -> None:
        """Not once or twice a line: that took five times as long as what was read. Nor in all months."""
        seats = [Seat(f"floor-{number:03d}", 2) for number in range(1, query.BUDGET // query.LEAST + 1)]
        asked: list[tuple[str, Any]] = []

        def note(_db: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
            asked.append((statement, values))

        with many.connect() as db:
            event.listen(many, "before_cursor_execute", note)
            found = query.page(db, self.week("2025-03-10", seats=seats, disposition="recorded")).rows
            event.remove(many, "before_cursor_execute", note)
            assert len(asked) <= 6
            (together, *_) = [one for one in asked if "LATERAL" in one[0]]
            (plan,) = db.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {together[0]}", together[1]).one()
        assert {node["Relation Name"] for node in nodes_of(plan) if "Relation Name" in node} == {"calls_202503"}
        assert {row["unit"] for row in found} <= {seat.unit for seat in seats}
        assert len(found) > 10

    def test_a_call_is_looked_for_in_its_month(self, many: Engine) -> None:
        with many.connect() as db:
            statement = Reading(db, "older", whole=True).filled_asked(
                [{"unit": "floor-003", "call_id": f"2025{month}10T000000.000Z-L02"} for month in ("03", "05")]
            )
            made = statement.compile(db.engine, compile_kwargs={"literal_binds": True})
            (plan,) = db.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {made}").one()
        nodes = list(nodes_of(plan))
        assert {node["Relation Name"] for node in nodes if "Relation Name" in node} == {"calls_202503", "calls_202505"}
        assert not [node for node in nodes if node["Node Type"] == "Seq Scan"]


def nodes_of(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, list):
        for each in plan:
            yield from nodes_of(each)
    elif isinstance(plan, dict):
        if "Node Type" in plan:
            yield plan
        for each in plan.values():
            yield from nodes_of(each)
