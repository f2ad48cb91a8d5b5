# SPDX-License-Identifier: Apache-2.0
"""Dropped events are rebuilt from log and records: completely, as new events marked as rebuilt."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, select

from keeping_rig import DAY, UNIT, Keeper
from linetap.recorder.vault.outbox import outbox, reader, rebuild
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.outbox.reader import PLACES_NAME as PLACES
from linetap.recorder.vault.outbox.reader import SLACK, OutboxReader, Places
from linetap_core.clock import NS_PER_S, rfc3339
from linetap_core.durable import files
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, signers
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.records import CallEvent, CallRecord
from linetap_core.vaultformat.callevents import ended_event, sealed_event
from linetap_desk.ingest import database, tables
from linetap_desk.ingest.judge import Report
from linetap_desk.ingest.store import Store

BOUND = 24_000


class Unit(Keeper):
    """A Keeper whose calls are reported as by a recorder; its outbox may be small."""

    bound = 1 << 24

    def open_outbox(self) -> Outbox:
        origin = keys.fingerprint(keys.load_unit_key(Path(self.config.key).read_bytes()).public_key())
        sign = self.key.signer(namespaces.EVENT)
        return Outbox(self.vault / "outbox", UNIT, sign, origin, self.bound, lambda: self.log.size)

    def told(self) -> CallRecord:
        """One call of a minute; then three minutes pass."""
        at_ns = self.clock.utc_ns()
        times = {"answered_at": rfc3339(at_ns + 10 * NS_PER_S), "ended_at": rfc3339(at_ns + 70 * NS_PER_S)}
        facts: dict[str, Any] = {**times, "direction": "in", "duration_s": 60.0}
        record = self.call(**facts)
        event = CallEvent(seq=0, event="started", at=rfc3339(at_ns), unit="", call_id=record.call_id, line=1)
        self.report(event)
        self.report(msgspec.structs.replace(event, event="answered", at=times["answered_at"]))
        self.report(ended_event(record))
        self.report(sealed_event(record, digest(self, record), ""))
        self.clock.advance(180 * NS_PER_S)
        return record

    def ack(self, through: int | None = None) -> None:
        through = self.outbox.last_seq if through is None else through
        body = {"origin": self.outbox.origin, "through": str(through)}
        assert self.command(self.envelope("ack", "desk", body)).done

    def resend(self, first: int, last: int) -> None:
        body = {"origin": self.outbox.origin, "from": str(first), "to": str(last)}
        assert self.command(self.envelope("resend", "desk", body)).done

    def all_events(self) -> list[dict[str, Any]]:
        found = OutboxReader(self.vault / "outbox").from_seq(1, 100_000)
        return [json.loads(payload) for _, payload, _ in found]

    def rebuilt(self) -> list[str]:
        """Calls whose seal was reported again, as often as it was."""
        return [event["call_id"] for event in self.all_events() if event.get("rebuilt") and event["event"] == "sealed"]

    def words(self, kind: str) -> list[tuple[int, int]]:
        return [(event["from"], event["to"]) for event in self.all_events() if event["event"] == kind]


class Desk:
    """An ingest's store and its answers, without a broker."""

    def __init__(self, unit: Unit, engine: Engine, named: Path) -> None:
        self.unit, self.engine, self.named = unit, engine, signers.parse(named.read_text())
        self.group = (unit.config.unit, unit.outbox.origin)
        self.through = 0

    def hears(self) -> None:
        """Receives everything, and confirms it."""
        found = OutboxReader(self.unit.vault / "outbox").from_seq(self.through + 1, 100_000)
        now_ns = self.unit.clock.utc_ns()
        reports = [Report(self.group[0], payload, unarmored(sig), now_ns) for _, payload, sig in found]
        if reports:
            self.through = Store(self.engine).write(reports, self.named)[self.group]
        if self.through:
            self.unit.ack(self.through)

    def hears_all(self) -> None:
        for _ in range(60):
            before = self.unit.outbox.last_seq
            self.hears()
            for _ in range(5):
                self.unit.tick()
            if self.unit.outbox.last_seq == before:
                assert self.through == before
                return
        raise AssertionError("it never comes to an end")

    def calls(self) -> dict[str, dict[str, Any]]:
        with self.engine.connect() as db:
            rows = db.execute(select(tables.calls)).mappings()
            return {row["call_id"]: dict(row) for row in rows}

    def told_anew(self) -> set[str]:
        """Calls of which it has a rebuilt seal."""
        with self.engine.connect() as db:
            wanted = select(tables.events.c.payload).where(tables.events.c.event == "sealed")
            found = [json.loads(payload) for payload in db.execute(wanted).scalars()]
        return {said["call_id"] for said in found if said.get("rebuilt")}


