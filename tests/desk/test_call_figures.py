# SPDX-License-Identifier: Apache-2.0
"""The end of a call, stored by the ingest from signed events; and the figures of destroyed calls, which stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from ingest_rig import Teller, rows, trusted
from linetap_core.clock import NS_PER_DAY, parse_rfc3339, rfc3339
from linetap_desk.ingest import database, destroyedcalls, tables
from linetap_desk.ingest.store import Store
from postgres_rig import Postgres

CALL = "20261130T150500.000Z-L02"  # 00:05 of 1 December in Seoul
AT_NS = parse_rfc3339("2026-11-30T15:05:00Z")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("server")
        url = server.url
    engine = database.open_writer(url)
    yield engine
    tables.metadata.drop_all(engine)
    engine.dispose()


class Unit:
    def __init__(self, folder: Path, engine: Engine) -> None:
        self.teller, self.engine, self._told = Teller(folder / "unit"), engine, 0

    def tell(self, event: Any, call_id: str = CALL, seconds: int = 0, **more: Any) -> None:
        at = rfc3339(AT_NS + seconds * 1_000_000_000)
        self.teller.tell(event, at=at, call_id=call_id, line=2, **more)

    def ended(self, situation: str = "abuse", call_id: str = CALL, **more: Any) -> None:
        self.tell("started", call_id, direction="in")
        self.tell("ending", call_id, 30, situation=situation)
        self.tell("ended", call_id, 40, disposition="recorded", duration_s=1300.0, situation=situation)
        said = {"proof": "full", "seen_by": "dial_tone", "steps": ["warned", "extended"], "situation": situation} | more
        self.tell("sealed", call_id, 41, disposition="recorded", **said)

    def heard(self) -> dict[str, Any]:
        """The row of its first call, once the desk has all reports."""
        Store(self.engine).write(self.teller.reports(self._told + 1), trusted(self.teller))
        self._told = self.teller.outbox.last_seq
        return rows(self.engine, tables.calls)[0]


@pytest.fixture
def unit(tmp_path: Path, engine: Engine) -> Unit:
    return Unit(tmp_path, engine)


def clear_all(engine: Engine, counts: bool = True) -> int:
    with engine.begin() as db:
        return destroyedcalls.clear_destroyed(db, counts=counts)


def figures(engine: Engine, table: Any) -> list[dict[str, Any]]:
    """The figures without zeros."""
    return [{name: value for name, value in row.items() if value} for row in rows(engine, table)]


def test_the_end_of_a_call_comes_into_its_row(unit: Unit) -> None:
    unit.ended()
    row = unit.heard()
    assert (row["situation"], row["seen_by"], row["proof"], row["steps"]) == (
        "abuse", "dial_tone", "full", "warned extended",
    )  # fmt: skip


def test_an_end_that_staff_stopped_did_not_end_the_call(unit: Unit) -> None:
    unit.tell("started")
    unit.tell("ending", situation="threat")
    unit.tell("end_cancelled", situation="threat")
    assert (unit.heard()["situation"], unit.heard()["steps"]) == (None, "end_cancelled")
    unit.tell("ended", disposition="recorded")
    unit.tell("sealed", disposition="recorded", proof="partial", steps=["end_cancelled", "end_far"])
    row = unit.heard()
    assert (row["situation"], row["seen_by"], row["proof"], row["steps"]) == (
        None, None, "partial", "end_cancelled end_far",
    )  # fmt: skip


def test_a_later_sealing_says_how_it_ended(unit: Unit) -> None:
    """The unit found it after its restart: the live event had no situation."""
    unit.tell("started")
    unit.tell("ended", disposition="recorded")
    assert unit.heard()["situation"] is None
    unit.tell("sealed", disposition="recorded", situation="overlong", seen_by="none")
    assert (unit.heard()["situation"], unit.heard()["seen_by"]) == ("overlong", "none")


def test_more_steps_than_there_can_be_are_cut(unit: Unit) -> None:
    unit.tell("started")
    unit.tell("sealed", disposition="recorded", steps=["end_far"] * 3000)
    row = unit.heard()
    assert row["disposition"] == "recorded"  # nothing else is lost
    assert row["steps"].split() == ["end_far"] * 64


def test_a_database_of_an_earlier_version_gets_the_columns(engine: Engine, unit: Unit) -> None:
    with engine.begin() as db:
        db.exec_driver_sql("DROP INDEX calls_by_situation")
        for name in ("situation", "seen_by", "proof", "steps"):
            db.exec_driver_sql(f"ALTER TABLE calls DROP COLUMN {name}")
        for table in (tables.cleared_days, tables.destroyed_days):
            table.drop(db)
    database.open_url(engine.url).dispose()
    unit.ended()
    assert unit.heard()["situation"] == "abuse"


def test_figures_outlive_the_calls_and_name_none(unit: Unit, engine: Engine) -> None:
    unit.ended()
    unit.ended("overlong", CALL.replace("0500", "0600"), seen_by="staff", proof="absent")
    unit.tell("started", "20261130T145000.000Z-L02", -900)
    unit.tell("sealed", "20261130T145000.000Z-L02", -800, disposition="recorded", mark="abuse", duration_s=901.0)
    unit.heard()
    for call_id in (CALL, CALL.replace("0500", "0600"), "20261130T145000.000Z-L02"):
        unit.tell("destroyed", call_id, 86400, why="retention")
    unit.heard()
    assert clear_all(engine) == 3
    assert [row["situation"] for row in rows(engine, tables.calls)] == [None] * 3
    one = {"unit": "floor-03", "line": 2, "calls": 1, "due": 1, "recorded": 1}
    end = one | {"judged": 1, "over_15": 1, "over_20": 1, "warned": 1, "extended": 1, "ended": 1}
    assert figures(engine, tables.cleared_days) == [
        one | {"day": "2026-11-30", "over_15": 1, "marked": 1},
        end | {"day": "2026-12-01", "situation": "abuse", "heard": 1, "freed": 1},
        end | {"day": "2026-12-01", "situation": "overlong"},
    ]
    assert clear_all(engine) == 0  # and once
    assert figures(engine, tables.destroyed_days) == [
        {"day": "2026-12-02", "unit": "floor-03", "line": 2, "destroyed": 3, "undated": 3}
    ]


@pytest.mark.parametrize(
    ("days", "found"), [(0.5, {"early": 1}), (1, {}), (1.9, {}), (2.1, {"late": 1})]
)  # fmt: skip
def test_whether_it_was_destroyed_in_time(unit: Unit, engine: Engine, days: float, found: dict[str, int]) -> None:
    unit.ended()
    unit.tell("destroyed", seconds=round(days * 86400))
    unit.heard()
    until = rfc3339(AT_NS + NS_PER_DAY)
    with engine.begin() as db:
        db.execute(tables.copies.insert().values(
            unit=unit.teller.unit, call_id=CALL, record_sha256="ab" * 32, until=until, stored_at=until,
            removed_at=until,
        ))  # fmt: skip
    assert clear_all(engine) == 1
    with engine.connect() as db:
        row = dict(
            db.execute(select(*(tables.destroyed_days.c[name] for name in tables.DESTROYED_FIGURES))).mappings().one()
        )
    assert row == {"destroyed": 1, "late": 0, "early": 0, "undated": 0} | found


def test_a_rebuilt_index_counts_nothing_twice(unit: Unit, engine: Engine) -> None:
    unit.ended()
    unit.tell("destroyed", seconds=90)
    unit.heard()
    assert clear_all(engine, counts=False) == 1
    assert not rows(engine, tables.cleared_days)
