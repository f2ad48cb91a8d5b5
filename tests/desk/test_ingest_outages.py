# SPDX-License-Identifier: Apache-2.0
"""Outages of a unit as stored by the ingest, through its normal input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from sqlalchemy import Engine

from ingest_rig import UNIT, Teller, rows, trusted
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339, rfc3339
from linetap_desk.ingest import database, tables
from linetap_desk.ingest.outages import BEGINNING, KEPT_S, Outages
from linetap_desk.ingest.register import UnitMessage
from linetap_desk.ingest.store import Store

START_NS = parse_rfc3339("2026-11-24T08:00:00Z")


class Desk:
    """An ingest's database with a constant clock."""

    def __init__(self, engine: Engine, teller: Teller) -> None:
        self.engine, self.teller = engine, teller
        self.clock = ManualClock(START_NS, NS_PER_S)
        self.outages = Outages(engine, self.clock)

    def hear(self, topic: Literal["status", "health"], payload: dict[str, Any] | bytes, unit: str = UNIT) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        Store(self.engine).write([UnitMessage(unit, topic, data, self.clock.utc_ns())], trusted(self.teller))

    def status(self, state: str, session: str = "a", unit: str = UNIT) -> None:
        self.hear("status", {"state": state, "session": session, "version": "1", "since": "x"}, unit)

    def health(self, unit: str = UNIT, **more: Any) -> None:
        self.hear("health", {"at": rfc3339(self.clock.utc_ns()), "outbox_seq": 1, **more}, unit)

    def wait(self, seconds: int, *units: str) -> None:
        """Waits, with a health of each of `units` every 30 s."""
        for _ in range(seconds // 30):
            self.clock.sleep(30)
            for unit in units:
                self.health(unit)
            self.outages.update()

    def kept(self, unit: str = UNIT) -> list[tuple[str, str, float | None, float | None]]:
        """Kind, reason, begin and end in seconds from the start; without `before`."""

        def seconds(at: str | None) -> float | None:
            return None if at is None else (parse_rfc3339(at) - START_NS) / NS_PER_S

        found = [row for row in rows(self.engine, tables.outages) if row["unit"] == unit and row["kind"] != "before"]
        return [(row["kind"], row["why"], seconds(row["began_at"]), seconds(row["ended_at"])) for row in found]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    engine = database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    yield Desk(engine, Teller(tmp_path / "unit"))
    engine.dispose()


def test_offline_from_its_word_to_its_return(desk: Desk) -> None:
    desk.status("online")
    assert desk.kept() == []
    desk.clock.sleep(100)
    desk.status("offline")
    desk.clock.sleep(50)
    desk.status("offline")
    desk.clock.sleep(50)
    desk.status("online", "b")
    desk.status("offline", "a")  # the broker's late message of the previous session
    assert desk.kept() == [("offline", "", 100, 200)]


def test_before_it_was_first_heard_nobody_kept_anything(desk: Desk) -> None:
    desk.status("online")
    desk.clock.sleep(10)
    desk.health()
    desk.teller.call(0)
    Store(desk.engine).write(desk.teller.reports(), trusted(desk.teller))
    (row,) = rows(desk.engine, tables.outages)
    assert (row["kind"], row["began_at"], row["ended_at"]) == ("before", BEGINNING, rfc3339(START_NS))


def test_unheard_from_its_last_word(desk: Desk) -> None:
    for unit in (UNIT, "other"):
        desk.status("online", unit=unit)
    desk.outages.connected()
    desk.wait(60, UNIT, "other")
    desk.wait(180, "other")
    assert desk.kept() == [("unheard", "", 60, None)]
    desk.health()
    assert desk.kept() == [("unheard", "", 60, 240)]
    assert not desk.kept("other")


def test_what_comes_and_goes_is_one(desk: Desk) -> None:
    for _ in range(20):
        desk.status("offline")
        desk.clock.sleep(5)
        desk.status("online")
        desk.clock.sleep(30)
    assert desk.kept() == [("offline", "", 0, 19 * 35 + 5)]
    assert [row["times"] for row in rows(desk.engine, tables.outages) if row["kind"] == "offline"] == [20]


def test_nobody_heard_is_the_desks_own(desk: Desk) -> None:
    desk.outages.connected()
    for unit in (UNIT, "other"):
        desk.health(unit)
    desk.wait(600)
    assert desk.kept() == desk.kept("other") == []
    for _ in range(2):  # the database was away for a moment: the ingest retries
        desk.outages.connected()
    assert desk.kept("") == [("desk", "", 0, 600)]
    desk.wait(90)
    assert desk.kept() == [], "a unit has its time to be heard again"
    desk.wait(60, "other")
    assert desk.kept() == [("unheard", "", 0, None)]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"records": False, "condition": "vault_read_only"}, "vault_read_only"),
        ({"records": False, "condition": "x\x00"}, "x?"),
        ({"records": False}, "unknown"),
        ({"records": True, "condition": "unit_check", "recording_refused": "disk_full"}, None),
        ({"records": True, "condition": "ok", "services_dead": "recorder"}, None),
        ({"recording_refused": "disk_full"}, "disk_full"),
        ({"services_dead": "capture@1 panel"}, "capture@1"),
        ({"services_dead": "recorder", "recording_refused": "x\x00y"}, "x?y recorder"),
        ({"services_dead": "panel", "recording_refused": None}, None),
        ({"recording_refused": 7}, None),
    ],
)
def test_a_unit_that_says_it_records_nothing(desk: Desk, said: dict[str, Any], why: str | None) -> None:
    desk.health(**said)
    desk.clock.sleep(30)
    desk.health(**said)
    desk.clock.sleep(30)
    desk.health()
    assert desk.kept() == ([] if why is None else [("not_recording", why, 0, 60)])


def test_another_reason_is_another_outage(desk: Desk) -> None:
    for why in ("disk_full", "key_list_end", None):
        desk.health(recording_refused=why)
        desk.clock.sleep(30)
    assert desk.kept() == [("not_recording", "disk_full", 0, 30), ("not_recording", "key_list_end", 30, 60)]


@pytest.mark.parametrize("payload", [b"", b"?", b"[]", b"x" * 100_000, b'{"services_dead":1}'])
def test_rubbish_changes_nothing(desk: Desk, payload: bytes) -> None:
    desk.health(recording_refused="disk_full")
    desk.status("offline")
    for topic in ("status", "health"):
        desk.hear("status" if topic == "status" else "health", payload)
    assert [(kind, end) for kind, _, _, end in desk.kept()] == [("not_recording", None), ("offline", None)]


def test_an_outage_is_not_kept_for_ever(desk: Desk) -> None:
    desk.status("offline")
    desk.clock.sleep(30)
    desk.status("online")
    desk.clock.sleep(KEPT_S + 60)
    desk.health()
    desk.outages.update()
    assert [row["kind"] for row in rows(desk.engine, tables.outages)] == ["before"]