@pytest.fixture
def unit(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Unit]:
    """A unit in RAM, because of thousands of syncs."""
    monkeypatch.setattr(outbox, "REMEMBERED", 8)
    monkeypatch.setattr(reader, "SLACK", 2)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        unit = Unit(Path(folder), run_dir)
        unit.upkeep.time.tick()
        unit.take_roles()
        yield unit


@pytest.fixture
def small(unit: Unit) -> Unit:
    """A unit whose outbox is full with seven calls."""
    unit.bound = BOUND
    unit.restart()
    return unit


@pytest.fixture
def desk(unit: Unit) -> Iterator[Desk]:
    engine = database.open_writer(f"sqlite:///{unit.vault.parent / 'desk.db'}")
    yield Desk(unit, engine, unit.vault.parent / "allowed_signers")
    engine.dispose()


class TestWeeksWithoutADesk:
    def test_every_call_is_reported_as_if_its_events_had_come(self, small: Unit, desk: Desk) -> None:
        first = [small.told() for _ in range(3)]
        desk.hears_all()
        lost = [small.told() for _ in range(30)]
        assert small.words("dropped")
        assert not small.rebuilt(), "nothing before the desk is back"
        desk.hears_all()
        calls = desk.calls()
        assert calls.keys() == {record.call_id for record in [*first, *lost]}
        told_anew = desk.told_anew()
        assert told_anew >= {record.call_id for record in lost[:20]}
        for record in lost:
            call = calls[record.call_id]
            assert call["rebuilt"] is (record.call_id in told_anew)
            assert (call["began_at"], call["answered_at"], call["ended_at"]) == (
                rfc3339(sealed.call_ns(record.call_id)), record.answered_at, record.ended_at,
            )  # fmt: skip
            assert (call["direction"], call["disposition"], call["duration_s"]) == ("in", "recorded", 60.0)
            assert call["record_sha256"] == digest(small, record)

    def test_the_end_of_a_rebuild_is_reported(self, small: Unit, desk: Desk) -> None:
        for _ in range(30):
            small.told()
        dropped = small.words("dropped")[-1]
        desk.hears_all()
        assert small.words("rebuilt") == [dropped]
        before = small.outbox.last_seq
        small.restart()
        desk.hears_all()
        assert small.outbox.last_seq == before, "and does not begin again"

    def test_a_word_that_the_desk_has_not_confirmed_is_no_word(self, small: Unit) -> None:
        for _ in range(16):
            small.told()
        word = next(event["seq"] for event in reversed(small.all_events()) if event["event"] == "dropped")
        small.ack(word - 1)
        for _ in range(3):
            small.tick()
        assert not small.rebuilt()

    def test_a_pending_rebuild_is_known_after_a_restart(self, small: Unit, desk: Desk) -> None:
        for _ in range(16):
            small.told()
        small.restart()
        small.restart(boot=True, off_ns=DAY)
        desk.hears_all()
        assert small.words("rebuilt")

    def test_held_and_destroyed(self, small: Unit, desk: Desk) -> None:
        """The later fate of a call; of a destroyed one only what is still permitted."""
        held, gone = small.told(), small.told()
        assert small.command(small.hold(held, small.clock.utc_ns() + 100 * DAY)).done
        small.passes(61)
        for _ in range(16):
            small.told()
        assert not (small.vault / sealed.call_path(gone.call_id)).exists()
        desk.hears_all()
        calls = desk.calls()
        assert calls[held.call_id]["held_at"]
        assert calls[held.call_id]["destroyed_at"] is None
        assert calls[gone.call_id]["destroyed_at"]
        assert calls[gone.call_id]["disposition"] == "recorded"
        assert calls[gone.call_id]["record_sha256"]
        assert calls[gone.call_id]["duration_s"] is None, "it stood in the record alone"

    def test_a_record_that_was_changed_says_nothing(self, small: Unit, desk: Desk) -> None:
        record = small.told()
        path = small.vault / sealed.call_path(record.call_id) / sealed.RECORD
        path.write_bytes(path.read_bytes().replace(b'"in"', b'"out"'))
        for _ in range(16):
            small.told()
        desk.hears_all()
        call = desk.calls()[record.call_id]
        assert (call["disposition"], call["direction"]) == ("recorded", None)


