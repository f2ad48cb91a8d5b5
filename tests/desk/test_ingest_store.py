# SPDX-License-Identifier: Apache-2.0
"""The desk's tables: the same for any order of arrival, with only proven content."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import OperationalError

from ingest_rig import START_NS, UNIT, Teller, rows, trusted
from linetap_core.clock import rfc3339
from linetap_desk.ingest import callrow, database, register, store, tables
from linetap_desk.ingest.judge import EventFields, Report
from linetap_desk.ingest.register import UnitMessage
from linetap_desk.ingest.store import Store
from linetap_desk.ingest.vaults import first_hole


def write(engine: Engine, reports: list[Report], *tellers: Teller, at_once: int = 1000) -> None:
    for at in range(0, len(reports), at_once):
        Store(engine).write(reports[at : at + at_once], trusted(*tellers))


def origin(engine: Engine) -> dict[str, Any]:
    (found,) = rows(engine, tables.origins)
    return found


def codes(engine: Engine) -> list[str]:
    return [row["code"] for row in rows(engine, tables.set_aside)]


def told(engine: Engine) -> list[dict[str, Any]]:
    """The calls, without arrival-dependent columns."""
    return [{name: row[name] for name in row if name != "late"} for row in rows(engine, tables.calls)]


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[Teller, list[Report]]]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        teller = Teller(Path(folder))
        for call in range(6):
            teller.call(call)
        yield teller, teller.reports()


class TestOrder:
    @settings(max_examples=25)
    @given(st.randoms(use_true_random=False), st.integers(1, 40))
    def test_whatever_order_they_come_in(
        self, filled: tuple[Teller, list[Report]], chance: random.Random, at_once: int
    ) -> None:
        """With duplicates among them, and in any batches."""
        teller, reports = filled
        shuffled = [*reports, *chance.sample(reports, 10)]
        chance.shuffle(shuffled)
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            straight = database.open_writer(f"sqlite:///{folder}/straight.db")
            crooked = database.open_writer(f"sqlite:///{folder}/crooked.db")
            write(straight, reports, teller)
            write(crooked, shuffled, teller, at_once=at_once)
            assert [row["payload"] for row in rows(crooked, tables.events)] == [report.payload for report in reports]
            assert told(crooked) == told(straight)
            assert origin(crooked)["through"] == origin(straight)["through"] == len(reports)
            assert not codes(crooked)
            for engine in (straight, crooked):
                engine.dispose()

    def test_a_walk_test_is_kept_and_changes_nothing_of_its_call(self, engine: Engine, teller: Teller) -> None:
        teller.call(7)
        write(engine, teller.reports(), teller)
        before = told(engine)
        teller.tell("tested", 7, colour="yellow", found=["no_digit"])
        teller.tell("walked", call_id=None, line=None, green=[2], yellow=[1], document_sha256="ab" * 32)
        write(engine, teller.reports(6), teller)
        assert told(engine) == before
        last = [json.loads(row["payload"]) for row in rows(engine, tables.events)][-2:]
        assert [(event["event"], event.get("colour"), event.get("yellow")) for event in last] == [
            ("tested", "yellow", None),
            ("walked", None, [1]),
        ]
        assert origin(engine)["through"] == 7

    def test_a_call(self, engine: Engine, teller: Teller) -> None:
        teller.call(7)
        write(engine, teller.reports(), teller)
        (call,) = rows(engine, tables.calls)
        assert {name: value for name, value in call.items() if value is not None} == {
            "unit": UNIT,
            "call_id": "20261124T225607.000Z-L01",
            "line": 1,
            "direction": "in",
            "disposition": "recorded",
            "began_at": "2026-11-24T22:56:01.000Z",
            "answered_at": "2026-11-24T22:56:03.000Z",
            "ended_at": "2026-11-24T22:56:04.000Z",
            "sealed_at": "2026-11-24T22:56:05.000Z",
            "duration_s": 12.5,
            "gaps_ms": 0.0,
            "record_sha256": "ab" * 32,
            "late": False,
            "rebuilt": False,
        }

    def test_what_was_said_later_counts_for_more(self) -> None:
        """Later means by number, and of two keys by the order of their first messages; the clock may have been set
        back.
        """

        def part(origin: str, seq: int, at: str, **more: Any) -> callrow.Part:
            told = EventFields(seq=seq, event="ended", at=at, unit=UNIT, origin=origin, prev="0" * 64, **more)
            return callrow.Part(told, at, False)

        parts = [
            part("b", 9, "2026-11-24T22:56:01.000Z", why="first", line=1),
            part("b", 10, "2026-11-24T22:50:00.000Z", why="second"),
            part("a", 1, "2026-11-24T22:57:00.000Z", why="third", mark="abuse"),
            part("a", 2, "2026-11-24T22:58:00.000Z", disposition="recorded"),
        ]
        for order in permutations(parts):
            found = callrow.row(order)
            assert (found["why"], found["line"], found["mark"]) == ("third", 1, "abuse")
            assert (found["began_at"], found["ended_at"]) == ("2026-11-24T22:50:00.000Z", "2026-11-24T22:58:00.000Z")
            assert callrow.row([one for one in order if one.fields.origin == "b"])["why"] == "second"

    def test_what_is_reported_anew_counts_where_nothing_else_says_it(self) -> None:
        def part(seq: int, event: str, at: str, **more: Any) -> callrow.Part:
            told = EventFields(seq=seq, event=event, at=at, unit=UNIT, origin="a", prev="0" * 64, **more)
            return callrow.Part(told, at, False)

        times = {"began_at": "2026-11-24T22:50:00.000Z", "answered_at": "2026-11-24T22:50:09Z", "ended_at": "soon"}
        anew = part(9, "sealed", "2026-11-24T22:55:00.000Z", rebuilt=True, why="short", line=3, **times)
        alone = callrow.row([anew])
        assert (alone["began_at"], alone["answered_at"]) == ("2026-11-24T22:50:00.000Z", "2026-11-24T22:50:09.000Z")
        assert (alone["ended_at"], alone["sealed_at"], alone["rebuilt"]) == (None, "2026-11-24T22:55:00.000Z", True)
        heard = part(2, "ended", "2026-11-24T22:54:59.000Z", why="long")
        both = callrow.row([heard, anew])
        assert both == callrow.row([anew, heard])
        assert (both["why"], both["line"], both["ended_at"]) == ("long", 3, "2026-11-24T22:54:59.000Z")
        assert callrow.row([heard])["rebuilt"] is False

    def test_a_hold_that_has_ended_is_none(self) -> None:
        """The event that ended it does not count as a cause of the call's state."""

        def part(seq: int, event: str, why: str | None = None) -> callrow.Part:
            at = f"2026-11-24T22:5{seq}:00.000Z"
            told = EventFields(seq=seq, event=event, at=at, unit=UNIT, origin="a", prev="0" * 64, why=why)
            return callrow.Part(told, at, False)

        def said(*parts: callrow.Part) -> tuple[str | None, str | None]:
            row = callrow.row(parts)
            return row["held_at"], row["why"]

        ended, held, over = part(1, "ended", "time_limit"), part(2, "held"), part(3, "held", "hold_ended")
        assert said(ended, held) == (held.occurred_at, "time_limit")
        assert said(over, held, ended) == (None, "time_limit")
        assert said(ended, held, over, part(4, "held")) == ("2026-11-24T22:54:00.000Z", "time_limit")


