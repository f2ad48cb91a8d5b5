# SPDX-License-Identifier: Apache-2.0
"""The search compared with a simple reading of all rows, in both databases, and its use of the indexes."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from calls_rig import at, call, fill, fits, order, recorded, walk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, delete, select

from linetap_bench.measure import generatedcalls
from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput
from linetap_desk.calls import query
from linetap_desk.calls.criteria import STATES, Leg, SearchCriteria, Seat, legs
from linetap_desk.calls.reading import Cursor, Reading, Statement, Way
from linetap_desk.ingest import database, tables
from postgres_rig import Postgres

UNITS = ("floor-03", "floor-04", "a-1")
DISPOSITIONS = ("recorded", "missed", "skipped", "fax", None)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        if request.param == "sqlite":
            engine = database.open_writer(f"sqlite:///{folder}/desk.db")
            yield engine
            engine.dispose()
            return
        with Postgres() as server:
            engine = database.open_writer(server.url)
            yield engine
            engine.dispose()


times = st.integers(0, 5)  # few, so that several calls begin at the same moment


@st.composite
def a_call(draw: st.DrawFn) -> dict[str, Any]:
    its = call(draw(st.sampled_from(UNITS)), draw(st.integers(1, 3)), draw(times))
    return its | {
        "call_id": its["call_id"] + draw(st.sampled_from(["", "-2", "~x", "가'; DROP TABLE calls --"])),
        "direction": draw(st.sampled_from(["in", "out", None])),
        "disposition": draw(st.sampled_from(DISPOSITIONS)),
        "mark": draw(st.sampled_from([None, None, "abuse", "other"])),
        **{
            name: draw(st.sampled_from([None, at(90)]))
            for name in ("ended_at", "sealed_at", "copied_at", "held_at", "destroyed_at")
        },
    }


@st.composite
def a_search(draw: st.DrawFn) -> SearchCriteria:
    def time(value: int | None) -> str | None:
        return None if value is None else at(value)

    some = st.sampled_from([None, None, 2, 4]).map(time)
    seat = st.builds(Seat, st.sampled_from(UNITS), st.sampled_from([None, 1, 2]), some, some)
    # A line has one seat at a time: departments.py makes no others.
    seats = st.lists(seat, max_size=4, unique_by=lambda one: one.unit)
    return SearchCriteria(
        since=time(draw(st.sampled_from([None, None, 1, 3]))), until=time(draw(st.sampled_from([None, None, 3, 5]))),
        unit=draw(st.sampled_from([None, None, None, *UNITS])), line=draw(st.sampled_from([None, None, 1, 2])),
        seats=draw(st.none() | seats),
        direction=draw(st.sampled_from([None, None, "in", "out"])),
        disposition=draw(st.sampled_from([None, None, "recorded", "missed"])),
        mark=draw(st.sampled_from([None] * 6 + ["any", "abuse"])),
        state=draw(st.sampled_from([None] * 6 + [*STATES])),
    )  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(a_call(), max_size=60, unique_by=lambda row: (row["unit"], row["call_id"])),
    criteria=a_search(),
    size=st.integers(1, 7),
    chunk=st.sampled_from([1, 3, 4000]),
    way=st.sampled_from(["older", "newer"]),
)
def test_as_a_plain_reading_has_it(
    engine: Engine, rows: list[dict[str, Any]], criteria: SearchCriteria, size: int, chunk: int, way: Way
) -> None:
    """For any size of a page, and any number of search steps."""
    with engine.begin() as db:
        db.execute(delete(tables.calls))
    fill(engine, rows)
    with pytest.MonkeyPatch.context() as patch, engine.connect() as db:
        for name, value in (("CHUNK", chunk), ("BUDGET", 2 * chunk), ("LEAST", chunk)):
            patch.setattr(query, name, value)
        pages = walk(db, criteria, size, way)
    expected = sorted((row for row in rows if fits(row, criteria)), key=order, reverse=True)
    found = [row for page in (pages if way == "older" else reversed(pages)) for row in page]
    assert found == expected


class TestPages:
    @pytest.fixture
    def db(self, tmp_path: Path) -> Iterator[Connection]:
        engine = database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
        fill(engine, [recorded(seconds=second) for second in range(25)])
        with engine.connect() as db:
            yield db
        engine.dispose()

    def test_there_and_back(self, db: Connection) -> None:
        first = query.page(db, SearchCriteria(), None, 10)
        second = query.page(db, SearchCriteria(), first.older, 10)
        third = query.page(db, SearchCriteria(), second.older, 10)
        assert [len(page.rows) for page in (first, second, third)] == [10, 10, 5]
        assert first.newer is None
        assert third.older is None
        assert query.page(db, SearchCriteria(), third.newer, 10).rows == second.rows
        again = query.page(db, SearchCriteria(), second.newer, 10)
        assert again.rows == first.rows
        assert again.newer is None
        assert again.older == first.older

    def test_what_comes_in_meanwhile_shifts_nothing(self, db: Connection) -> None:
        first = query.page(db, SearchCriteria(), None, 10)
        fill(db.engine, [recorded(seconds=second + 0.5) for second in range(15, 40)])
        second = query.page(db, SearchCriteria(), first.older, 10)
        assert [row["began_at"] for row in second.rows] == [at(14 - n) for n in range(10)]

    @pytest.mark.parametrize("way", ["older", "newer"])
    def test_of_one_moment_none_is_passed_over(self, db: Connection, way: Way) -> None:
        rows = [recorded(f"tie-{n:02d}", line, 9000) for n in range(6) for line in (1, 2)]
        fill(db.engine, rows)
        pages = walk(db, SearchCriteria(since=at(9000)), 5, way)
        found = [order(row) for page in (pages if way == "older" else reversed(pages)) for row in page]
        assert found == sorted(map(order, rows), reverse=True)

    @pytest.mark.parametrize("way", ["older", "newer"])
    def test_of_several_places_the_one_that_looked_least_far_counts(
        self, db: Connection, monkeypatch: pytest.MonkeyPatch, way: Way
    ) -> None:
        """Twenty calls of one place in the time of five of another: a page must not skip the twenty."""
        for name in ("CHUNK", "BUDGET", "LEAST"):
            monkeypatch.setattr(query, name, 4)
        rows = [recorded("floor-04", 1, 5 * n) for n in range(5)] + [recorded("floor-05", 1, n) for n in range(20)]
        fill(db.engine, rows)
        criteria = SearchCriteria(seats=[Seat("floor-04", 1), Seat("floor-05", 1)], direction="in")
        pages = walk(db, criteria, 50, way)
        found = [order(row) for page in (pages if way == "older" else reversed(pages)) for row in page]
        assert found == sorted(map(order, rows), reverse=True)
        assert len(pages) > 3

    def test_how_far_it_has_looked(self, db: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("CHUNK", "BUDGET", "LEAST"):
            monkeypatch.setattr(query, name, 5)
        page = query.page(db, SearchCriteria(direction="out"))
        assert (page.rows, page.looked_to, page.older) == ([], at(20), Cursor("older", at(20)))
        assert query.page(db, SearchCriteria(direction="in")).looked_to == at(20)
        assert query.page(db, SearchCriteria(direction="in"), None, 3).looked_to is None

    @pytest.mark.parametrize(
        "token",
        ["", "x", "older", "older~soon", "older~2026-11-24T00:00:00.000Z~A~b", "newer~2026-11-24T00:00:00.000Z~"],
    )
    def test_a_token_that_is_none(self, token: str) -> None:
        with pytest.raises(BadInput):
            Cursor.parse(token)

    def test_too_many_places(self, db: Connection) -> None:
        with pytest.raises(BadInput, match="at most 64"):
            query.page(db, SearchCriteria(seats=[Seat(f"unit-{n}") for n in range(65)]))


MIX = {
    "newest": SearchCriteria(),
    "span": SearchCriteria(since=at(0), until=at(9)),
    "unit": SearchCriteria(unit="floor-03"),
    "line": SearchCriteria(unit="floor-03", line=1, since=at(0), until=at(9)),
    "a line's way": SearchCriteria(unit="floor-03", line=1, direction="out", disposition="recorded", state="copied"),
    "a unit's disposition": SearchCriteria(unit="floor-03", disposition="fax"),
    "a line number anywhere": SearchCriteria(line=3),
    "disposition": SearchCriteria(disposition="fax", direction="in"),
    "direction": SearchCriteria(direction="unknown"),
    "marks": SearchCriteria(mark="any"),
    "a unit's marks": SearchCriteria(unit="floor-03", line=1, mark="abuse", disposition="recorded"),
    "a department": SearchCriteria(
        seats=[Seat("floor-03", 1), Seat("floor-04", 2, at(0), at(9))], disposition="missed"
    ),
    **{state: SearchCriteria(state=state) for state in STATES},
    **{
        f"a unit's {state}": SearchCriteria(unit="floor-03", line=2, state=state, disposition="recorded")
        for state in STATES
    },
}


@pytest.fixture(scope="module")
def unknown() -> Iterator[Connection]:
    """A database as made by the ingest, without ANALYZE."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        engine = database.open_writer(f"sqlite:///{folder}/desk.db")
        with engine.connect() as db:
            yield db
        engine.dispose()