class TestPace:
    def test_nothing_gives_way_to_what_is_reported_anew(
        self, small: Unit, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rebuild, "AHEAD", 10)
        for _ in range(30):
            small.told()
        desk.hears()
        dropped = small.words("dropped")
        for _ in range(50):
            small.tick()
        assert 0 < len(small.rebuilt()) <= 10 + rebuild.EVENTS_A_TICK
        assert small.words("dropped") == dropped
        desk.hears_all()
        assert small.words("rebuilt")

    def test_a_little_a_tick(self, unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox, "SEGMENT_BYTES", (2048, 2048))
        monkeypatch.setattr(rebuild, "EVENTS_A_TICK", 3)
        unit.restart()
        for _ in range(20):
            unit.told()
        unit.ack()
        before = unit.outbox.last_seq
        unit.resend(1, before - 10)  # the command's own tick is one too
        assert 1 <= unit.outbox.last_seq - before <= 4
        unit.tick()
        assert unit.outbox.last_seq - before <= 7

    def test_a_kill_at_any_moment_leaves_nothing_out(
        self, unit: Unit, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rebuild, "EVENTS_A_TICK", 2)
        monkeypatch.setattr(rebuild, "_SAVE_EVERY", 5)
        unit.bound = BOUND
        unit.restart()
        records = [unit.told() for _ in range(16)]
        for _ in range(300):
            desk.hears()
            unit.tick()
            unit.restart()
            if unit.words("rebuilt"):
                break
        desk.hears_all()
        assert desk.calls().keys() == {record.call_id for record in records}


class TestAsked:
    """A desk that has lost its data, and a unit that has dropped the confirmed events."""

    @pytest.fixture
    def trimmed(self, unit: Unit, monkeypatch: pytest.MonkeyPatch) -> Unit:
        monkeypatch.setattr(outbox, "SEGMENT_BYTES", (2048, 2048))
        unit.restart()
        for _ in range(30):
            unit.told()
        unit.ack()
        assert unit.all_events()[0]["seq"] > 50
        return unit

    def test_a_desk_without_a_memory_has_every_call_again(self, trimmed: Unit, desk: Desk) -> None:
        desk.hears()
        assert desk.through == 0
        trimmed.resend(1, trimmed.all_events()[0]["seq"] - 1)
        desk.hears_all()
        names = {path.name for path in trimmed.vault.glob("*/*/*/*") if sealed.CALL_ID.fullmatch(path.name)}
        assert len(names) == 30
        assert desk.calls().keys() == names

    def test_asked_twice_told_once(self, trimmed: Unit) -> None:
        gone = trimmed.all_events()[0]["seq"] - 1
        for _ in range(3):
            trimmed.resend(1, gone)
            for _ in range(3):
                trimmed.tick()
                trimmed.restart()
        assert len(trimmed.rebuilt()) == len(set(trimmed.rebuilt())) > 10
        assert trimmed.words("rebuilt") == [(1, gone)]

    def test_only_what_was_asked_for(self, trimmed: Unit) -> None:
        """By segments, plus the leaves slightly before."""
        begin, end = trimmed.outbox.leaves_of(60, 64, trimmed.log.size)
        assert end < trimmed.log.size
        assert end - begin <= 2 + 8

    def test_without_its_places_it_tells_more_and_never_less(self, trimmed: Unit, desk: Desk) -> None:
        (trimmed.vault / "outbox" / PLACES).write_bytes(b"?")
        (trimmed.vault / rebuild.NAME).write_bytes(b"?")
        trimmed.restart()
        desk.hears()
        trimmed.resend(1, trimmed.all_events()[0]["seq"] - 1)
        desk.hears_all()
        assert len(desk.calls()) == 30


class TestPlaces:
    def test_a_range_may_grow_and_never_shrinks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("linetap.recorder.vault.outbox.reader.MOST", 16)
        first = Places(tmp_path)
        for n in range(200):
            first.store_length(1 + 10 * n, 1000 * n)
        for known in (first, Places(tmp_path)):
            for n, more in itertools.product(range(195), (0, 1, 4)):
                begin, end = known.leaves(1 + 10 * n, 10 * (n + more) + 10, 200_000)
                assert begin <= max(0, 1000 * n - SLACK)
                assert end >= 1000 * (n + more + 1)
            assert known.leaves(1801, 1810, 200_000)[0] > 100_000, "the old ones are coarse, and not gone"
            assert known.leaves(1991, 2000, 200_000) == (199_000 - SLACK, 200_000), "the newest are exact"
        assert (tmp_path / PLACES).stat().st_size < 1000

    def test_a_segment_begun_again_after_a_cut_counts_once(self, tmp_path: Path) -> None:
        known = Places(tmp_path)
        for seq, leaf in ((1, 0), (7, 500), (7, 501)):
            known.store_length(seq, leaf)
        assert known.leaves(1, 6, 900) == (0, 501)


def digest(unit: Unit, record: CallRecord) -> str:
    return files.sha256(unit.vault / sealed.call_path(record.call_id) / sealed.RECORD)
