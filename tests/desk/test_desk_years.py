# SPDX-License-Identifier: Apache-2.0
"""A desk after years: rows of calls, copies and alerts are never deleted, so what it repeats must not read all of them.

SQLite's plan of every statement says so, whatever the number of rows: none scans a table that grows, unless by an index
of the few rows it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert

from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.zones import zone_of
from linetap_desk.copy import worklist
from linetap_desk.ingest import database, destroyedcalls, metrics, tables
from linetap_desk.ingest.missingevents import Holes
from linetap_desk.summary.command import summary

NOW_NS = parse_rfc3339("2031-11-24T22:56:00Z")
UNIT, CALL = "floor-03", "20311124T225500.000Z-L03"
GROWING = ("calls", "copies", "events", "alerts", "amendments", "heads")
OF_FEW = ("alerts_lasting", "amendments_unstored", "copies_uncounted", "copies_unclosed", "copies_untimed",
          "calls_uncopied", "calls_uncleared")  # fmt: skip

ROUNDS: dict[str, Callable[[Connection], object]] = {
    "counted time": lambda db: worklist.add_counted_time(db, 60_000),
    "expired copies": lambda db: worklist.expired_copies(db, NOW_NS, None),
    "amendments to store": worklist.unstored_amendments,
    "units with calls to copy": worklist.units_to_ask,
    "the next call to copy": lambda db: worklist.next_call(db, UNIT, set()),
    "copies to acknowledge": worklist.unconfirmed_copies,
    "units with copies to close": worklist.units_unclosed,
    "the next copy to close": lambda db: worklist.next_unclosed(db, UNIT, set()),
    "calls to clear": destroyedcalls.clear_destroyed,
    "figures for Prometheus": lambda db: metrics.exposition(db, NOW_NS),
    "the daily summary": lambda db: summary(db, date(2031, 11, 24), zone_of("Asia/Seoul"), NOW_NS),
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = database.open_writer(f"sqlite:///{tmp_path}/desk.db")
    with engine.begin() as db:  # a call, without which some rounds ask nothing
        began = {"unit": UNIT, "call_id": CALL, "began_at": "2031-11-24T22:55:00.000Z", "late": False}
        db.execute(insert(tables.calls).values(**began, destroyed_at="2031-11-24T22:55:30.000Z", why="x"))
        db.execute(insert(tables.copies).values(
            unit=UNIT, call_id=CALL, record_sha256="a" * 64, stored_at=began["began_at"], until=began["began_at"],
            look_at=began["began_at"],
        ))  # fmt: skip
    yield engine
    engine.dispose()


def scans(engine: Engine, act: Callable[[], object]) -> list[str]:
    """The steps of plans that read a whole growing table."""
    asked: list[tuple[str, Any]] = []

    def keep(_c: object, _cursor: object, statement: str, values: Any, *_more: object) -> None:
        asked.append((statement, values))

    event.listen(engine, "before_cursor_execute", keep)
    act()
    event.remove(engine, "before_cursor_execute", keep)
    assert asked
    found = list[str]()
    with engine.connect() as db:
        for statement, values in asked:
            if not statement.lstrip().startswith("INSERT"):
                with closing(db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)) as plan:
                    found += [step[3] for step in plan if _reads_all(step[3])]
    return found


def _reads_all(step: str) -> bool:
    words = step.split()
    return words[0] == "SCAN" and words[1].startswith(GROWING) and words[-1] not in OF_FEW


@pytest.mark.parametrize("name", ROUNDS)
def test_what_is_repeated_reads_no_growing_table(engine: Engine, name: str) -> None:
    def act() -> None:
        with engine.begin() as db:
            ROUNDS[name](db)

    assert scans(engine, act) == []


def test_the_search_for_missing_events_reads_no_growing_table(engine: Engine) -> None:
    assert scans(engine, Holes(engine, ManualClock(NOW_NS, NOW_NS)).find) == []