class TestPlans:
    @pytest.mark.parametrize("name", MIX)
    @pytest.mark.parametrize("way", ["older", "newer"])
    @pytest.mark.parametrize("cursor", [None, Cursor("older", at(5)), Cursor("older", at(5), "floor-03", "x")])
    def test_no_search_reads_the_whole_table(
        self, unknown: Connection, name: str, way: Way, cursor: Cursor | None
    ) -> None:
        db = unknown
        parts = legs(MIX[name])
        for leg in parts:
            cursor = dataclasses.replace(cursor, way=way) if cursor is not None else None
            reading = Reading(db, way, whole=len(parts) == 1)
            look = self.plan(db, *reading.rows_query(leg, cursor, 50, at(1) if leg.rest else None))
            assert self.index(look) == self.index_of(leg)
            if leg.rest:
                fence = self.plan(db, *reading.fence_query(leg, cursor, 100))
                assert self.index(fence) == self.index_of(leg)
                assert all("COVERING INDEX" in step for step in fence if " calls " in step)

    def test_of_several_places_the_index_has_the_keys(self, unknown: Connection) -> None:
        criteria = SearchCriteria(
            seats=[Seat("floor-03", 1), Seat("floor-04", 2)], disposition="missed", direction="in"
        )
        reading, (leg, _) = Reading(unknown, "older", whole=False), legs(criteria)
        (step,) = self.plan(unknown, *reading.rows_query(leg, None, 50, at(1)))
        assert step.startswith("SEARCH calls USING COVERING INDEX calls_at_line")  # and nothing is left to be sorted
        steps = self.plan(unknown, reading.filled_query([{"unit": "a", "call_id": "b"}]), {})
        assert any("(unit=? AND call_id=?)" in step for step in steps)

    def plan(self, db: Connection, criteria: Statement, values: dict[str, Any]) -> list[str]:
        made = criteria.params(values).compile(db.engine, compile_kwargs={"literal_binds": True})
        steps = [row[3] for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {made}")]
        assert not [step for step in steps if step.startswith("SCAN calls")]
        assert not [step for step in steps if "TEMP B-TREE" in step and "LAST" not in step]  # all rows would be sorted
        return steps

    def index(self, steps: list[str]) -> str:
        (found,) = [step.split("INDEX ")[1].split()[0] for step in steps if step.startswith("SEARCH calls ")]
        return found

    def index_of(self, leg: Leg) -> str:
        """The index that the leg's first column names."""
        text = " ".join(str(one) for one in leg.by)
        columns = {"ended_at": "in_progress", "mark": "marked", "held_at": "held", "destroyed_at": "gone"}
        columns |= {"line": "at_line", "unit": "unit", "disposition": "disposition"}
        return "calls_" + next((name for column, name in columns.items() if column in text), "began")


@contextlib.contextmanager
def counting(db: Connection) -> Iterator[Callable[[], int]]:
    """Counts the steps of SQLite's machine, to a hundred."""
    driver, hundreds = db.connection.driver_connection, [0]
    assert driver is not None

    def counted() -> int:
        hundreds[0] += 1
        return 0

    driver.set_progress_handler(counted, 100)
    try:
        yield lambda: hundreds[0] * 100
    finally:
        driver.set_progress_handler(None, 0)


class TestWork:
    """The cost of a search does not grow with the table. Measured in steps of SQLite's machine, without a clock."""

    CALLS, ROWS, STEPS = 40_000, 400, 30_000

    @pytest.fixture(scope="class")
    @classmethod
    def many(cls) -> Iterator[Connection]:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            generatedcalls.make(Path(folder) / "desk.db", cls.CALLS)
            engine = database.open_reader(f"sqlite:///{folder}/desk.db")
            with engine.connect() as db:
                yield db
            engine.dispose()

    @pytest.mark.parametrize("name", MIX)
    @pytest.mark.parametrize("way", ["older", "newer"])
    def test_it_is_bounded(self, many: Connection, name: str, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
        for setting, value in (("CHUNK", self.ROWS // 2), ("BUDGET", self.ROWS), ("LEAST", self.ROWS // 2)):
            monkeypatch.setattr(query, setting, value)
        made = dataclasses.replace(MIX[name], since=None, until=None)
        middle = rfc3339((generatedcalls.FIRST_NS + generatedcalls.LAST_NS) // 2)
        for cursor in (Cursor(way, middle), Cursor(way, middle, "floor-003", "x")):
            with counting(many) as steps:
                query.page(many, made, cursor)
            assert steps() < self.STEPS

    def test_what_it_is_held_against(self, many: Connection) -> None:
        with counting(many) as steps:
            many.exec_driver_sql("SELECT count(*) FROM calls WHERE gaps_ms > 0").scalar()
        assert steps() > 2 * self.STEPS


class TestPostgresql:
    """PostgreSQL with statistics, and one table: a page's reads do not grow with it. Measured in rows,
    without a clock.
    """

    CALLS, ROWS = 60_000, 1_000

    @pytest.fixture(scope="class")
    @classmethod
    def many(cls) -> Iterator[Connection]:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, Postgres() as server:
            generatedcalls.make(Path(folder) / "desk.db", cls.CALLS)
            generatedcalls.copy(Path(folder) / "desk.db", server.url)
            engine = database.open_reader(server.url)
            with engine.connect() as db:
                yield db
            engine.dispose()

    @pytest.mark.parametrize("name", MIX)
    @pytest.mark.parametrize("way", ["older", "newer"])
    def test_no_search_reads_the_whole_table(self, many: Connection, name: str, way: Way) -> None:
        criteria = dataclasses.replace(MIX[name], since=None, until=None)
        middle = rfc3339((generatedcalls.FIRST_NS + generatedcalls.LAST_NS) // 2)
        for leg in legs(criteria):
            reading = Reading(many, way, whole=True)
            for cursor in (Cursor(way, middle), Cursor(way, middle, "floor-003", "x")):
                fence, _ = reading.fence(leg, cursor, self.ROWS) if leg.rest else (None, 0)
                assert self.read(many, *reading.rows_query(leg, cursor, 50, fence)) <= 2 * self.ROWS

    def test_what_it_is_held_against(self, many: Connection) -> None:
        assert self.read(many, select(tables.calls.c.unit).where(tables.calls.c.gaps_ms > 0), {}) == self.CALLS

    def read(self, db: Connection, asked: Statement, values: dict[str, Any]) -> int:
        """Rows read by the statement's scans, of the table or an index."""
        made = asked.params(values).compile(db.engine, compile_kwargs={"literal_binds": True})
        (plan,) = db.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {made}".replace("%", "%%")).one()
        scans = [node for node in _nodes(plan) if "Scan" in node["Node Type"]]
        assert scans
        return sum(
            round((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
            for node in scans
        )


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, list):
        for each in plan:
            yield from _nodes(each)
    elif isinstance(plan, dict):
        if "Node Type" in plan:
            yield plan
        for each in plan.values():
            yield from _nodes(each)