class TestHoles:
    def test_a_hole_and_its_filling(self, engine: Engine, teller: Teller) -> None:
        for call in range(2):
            teller.call(call)
        reports = teller.reports()
        write(engine, reports[:3] + reports[6:], teller)
        assert (origin(engine)["through"], origin(engine)["newest"]) == (3, 10)
        with engine.connect() as db:
            assert first_hole(db, (UNIT, teller.origin), 3) == (4, 6)
        write(engine, reports[3:6], teller)
        assert (origin(engine)["through"], origin(engine)["newest"]) == (10, 10)
        assert [row["seq"] for row in rows(engine, tables.events) if row["late"]] == [4, 5, 6]
        assert [row["late"] for row in rows(engine, tables.calls)] == [True, True]

    def test_what_is_told_to_a_unit_is_what_stands(self, engine: Engine, teller: Teller) -> None:
        """Up to the gap and no further; and a duplicate is answered too: the unit has not received the first answer."""
        teller.call(0)
        reports, its = teller.reports(), Store(engine)
        group = (UNIT, teller.origin)
        assert its.write(reports[1:3], trusted(teller)) == {group: 0}
        assert its.write(reports[:1], trusted(teller)) == {group: 3}
        assert its.write(reports[4:], trusted(teller)) == {group: 3}
        assert its.write(reports[:1], trusted(teller)) == {group: 3}
        assert its.write(reports[3:4], trusted(teller)) == {group: 5}
        assert its.write(reports[:1], []) == {}
        assert its.reached() == [(group, 5)]

    def test_what_the_unit_says_it_dropped_is_no_hole(self, engine: Engine, tmp_path: Path) -> None:
        small = Teller(tmp_path / "small", max_bytes=16_000)
        for call in range(30):
            small.call(call % 60)
        reports = small.reports()
        first = json.loads(reports[0].payload)["seq"]
        assert first > 20
        assert any(b'"dropped"' in report.payload for report in reports)
        write(engine, reports, small)
        assert origin(engine)["through"] == small.outbox.last_seq
        assert len(rows(engine, tables.events)) == small.outbox.last_seq - first + 1

    def test_a_long_way_in_one_step(self, engine: Engine, teller: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("linetap_desk.ingest.vaults._A_STEP", 3)
        for call in range(4):
            teller.call(call)
        reports = teller.reports()
        write(engine, reports[1:], teller)
        assert origin(engine)["through"] == 0
        write(engine, reports[:1], teller)
        assert origin(engine)["through"] == 20

    def test_a_new_key_has_numbers_of_its_own(self, engine: Engine, teller: Teller, tmp_path: Path) -> None:
        again = Teller(tmp_path / "again")
        teller.call(0)
        again.call(1)
        write(engine, teller.reports() + again.reports(), teller, again)
        assert {row["origin"]: row["through"] for row in rows(engine, tables.origins)} == {
            teller.origin: 5,
            again.origin: 5,
        }
        assert len(rows(engine, tables.calls)) == 2


class TestSetAside:
    def test_out_of_chain_is_not_stored(self, engine: Engine, teller: Teller) -> None:
        teller.call(0)
        reports = teller.reports()
        told = json.loads(reports[2].payload) | {"prev": "ab" * 32}
        forged = teller.report(json.dumps(told).encode())
        write(engine, [*reports[:2], forged, *reports[3:]], teller)
        assert codes(engine) == ["chain_broken"]
        assert [row["seq"] for row in rows(engine, tables.events)] == [1, 2, 4, 5]
        write(engine, [reports[2]], teller)
        assert origin(engine)["through"] == 5

    def test_two_events_of_one_number_in_one_batch(self, engine: Engine, teller: Teller) -> None:
        teller.tell()
        good = teller.reports()[0]
        other = teller.report(json.dumps(json.loads(good.payload) | {"line": 9}).encode())
        write(engine, [good, other, good], teller)
        assert codes(engine) == ["seq_taken"]
        assert [row["payload"] for row in rows(engine, tables.events)] == [good.payload]

    def test_once_each_and_in_a_bound(
        self, engine: Engine, teller: Teller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(store, "MOST_SET_ASIDE", 5)
        rubbish = [Report(UNIT, b"%d" % n, "", START_NS) for n in range(20)]
        write(engine, rubbish[:4] * 3, teller, at_once=3)
        assert len(codes(engine)) == 4
        write(engine, rubbish, teller)
        assert len(codes(engine)) == 5
        (unit,) = rows(engine, tables.units)
        assert unit["set_aside"] == 20
        assert caplog.text.count("set_aside_full") == 1

    def test_nothing_holds_up_what_comes_behind_it(self, engine: Engine, teller: Teller) -> None:
        """If the database refuses one row, the others are stored and that one is set aside."""
        teller.call(0)
        with engine.begin() as db:
            db.execute(text(
                "CREATE TRIGGER no BEFORE INSERT ON events WHEN NEW.seq = 3 BEGIN SELECT RAISE(ABORT, 'no'); END"
            ))  # fmt: skip
        write(engine, teller.reports(), teller)
        assert [row["seq"] for row in rows(engine, tables.events)] == [1, 2, 4, 5]
        assert codes(engine) == ["not_storable"]


def test_all_of_a_batch_or_nothing(engine: Engine, teller: Teller) -> None:
    teller.call(0)
    with engine.begin() as db:
        db.execute(text("ALTER TABLE calls RENAME TO away"))
    with pytest.raises(OperationalError):
        write(engine, teller.reports(), teller)
    assert not rows(engine, tables.events)
    with engine.begin() as db:
        db.execute(text("ALTER TABLE away RENAME TO calls"))
    write(engine, teller.reports(), teller)
    assert origin(engine)["through"] == 5


def test_missing_tables_and_indexes_are_made(tmp_path: Path) -> None:
    """A later version may have more of them."""
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    engine = database.open_writer(url)
    with engine.begin() as db:
        db.execute(text("DROP INDEX calls_at_line"))
        db.execute(text("DROP TABLE outages"))
    engine.dispose()
    engine = database.open_writer(url)
    there = {index["name"] for index in inspect(engine).get_indexes("calls")}
    assert {index.name for index in tables.calls.indexes} == there
    assert inspect(engine).has_table("outages")
    engine.dispose()


def test_a_commit_is_on_disk(engine: Engine) -> None:
    """WAL without FULL may lose the last commits at a power cut, although they were acknowledged."""
    with engine.connect() as db:
        assert db.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert db.execute(text("PRAGMA synchronous")).scalar() == 2


class TestRegister:
    def said(self, engine: Engine, topic: Any, payload: dict[str, Any] | bytes, unit: str = UNIT) -> dict[str, Any]:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        Store(engine).write([UnitMessage(unit, topic, data, START_NS)], [])
        return next(row for row in rows(engine, tables.units) if row["unit"] == unit)

    def status(self, state: str, session: str) -> dict[str, str]:
        return {"state": state, "session": session, "version": "0.1.0", "since": rfc3339(START_NS)}

    def test_a_will_of_an_older_session_says_nothing_of_now(self, engine: Engine) -> None:
        assert self.said(engine, "status", self.status("online", "a"))["state"] == "online"
        assert self.said(engine, "status", self.status("online", "b"))["session"] == "b"
        assert self.said(engine, "status", self.status("offline", "a"))["state"] == "online"
        assert self.said(engine, "status", self.status("offline", "b"))["state"] == "offline"

    def test_what_is_no_longer_retained_is_not_known(self, engine: Engine) -> None:
        self.said(engine, "status", self.status("online", "a"))
        self.said(engine, "status", self.status("online", "c"), "floor-04")
        Store(engine).connected()
        self.said(engine, "status", self.status("offline", "old"), "floor-04")
        assert {row["unit"]: row["state"] for row in rows(engine, tables.units)} == {
            UNIT: None,
            "floor-04": "offline",
        }

    @pytest.mark.parametrize("payload", [b"", b"?", b"[]", b"{}", b"x" * 100_000, b'{"outbox_seq":-1,"at":""}'])
    def test_rubbish_changes_nothing(self, engine: Engine, payload: bytes) -> None:
        self.said(engine, "health", {"at": rfc3339(START_NS), "outbox_seq": 12, "more": {}})
        for topic in ("status", "health"):
            assert self.said(engine, topic, payload)["outbox_seq"] == 12

    def test_strangers_have_a_bound(self, engine: Engine, teller: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(register, "MOST_STRANGERS", 3)
        teller.call(0)
        strangers = [Report(f"stranger-{n}", b"x", "", START_NS) for n in range(10)]
        write(engine, [*strangers, *teller.reports()], teller)
        write(engine, strangers, teller)
        assert [row["unit"] for row in rows(engine, tables.units)] == [UNIT, "stranger-0", "stranger-1", "stranger-2"]
        assert len(codes(engine)) == 3
        assert origin(engine)["through"] == 5

    def test_who_is_named(self, engine: Engine, teller: Teller) -> None:
        teller.tell()
        write(engine, teller.reports(), teller)
        self.said(engine, "health", b"", "stranger")
        assert {row["unit"]: row["named"] for row in rows(engine, tables.units)} == {UNIT: True, "stranger": False}


def test_a_reader_writes_nothing(engine: Engine, teller: Teller, tmp_path: Path) -> None:
    """The database refuses it, even if no ingest has it open."""
    teller.call(0)
    Store(engine).write(teller.reports(), trusted(teller))
    engine.dispose()
    reader = database.open_reader(f"sqlite:///{tmp_path / 'desk.db'}")
    for statement in ("DELETE FROM calls", "CREATE TABLE other (n INTEGER)"):
        with pytest.raises(OperationalError, match="readonly"), reader.begin() as db:
            db.execute(text(statement))
    assert len(rows(reader, tables.calls)) == 1
    reader.dispose()
