# SPDX-License-Identifier: Apache-2.0
"""The PBXs' figures of a day: stored by the ingest from health, in the night's summary and the desk's figures, and in a
rebuilt index.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, create_engine, event, text

from ingest_rig import UNIT, Teller, rows, trusted
from linetap_core import cli
from linetap_core.clock import NS_PER_DAY, NS_PER_S, parse_rfc3339, rfc3339
from linetap_desk.ingest import database, metrics, tables
from linetap_desk.ingest.pbxdays import AHEAD_DAYS, KEPT_DAYS
from linetap_desk.ingest.register import LIMIT_BYTES, UnitMessage
from linetap_desk.ingest.store import Store
from linetap_desk.summary.command import MOST_NAMED, coverage, present_units, summary
from linetap_desk.summary.delivery import mail_text
from postgres_rig import Postgres

DAY = date(2026, 11, 25)
NOW_NS = parse_rfc3339("2026-11-25T15:11:00Z")  # 00:11 in Seoul
NAMES = ("floor-03", "floor-04", "floor-05", "floor-06")


class Desk:
    def __init__(self, engine: Engine, folder: Path, names: tuple[str, ...] = NAMES) -> None:
        self.engine = engine
        self.signers = trusted(*(Teller(folder / unit, unit=unit) for unit in names))

    def hear(self, unit: str = UNIT, day: object = DAY.isoformat(), now_ns: int = NOW_NS, **more: Any) -> None:
        said = {"at": rfc3339(now_ns), "outbox_seq": 1, "pbx_port": "open", "pbx_day": day, **told(1, 1, 0, 0), **more}
        self.take(json.dumps(said).encode(), unit, now_ns)

    def take(self, payload: bytes, unit: str = UNIT, now_ns: int = NOW_NS) -> None:
        Store(self.engine).write([UnitMessage(unit, "health", payload, now_ns)], self.signers)

    def kept(self, unit: str = UNIT) -> list[tuple[Any, ...]]:
        """Day, calls, recorded, missing, unseen."""
        return [tuple(row.values())[1:6] for row in rows(self.engine, tables.pbx_days) if row["unit"] == unit]

    def covered(self, day: date = DAY) -> dict[str, Any]:
        with self.engine.connect() as db:
            return coverage(db, day, present_units(db, None))


def told(calls: int, recorded: int, missing: int, unseen: int) -> dict[str, Any]:
    return {"pbx_calls": calls, "pbx_recorded": recorded, "pbx_missing": missing, "pbx_unseen": unseen}


@pytest.fixture(params=["sqlite", "postgresql"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "sqlite":
        engine = database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    else:
        server: Postgres = request.getfixturevalue("server")
        admin = create_engine(server.url)
        with admin.begin() as db:
            db.execute(text("DROP SCHEMA public CASCADE"))
            db.execute(text("CREATE SCHEMA public"))
        admin.dispose()
        engine = database.open_writer(server.url)
    yield Desk(engine, tmp_path)
    engine.dispose()


def test_a_day_is_kept_and_corrected_by_what_is_said_later(desk: Desk) -> None:
    desk.hear(**told(9, 6, 2, 1))
    assert desk.kept() == [("2026-11-25", 9, 6, 2, 1)]
    desk.hear(now_ns=NOW_NS + 60 * NS_PER_S, **told(9, 8, 0, 1))
    assert desk.kept() == [("2026-11-25", 9, 8, 0, 1)]
    desk.hear(day="2026-11-26", now_ns=NOW_NS + 86_400 * NS_PER_S)
    assert [kept[0] for kept in desk.kept()] == ["2026-11-25", "2026-11-26"]
    assert rows(desk.engine, tables.pbx_days)[0]["told_at"] == rfc3339(NOW_NS + 60 * NS_PER_S)


def test_what_is_said_again_is_not_written_again(desk: Desk) -> None:
    """Every unit sends them every 30 s."""
    desk.hear(**told(9, 6, 2, 1))
    written: list[str] = []

    @event.listens_for(desk.engine, "before_cursor_execute")
    def _seen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "pbx" in statement and not statement.startswith("SELECT"):
            written.append(statement)

    desk.hear(now_ns=NOW_NS + 30 * NS_PER_S, **told(9, 6, 2, 1))
    assert written == []
    desk.hear(pbx_port="shut", now_ns=NOW_NS + 60 * NS_PER_S, **told(9, 6, 3, 1))
    assert [statement.split()[:2] for statement in written] == [["UPDATE", "units"], ["UPDATE", "pbx_days"]]


@pytest.mark.parametrize("said", [
    {"day": None}, {"day": "yesterday"}, {"day": "2026-11-25; DROP"}, {"day": "2026-02-30"}, {"day": 20261125},
    {"day": "9999-12-31"}, {"day": "1970-01-01"},
    {"pbx_calls": -1}, {"pbx_calls": 10**9}, {"pbx_calls": 1.5}, {"pbx_calls": None}, {"pbx_missing": 1},
    {"pbx_unseen": "1"}, {"pbx_port": "x" * 100}, {"more": "x" * LIMIT_BYTES},
])  # fmt: skip
def test_what_cannot_be_is_not_kept_and_holds_up_nothing(desk: Desk, said: dict[str, Any]) -> None:
    desk.hear(**told(5, 5, 0, 0) | said)
    assert rows(desk.engine, tables.pbx_days) == []
    desk.take(b"[" * 10_000)
    desk.hear()
    assert len(desk.kept()) == 1


def test_figures_are_bounded_in_time_and_to_named_units(desk: Desk) -> None:
    today = datetime.fromtimestamp(NOW_NS / NS_PER_S, UTC).date()
    for ago in (KEPT_DAYS + 1, KEPT_DAYS, -AHEAD_DAYS, -AHEAD_DAYS - 1):
        desk.hear(day=(today - timedelta(days=ago)).isoformat())
    desk.hear("stranger")
    assert len(desk.kept()) == len(rows(desk.engine, tables.pbx_days)) == 2
    desk.hear(day=today.isoformat(), now_ns=NOW_NS + 86_400 * NS_PER_S)
    assert len(desk.kept()) == 2, "the oldest is gone"


def test_the_summary_names_who_differs_who_told_nothing_and_who_is_unknown(desk: Desk) -> None:
    desk.hear("floor-03", **told(120, 97, 2, 0))
    desk.hear("floor-04", **told(80, 80, 0, 3))
    desk.hear("floor-05", day=None)
    desk.take(b'{"at":"x","outbox_seq":1}', "floor-06")  # of an earlier version
    desk.hear("stranger", **told(500, 0, 500, 0))
    assert desk.covered() == {
        "told": {"units": 2, "calls": 200, "recorded": 177, "missing": 2, "unseen": 3},
        "percent": 99.0,
        "units_that_differ_from_the_pbx": {
            "count": 2,
            "units": [
                {"unit": "floor-04", "calls": 80, "recorded": 80, "missing": 0, "unseen": 3},
                {"unit": "floor-03", "calls": 120, "recorded": 97, "missing": 2, "unseen": 0},
            ],
        },
        "told_nothing": {"count": 1, "units": ["floor-05"]},
        "unknown": {"count": 1, "units": ["floor-06"]},
    }
    desk.hear("floor-05", day=None, pbx_port="none")
    desk.hear("floor-06", **told(3, 3, 0, 0))
    found = desk.covered()
    assert (found["told_nothing"]["count"], found["unknown"]["count"]) == (0, 0)
    before = desk.covered(DAY - timedelta(days=1))
    assert (before["percent"], before["told_nothing"]["units"]) == (None, ["floor-03", "floor-04", "floor-06"])


def test_a_day_that_is_no_longer_kept_has_no_unit_that_told_nothing(desk: Desk) -> None:
    desk.hear()
    with desk.engine.connect() as db:
        last, first = (
            summary(db, DAY, ZoneInfo("Asia/Seoul"), NOW_NS + days * NS_PER_DAY) for days in (KEPT_DAYS, KEPT_DAYS + 1)
        )
    assert last["coverage"]["told"]["units"] == 1
    assert first["coverage"] is None
    assert "no longer kept" in mail_text(first)


def test_a_recorder_that_is_dead_takes_back_no_word(desk: Desk) -> None:
    desk.hear(**told(9, 6, 2, 1))
    nothing: dict[str, Any] = dict.fromkeys(told(0, 0, 0, 0))
    desk.hear(day=None, pbx_port=None, now_ns=NOW_NS + 60 * NS_PER_S, **nothing)
    assert desk.kept() == [("2026-11-25", 9, 6, 2, 1)]
    assert rows(desk.engine, tables.units)[0]["pbx_port"] == "open"


@pytest.mark.parametrize(("calls", "missing", "percent"), [
    (1000, 0, 100.0), (100_000, 1, 99.9), (3, 1, 66.6), (5, 5, 0.0), (0, 0, None),
])  # fmt: skip
def test_a_hundred_percent_is_reported_where_nothing_is_missing(
    desk: Desk, calls: int, missing: int, percent: float | None
) -> None:
    desk.hear(**told(calls, calls - missing, missing, 0))
    assert desk.covered()["percent"] == percent


def test_of_many_units_the_worst_are_named(tmp_path: Path) -> None:
    names = tuple(f"unit-{n:02d}" for n in range(MOST_NAMED + 5))
    desk = Desk(database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}"), tmp_path, names)
    for n, unit in enumerate(names, 1):
        desk.hear(unit, **told(100, 0, n, 0))
    found = desk.covered()["units_that_differ_from_the_pbx"]
    desk.engine.dispose()
    assert found["count"] == MOST_NAMED + 5
    assert [unit["missing"] for unit in found["units"]] == [MOST_NAMED + 5 - n for n in range(MOST_NAMED)]


def test_the_figures_are_of_each_units_last_day(desk: Desk) -> None:
    desk.hear(day="2026-11-24", now_ns=NOW_NS - 86_400 * NS_PER_S, **told(1, 0, 1, 1))
    desk.hear(**told(9, 6, 2, 1))
    desk.hear("floor-04", day=None)
    with desk.engine.connect() as db:
        lines = [line for line in metrics.exposition(db, NOW_NS).splitlines() if line.startswith("linetap_pbx")]
    of_unit = f'{{unit="{UNIT}"}}'
    assert lines == [
        f"linetap_pbx_calls{of_unit} 9",
        f"linetap_pbx_recorded{of_unit} 6",
        f"linetap_pbx_missing{of_unit} 2",
        f"linetap_pbx_unseen{of_unit} 1",
        f"linetap_pbx_told_timestamp_seconds{of_unit} {NOW_NS // NS_PER_S}",
    ]


# --- an index made again ------------------------------------------------------------------------------------------


def test_a_rebuilt_index_has_the_days_that_the_old_one_had(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    (tmp_path / "desk.toml").write_text(f'db = "{url}"\nsigners = "allowed_signers"\n')
    (tmp_path / "allowed_signers").write_text("")
    desk = Desk(database.open_writer(url), tmp_path)
    desk.hear(**told(9, 6, 2, 1))
    desk.engine.dispose()
    assert rebuilt(tmp_path, url) == (["2026-11-25"], ["open"])
    assert "1 pbx_days" in capsys.readouterr().out
    assert rebuilt(tmp_path, url, "--without-old") == ([], [])


def test_an_index_of_an_earlier_version_is_taken_over_as_far_as_it_goes(tmp_path: Path) -> None:
    """It lacks the table and the column."""
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    (tmp_path / "desk.toml").write_text(f'db = "{url}"\nsigners = "allowed_signers"\n')
    (tmp_path / "allowed_signers").write_text("")
    desk = Desk(database.open_writer(url), tmp_path)
    desk.hear()
    with desk.engine.begin() as db:
        db.execute(text("DROP TABLE pbx_days"))
        db.execute(text("ALTER TABLE units DROP COLUMN pbx_port"))
    desk.engine.dispose()
    assert rebuilt(tmp_path, url) == ([], [None])


def rebuilt(folder: Path, url: str, *words: str) -> tuple[list[str], list[str | None]]:
    """Days and ports there are then."""
    assert cli.main(["desk", "rebuild", "--config", str(folder / "desk.toml"), "--for", "0", *words]) == 0
    engine = database.open_writer(url)
    days, units = rows(engine, tables.pbx_days), rows(engine, tables.units)
    engine.dispose()
    return [row["day"] for row in days], [row["pbx_port"] for row in units]
