# SPDX-License-Identifier: Apache-2.0
"""A gap is detected, requested, alerted and closed, each in its time; a long backlog is no gap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from ingest_rig import START_NS, UNIT, Teller, rows, trusted
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_desk.ingest import tables
from linetap_desk.ingest.judge import Report
from linetap_desk.ingest.missingevents import ASK_AGAIN_S, Holes, Missing
from linetap_desk.ingest.register import UnitMessage
from linetap_desk.ingest.store import Store

NOTICED_IN_S, ALERTED_IN_S = 5, 60  # documented limits
HOURS_S = 5.0  # between two polls, for a test over hours


class Watched:
    """A unit with 20 events; the test selects those that reach the desk."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.teller = Teller(folder / "unit")
        for call in range(4):
            self.teller.call(call)
        self.reports = self.teller.reports()
        self.engine, self.store = engine, Store(engine)
        self.clock = ManualClock(START_NS, NS_PER_S)
        self.holes = Holes(engine, self.clock)

    def give(self, *seqs: int, late_s: int = 0) -> None:
        found = [self.reports[seq - 1] for seq in seqs]
        later = [Report(one.unit, one.payload, one.sig, one.received_ns + late_s * NS_PER_S) for one in found]
        self.store.write(later, trusted(self.teller))

    def health(self, outbox_seq: int) -> None:
        payload = json.dumps({"at": "2026-11-24T22:57:00.000Z", "outbox_seq": outbox_seq}).encode()
        self.store.write([UnitMessage(UNIT, "health", payload, START_NS)], trusted(self.teller))

    def passes(self, seconds: int, every_s: float = 0.25) -> list[tuple[int, int]]:
        """The requests made meanwhile."""
        asked: list[Missing] = []
        for _ in range(round(seconds / every_s)):
            self.clock.sleep(every_s)
            asked += self.holes.find()
        assert all(one.group == (UNIT, self.teller.origin) for one in asked)
        return [(one.first, one.last) for one in asked]

    def alerts(self) -> list[dict[str, Any]]:
        return rows(self.engine, tables.alerts)


@pytest.fixture
def unit(tmp_path: Path, engine: Engine) -> Watched:
    return Watched(tmp_path, engine)


def test_in_its_time(unit: Watched, caplog: pytest.LogCaptureFixture) -> None:
    unit.give(1, 2, 3, 8, 9, 15)
    assert unit.passes(NOTICED_IN_S) == [(4, 7)]
    assert "hole: floor-03: events 4 to 7 are missing" in caplog.text
    assert not unit.alerts()
    assert unit.passes(ALERTED_IN_S - NOTICED_IN_S) == [(4, 7)]
    (alert,) = unit.alerts()
    assert (alert["unit"], alert["first"], alert["last"], alert["ended_at"]) == (UNIT, 4, 7, None)
    assert "events_missing: floor-03: events 4 to 7 do not come" in caplog.text
    assert unit.passes(600, HOURS_S)
    assert len(unit.alerts()) == 1


def test_closed_by_what_was_missing(unit: Watched, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    unit.give(1, 3)
    unit.passes(ALERTED_IN_S)
    unit.give(2)
    assert unit.passes(2) == []
    (alert,) = unit.alerts()
    assert alert["ended_at"] is not None
    assert "hole_closed" in caplog.text
    assert [row["seq"] for row in rows(unit.engine, tables.events) if row["late"]] == [2]


def test_the_next_hole_is_asked_for_when_the_first_is_closed(unit: Watched) -> None:
    unit.give(1, 4, 9)
    assert unit.passes(NOTICED_IN_S) == [(2, 3)]
    unit.give(2, 3)
    assert unit.passes(NOTICED_IN_S) == [(5, 8)]


def test_the_end_that_a_broker_has_lost(unit: Watched) -> None:
    """Nothing followed it: only the unit's health reveals it."""
    unit.give(1, 2)
    assert unit.passes(20) == []
    unit.health(20)
    assert unit.passes(NOTICED_IN_S) == [(3, 20)]
    unit.give(*range(3, 21))
    assert unit.passes(60) == []
    assert not unit.alerts()


def test_a_backlog_that_comes_in_is_none(unit: Watched) -> None:
    unit.give(1)
    unit.health(20)
    asked = []
    for seq in range(2, 20):
        asked += unit.passes(2)
        unit.give(seq)
    assert asked == []


def test_asked_less_often_as_long_as_it_is_in_vain(unit: Watched) -> None:
    unit.give(1, 3)
    unit.passes(NOTICED_IN_S)
    assert len(unit.passes(ASK_AGAIN_S)) == 1
    assert len(unit.passes(3600, HOURS_S)) <= 8
    assert unit.passes(1800, HOURS_S)


def test_after_a_restart_it_is_one_alert(unit: Watched) -> None:
    unit.give(1, 3)
    unit.passes(ALERTED_IN_S)
    unit.holes = Holes(unit.engine, unit.clock)
    unit.passes(ALERTED_IN_S)
    assert len(unit.alerts()) == 1
    unit.give(2)
    unit.holes = Holes(unit.engine, unit.clock)
    unit.passes(1)
    assert [alert["ended_at"] is None for alert in unit.alerts()] == [False]


def test_a_health_says_nothing_of_an_old_key(unit: Watched, tmp_path: Path) -> None:
    """The unit has a new one since: the old key's events end where they end."""
    unit.give(*range(1, 6))
    again = Teller(tmp_path / "again")
    again.call(1)
    unit.store.write(again.reports(late_s=3600), trusted(unit.teller, again))
    unit.health(5)
    assert unit.passes(ALERTED_IN_S) == []
    unit.health(6)
    unit.teller = again
    assert unit.passes(NOTICED_IN_S) == [(6, 6)]
