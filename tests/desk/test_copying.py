# SPDX-License-Identifier: Apache-2.0
"""A desk's copies of recordings: selection, verification and deletion."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from copy_rig import DAY_NS, UNIT, Units, arrived, contents
from sqlalchemy import insert, update

from broker import until
from ingest_rig import rows
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.authorization.fetch import BLOCK_BYTES, Copied, Window
from linetap_core.evidence.calls import hold
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import Retention
from linetap_desk.copy import worklist
from linetap_desk.copy.incoming import Call, Incoming, RetentionTerm
from linetap_desk.copy.transfers import POSTPONE_S, Hours
from linetap_desk.copy.worklist import MOST_EXPIRED
from linetap_desk.ingest import tables
from linetap_desk.ingest.callrow import LONGEST_NS
from linetap_desk.ingest.destroyedcalls import Clearing
from linetap_desk.ingest.store import Store
from linetap_desk.proofs.callfolder import Damaged

NOW_NS = parse_rfc3339("2026-11-25T01:00:00Z")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Units]]:
    made: list[Units] = []

    def one(**config: Any) -> Units:
        made.append(Units(tmp_path, ManualClock(NOW_NS, 5 * NS_PER_S), **config))
        return made[-1]

    yield one
    for units in made:
        units.close()


@pytest.fixture
def units(make: Callable[..., Units]) -> Units:
    return make()


class TestComing:
    def test_a_copy_is_stored_reported_and_listed(self, units: Units) -> None:
        records = [units.sealed_call(n, samples) for n, samples in ((1, 10), (2, 700_000))]
        units.serve()
        assert all(units.is_copied(record) for record in records)
        told = [wanted.call_id for wanted in units.asked if isinstance(wanted, Copied)]
        assert told == [record.call_id for record in records], "once each"
        assert all(units.row(record)["copied_at"] for record in records)
        assert units.row(records[0], tables.copies)["until"] == records[0].retention.until  # type: ignore[union-attr]
        assert not list(units.store.glob(".incoming/*/*"))

    def test_after_a_break_it_goes_on_where_it_was(self, units: Units) -> None:
        record = units.sealed_call(1, 1_000_000)
        size = sum(map(len, contents(units.folder_of(record.call_id)).values()))
        units.serve(most_blocks=7)  # the small files, and three of the audio's
        units.copying.lost_connection()
        units.serve(most_blocks=1)
        units.restart()
        units.serve()
        assert units.is_copied(record)
        firsts = [wanted.first for wanted in units.asked if isinstance(wanted, Window)]
        assert firsts == [0, 3 * BLOCK_BYTES, 4 * BLOCK_BYTES]
        assert sum(map(len, contents(units.copy_of(record)).values())) == size

    def test_a_unit_that_is_silent_is_asked_again_later_each_time(self, units: Units) -> None:
        units.sealed_call(1)
        asked = []
        for _ in range(400):
            asked += [units.clock.monotonic_ns() for _ in units.copying.turn()]
            units.clock.advance(NS_PER_S)
        pauses = [(b - a) // NS_PER_S for a, b in itertools.pairwise(asked)]
        assert pauses == [35, 40, 50, 70, 110]

    def test_a_unit_that_comes_back_is_asked_at_once(self, units: Units) -> None:
        units.sealed_call(1)
        units.copying.status(UNIT, b"first")
        asked = []
        for status in (b"first", b"first", b"second", b"second"):
            units.copying.status(UNIT, status)
            asked.append(len([*units.copying.turn()]))
            units.clock.advance(NS_PER_S)
        assert asked == [1, 0, 1, 0], "said again by the same session it is no news"

    def test_what_a_unit_refuses_does_not_stand_in_the_way(self, units: Units) -> None:
        *gone, there = (units.sealed_call(n) for n in range(30))
        for record in gone:
            shutil.rmtree(units.folder_of(record.call_id))
        before_ns = units.clock.monotonic_ns()
        units.serve()
        assert units.is_copied(there)
        assert units.clock.monotonic_ns() - before_ns < 120 * NS_PER_S
        assert [path.name for path in units.copy_of(there).parent.iterdir()] == [there.call_id]

    def test_a_call_without_a_recording_is_its_record(self, units: Units) -> None:
        record = units.sealed_call(1, files={}, audio=None, disposition="missed")
        units.serve()
        assert contents(units.copy_of(record)).keys() == {"record.json", "record.json.sig"}
        assert units.row(record)["copied_at"]

    def test_units_that_are_away_are_not_asked(self, units: Units) -> None:
        units.sealed_call(1)
        with units.engine.begin() as db:
            db.execute(tables.units.update().values(state="offline"))
        assert units.serve() == 0

    def test_few_units_at_a_time(self, make: Callable[..., Units]) -> None:
        units = make(units_at_once=2)
        units.sealed_call(1)
        with units.engine.begin() as db:
            call = rows(units.engine, tables.calls)[0]
            for n in range(4, 9):
                db.execute(tables.units.insert().values(unit=f"floor-0{n}", named=True, state="online", set_aside=0))
                db.execute(tables.calls.insert().values(**call | {"unit": f"floor-0{n}"}))
        first = {saying.topic for saying in units.copying.turn()}
        assert len(first) == 2
        units.clock.advance(40 * NS_PER_S)
        later = set[str]()
        for _ in range(10):
            later |= {saying.topic for saying in units.copying.turn()}
            units.clock.advance(NS_PER_S)
        assert later

    def test_a_store_that_takes_nothing_is_tried_again(self, units: Units) -> None:
        record = units.sealed_call(1)
        place = units.copy_of(record).parent
        place.parent.mkdir(parents=True)
        place.write_bytes(b"a file where a folder should be")
        units.serve()
        assert not rows(units.engine, tables.copies)
        place.unlink()
        units.clock.advance(POSTPONE_S[0] * NS_PER_S)
        units.serve()
        assert units.is_copied(record)


class TestOneCallsFault:
    """A folder that the medium has lost, or a neighbour process has changed, is one call's fault and stops no other."""

    @pytest.mark.parametrize("name", ["", "record.json", "record.json.part"])
    def test_a_folder_that_is_none_stops_no_other_call(self, units: Units, name: str) -> None:
        strange, *others = [units.sealed_call(n) for n in range(3)]
        place = units.store / ".incoming" / UNIT / strange.call_id
        (place / name).mkdir(parents=True)
        if not name:
            place.rmdir()
            place.write_bytes(b"a file where a folder should be")
        before_ns = units.clock.monotonic_ns()
        units.serve()
        assert all(map(units.is_copied, others))
        assert not units.copy_of(strange).exists()
        assert units.clock.monotonic_ns() - before_ns < 30 * NS_PER_S
        shutil.rmtree(place) if name else place.unlink()
        units.clock.advance(POSTPONE_S[0] * NS_PER_S)
        units.serve()
        assert units.is_copied(strange)

    @pytest.mark.parametrize("lost", [1, MOST_EXPIRED + 1])
    def test_copies_that_cannot_be_removed_stop_neither_removing_nor_copying(
        self, units: Units, monkeypatch: pytest.MonkeyPatch, lost: int
    ) -> None:
        over = [units.sealed_call(n, days=1) for n in range(lost + 1)]
        units.serve()
        assert all(map(units.is_copied, over))
        stuck = {units.copy_of(record) for record in over[:-1]}
        units.clock.advance(3 * DAY_NS)
        units.tell("started", "20261128T010000.000Z-L02", parse_rfc3339("2026-11-28T01:00:00Z"))
        rmtree = shutil.rmtree

        def lost_by_the_medium(path: Path, **more: Any) -> None:
            if path in stuck:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            rmtree(path, **more)

        monkeypatch.setattr(shutil, "rmtree", lost_by_the_medium)

        def are_removed(places: set[Path]) -> bool:
            units.clock.advance(61 * NS_PER_S)
            units.serve()
            return not any(place.exists() for place in places)

        until(lambda: are_removed({units.copy_of(over[-1])}))
        assert all(place.exists() for place in stuck)
        new = units.sealed_call(59)
        units.clock.advance(61 * NS_PER_S)
        before_ns = units.clock.monotonic_ns()
        units.serve()
        assert units.is_copied(new)
        assert units.clock.monotonic_ns() - before_ns < 30 * NS_PER_S
        monkeypatch.undo()
        units.clock.advance(POSTPONE_S[1] * NS_PER_S)
        until(lambda: are_removed(stuck))

    def test_a_link_in_place_of_a_copy_is_removed_and_not_followed(self, units: Units) -> None:
        record = units.sealed_call(1, days=1)
        units.serve()
        place, elsewhere = units.copy_of(record), units.folder / "elsewhere"
        place.rename(elsewhere)
        place.symlink_to(elsewhere)
        units.copying._store.remove(UNIT, record.call_id)
        assert not place.is_symlink()
        assert contents(elsewhere) == contents(units.folder_of(record.call_id))

    def test_an_unexpected_error_of_one_call_ends_no_thread(
        self, units: Units, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        strange, other = units.sealed_call(1), units.sealed_call(2)
        put = units.copying._store.put

        def unexpected(unit: str, call_id: str, folder: Path) -> None:
            if call_id == strange.call_id:
                raise ValueError("embedded null byte")
            put(unit, call_id, folder)

        monkeypatch.setattr(units.copying._store, "put", unexpected)
        units.serve()
        assert units.is_copied(other)
        assert not units.copying._worker.busy

    def test_a_full_store_pauses_all(self, units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
        record = units.sealed_call(1)

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Incoming, "store", full)
        units.serve()
        assert units.copying._store_ns > units.clock.monotonic_ns()
        monkeypatch.undo()
        units.clock.advance(31 * NS_PER_S)
        units.serve()
        assert units.is_copied(record)


class TestBadBytes:
    @pytest.mark.parametrize("name", ["record.json", "record.json.sig", "key.age", "audio.001.age"])
    def test_what_was_changed_on_the_way_is_not_stored(self, units: Units, name: str) -> None:
        record = units.sealed_call(1)
        good = (units.folder_of(record.call_id) / name).read_bytes()
        units.changed[name] = good[:-9] + bytes([good[-9] ^ 1]) + good[-8:] if len(good) > 9 else b"x" * len(good)
        units.serve()
        assert not units.copy_of(record).exists()
        assert not units.row(record)["copied_at"]
        units.changed.clear()
        units.clock.advance(61 * NS_PER_S)
        units.serve()
        assert units.is_copied(record)

    def test_what_no_unit_of_that_name_has_signed_is_not_stored(self, units: Units) -> None:
        record = units.sealed_call(1)
        folder = units.folder_of(record.call_id)
        signature = sshsig.sign((folder / "record.json").read_bytes(), keys.new_unit_key(), namespaces.RECORD)
        (folder / "record.json.sig").write_text(signature)
        units.serve()
        assert not units.copy_of(record).exists()

    @pytest.mark.parametrize(
        "more", [{"unit": "floor-04"}, {"call_id": "20261124T225600.000Z-L02"}, {"suite": "other"},
                 {"files": {"../../x": "ab" * 32}}, {"files": {"record.json": "ab" * 32}}],
    )  # fmt: skip
    def test_a_record_that_says_something_strange_is_not_believed(self, units: Units, more: dict[str, Any]) -> None:
        call_id = "20261124T220100.000Z-L01"
        units.sealed_call(1, **more)
        units.serve()
        assert not (units.store / UNIT).exists()
        assert {path.name for path in units.folder.iterdir()} >= {"store", "vault"}
        assert {path.name for path in (units.store / ".incoming" / UNIT / call_id).iterdir()} == set()

    @pytest.mark.parametrize("at", ["soon", "2026-11-24T22:01:00"])
    def test_a_record_that_ended_at_no_time_ends_no_service(self, units: Units, at: str) -> None:
        """The unit's own key has signed it; its other calls are copied."""
        strange, other = units.sealed_call(1, ended_at=at), units.sealed_call(2)
        units.serve()
        assert not units.copy_of(strange).exists()
        assert units.is_copied(other)
        assert [row["call_id"] for row in rows(units.engine, tables.copies)] == [other.call_id]

    def test_a_period_longer_than_any_class_is_the_longest(self, units: Units) -> None:
        """2^62 days have more seconds than a column of either database."""
        retention = Retention(class_="standard", epoch="overflow-1", days=1 << 62)
        strange, other = units.sealed_call(1, retention=retention), units.sealed_call(2)
        units.serve()
        assert units.is_copied(strange)
        assert units.is_copied(other)
        periods = [row["period_s"] for row in rows(units.engine, tables.copies)]
        assert periods[0] == LONGEST_NS // NS_PER_S > periods[1]

    def test_a_result_that_the_database_does_not_take_ends_no_service(
        self, units: Units, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        strange, other = units.sealed_call(1), units.sealed_call(2)
        honest = RetentionTerm.from_record
        too_long = RetentionTerm(None, 1 << 64)
        monkeypatch.setattr(
            RetentionTerm,
            "from_record",
            lambda record: too_long if record.call_id == strange.call_id else honest(record),
        )
        units.serve()
        assert [row["call_id"] for row in rows(units.engine, tables.copies)] == [other.call_id]
        assert units.is_copied(other)
        monkeypatch.undo()
        units.clock.advance(POSTPONE_S[0] * NS_PER_S)
        units.serve()
        assert len(rows(units.engine, tables.copies)) == 2

    def test_a_file_gets_no_larger_than_its_record_allows(self, units: Units) -> None:
        record = units.sealed_call(1, samples=100)
        digest = units.row(record)["record_sha256"]
        incoming = Incoming(units.folder / "held", Call(UNIT, record.call_id, digest), units.signers.now())
        for name in ("record.json", "record.json.sig", "key.age", "meta.age"):
            data = (units.folder_of(record.call_id) / name).read_bytes()
            with pytest.raises(Damaged, match="at most"):
                incoming.store(name, 0, 1 << 30, data)
            assert incoming.store(name, 0, len(data), data)
        for total in (1 << 30, 50):
            with pytest.raises(Damaged, match="at most"):
                incoming.store("audio.001.age", 0, total, bytes(100))
        assert incoming.place == ("audio.001.age", 0)

    def test_what_nobody_asked_for_is_passed_over(self, units: Units) -> None:
        units.sealed_call(1)
        [*_] = units.copying.turn()
        header = {"call": "x", "file": "record.json", "offset": "0", "total": "2"}
        for correlation in (b"", b"guessed"):
            units.copying.arrived(UNIT, arrived(b"{}", header, correlation))
            units.copying.arrived("floor-09", arrived(b"{}", header, correlation))
        assert not list(units.store.glob(".incoming/*/*/*"))
        right = units.copying._units[UNIT].correlation
        for bad in ({}, {"offset": "x"}, {"total": "-"}, {"file": "../../x"}, {"offset": "1"}):
            units.copying.arrived(UNIT, arrived(b"{}", header | bad if bad else {}, right))
        units.copying.arrived(UNIT, arrived(bytes(BLOCK_BYTES + 1), header | {"total": str(1 << 18)}, right))
        assert not list(units.store.glob(".incoming/*/*/*"))

    def test_what_a_power_cut_took_of_a_whole_file_is_found(self, units: Units) -> None:
        record = units.sealed_call(1, 500_000)
        units.serve(most_blocks=5)
        held = units.store / ".incoming" / UNIT / record.call_id
        (held / "key.age").write_bytes(b"")
        units.restart()
        units.serve()
        units.serve()
        assert units.is_copied(record)

    def test_a_name_that_is_no_call_becomes_no_path(self, units: Units) -> None:
        units.tell("sealed", "../../x", at_ns=NOW_NS, record_sha256="ab" * 32)
        assert units.serve() == 0
        record = units.sealed_call(1)
        units.serve()
        assert units.is_copied(record)


class TestClosing:
    """The proof from the unit's log, beside the copy."""

    def test_it_is_asked_for_once_and_lies_beside_the_copy(self, units: Units) -> None:
        record = units.sealed_call(1)
        found = units.log(record)
        units.serve()
        assert closing.decode(units.closing_of(record).read_bytes()) == found
        assert units.is_copied(record), "in the call's folder is what was sealed and nothing else"
        assert units.closes_asked == [record.call_id]
        assert units.row(record, tables.copies)["closing_at"]
        (head,) = rows(units.engine, tables.heads)
        assert bytes(head["head"]) == found.head.encode()

    def test_a_unit_that_has_none_to_give_is_copied_all_the_same(self, units: Units) -> None:
        records = [units.sealed_call(n) for n in (1, 2)]
        units.serve()
        assert all(units.row(record)["copied_at"] for record in records)
        asked = len(units.closes_asked)
        assert 1 <= asked < 5
        for record in records:
            units.log(record)
        units.clock.advance(1000 * NS_PER_S)
        units.serve()
        assert all(units.closing_of(record).exists() for record in records), "a later version has it for the old calls"

    def test_a_unit_that_comes_back_is_asked_at_once(self, units: Units) -> None:
        record = units.sealed_call(1)
        units.copying.status(UNIT, b"first")
        units.serve()
        units.log(record)
        units.serve()
        assert not units.closing_of(record).exists()
        units.copying.status(UNIT, b"another version")
        units.serve()
        assert units.closing_of(record).exists()

    def test_a_unit_that_refuses_is_asked_later_each_time(self, units: Units) -> None:
        for n in range(20):
            units.sealed_call(n, samples=10)
        units.serve()
        before, end_ns = len(units.closes_asked), units.clock.monotonic_ns() + 300 * NS_PER_S
        while units.clock.monotonic_ns() < end_ns:
            units.serve()
        assert 2 <= len(units.closes_asked) - before <= 8, "each of them another call, and not one a second"

    @pytest.mark.parametrize("field", ["leaf", "path", "head", "sig"])
    def test_one_that_was_changed_on_the_way_is_not_kept(self, units: Units, field: str) -> None:
        record = units.sealed_call(1)
        good = units.log(record)
        found = units.log(units.sealed_call(2))
        units.closings[record.call_id] = msgspec.structs.replace(good, **{field: getattr(found, field)})
        assert units.closings[record.call_id] != good
        units.serve()
        assert not units.closing_of(record).exists()
        units.closings[record.call_id] = good
        units.clock.advance(1000 * NS_PER_S)
        units.serve()
        assert closing.decode(units.closing_of(record).read_bytes()) == good

    def test_one_by_a_stranger_is_not_kept(self, units: Units) -> None:
        record = units.sealed_call(1)
        own, units.teller.key = units.teller.key, keys.new_unit_key()
        units.log(record)
        units.teller.key = own
        units.serve()
        assert not units.closing_of(record).exists()
        assert units.is_copied(record)

    def test_what_nobody_asked_for_is_passed_over(self, units: Units) -> None:
        record = units.sealed_call(1)
        units.serve()
        found = units.log(record)
        answer = Answer(unit=UNIT, at="", done=True, code="done", text="", closing=found)
        for correlation in (b"", b"guessed"):
            units.copying.arrived(UNIT, arrived(msgspec.json.encode(answer), {}, correlation))
        units.closings.clear()
        units.serve()
        assert not units.closing_of(record).exists()

    @pytest.mark.parametrize("payload", [b"", b"{}", b"[" * 5000, b"\xff", b"x" * (1 << 20)])
    def test_an_answer_that_is_none(self, units: Units, payload: bytes) -> None:
        units.sealed_call(1)
        units.serve()
        units.clock.advance(1000 * NS_PER_S)
        (saying,) = units.copying.turn()
        units.copying.arrived(UNIT, arrived(payload, {}, saying.correlation))
        assert [*units.copying.turn()] == []

    def test_two_logs_of_one_unit_are_found_out(self, units: Units) -> None:
        record, other = units.sealed_call(1), units.sealed_call(2)
        units.log(record)
        units.serve()
        shutil.rmtree(units.vault / "log")
        units.log(other)
        units.serve()
        units.clock.advance(1000 * NS_PER_S)
        units.serve()
        assert [row["code"] for row in rows(units.engine, tables.alerts)] == ["log_fork"]

    def test_it_goes_with_its_copy(self, units: Units) -> None:
        record = units.sealed_call(1)
        units.log(record)
        units.serve()
        assert units.closing_of(record).exists()
        TestItsEnd().after(units, 61)
        assert not units.copy_of(record).exists()
        assert not (units.store / UNIT / "closing" / "2026").exists()

    def test_one_that_comes_after_its_copy_is_gone_is_not_kept(self, units: Units) -> None:
        record = units.sealed_call(1)
        units.serve()
        shutil.rmtree(units.copy_of(record))
        units.log(record)
        units.clock.advance(1000 * NS_PER_S)
        units.serve()
        assert not (units.store / UNIT / "closing").exists()

    def test_a_store_that_takes_nothing_is_tried_again(self, units: Units) -> None:
        record = units.sealed_call(1)
        units.log(record)
        place = units.store / UNIT / "closing"
        place.parent.mkdir()
        place.write_bytes(b"a file where a folder should be")
        units.serve()
        assert not units.row(record, tables.copies)["closing_at"]
        place.unlink()
        units.clock.advance(POSTPONE_S[0] * NS_PER_S)
        units.serve()
        assert units.closing_of(record).exists()

    def test_not_in_hours_that_are_not_for_it(self, make: Callable[..., Units]) -> None:
        units = make(day_kbit_s=0, night="20:00-06:00")
        record = units.sealed_call(1)
        units.log(record)
        units.clock.advance(10 * 3600 * NS_PER_S)
        units.serve()
        assert units.closing_of(record).exists()
        with units.engine.begin() as db:
            db.execute(tables.copies.update().values(closing_at=None))
        units.clock.advance(14 * 3600 * NS_PER_S)
        asked = len(units.closes_asked)
        units.serve()
        assert len(units.closes_asked) == asked


class TestItsEnd:
    def after(self, units: Units, days: float) -> None:
        """Advances the desk's clock; a call begins at a unit."""
        units.clock.advance(round(days * DAY_NS))
        units.tell("started", _name(units.clock.utc_ns()), units.clock.utc_ns())
        units.serve()

    def test_a_copy_goes_at_its_time_and_not_before(self, units: Units) -> None:
        record, later = units.sealed_call(1), units.sealed_call(2, days=61)
        units.serve()
        self.after(units, 59.5)
        assert units.is_copied(record)
        self.after(units, 0.5)
        assert not units.copy_of(record).exists()
        assert units.is_copied(later)
        assert units.row(record, tables.copies)["removed_at"]

    def test_the_desks_clock_alone_deletes_nothing(self, units: Units) -> None:
        record = units.sealed_call(1)
        units.serve()
        units.clock.advance(400 * DAY_NS)
        units.serve()
        assert units.is_copied(record)

    def test_a_units_clock_alone_deletes_nothing(self, units: Units) -> None:
        record = units.sealed_call(1)
        units.serve()
        units.tell("started", _name(NOW_NS + 400 * DAY_NS), NOW_NS + 400 * DAY_NS)
        units.clock.advance(DAY_NS)
        units.serve()
        assert units.is_copied(record)

    def test_it_stays_while_its_unit_holds_it(self, units: Units) -> None:
        record = units.sealed_call(1)
        units.serve()
        units.tell("held", record.call_id)
        self.after(units, 70)
        assert units.is_copied(record)
        units.tell("held", record.call_id, units.clock.utc_ns(), why="hold_ended")
        self.after(units, 0.1)
        assert not units.copy_of(record).exists()

    def test_it_stays_when_it_is_held_again_by_a_clock_that_was_put_right(self, units: Units) -> None:
        """The earlier hold ended by a clock of 2034: the latest report counts, not the latest end."""
        record = units.sealed_call(1)
        units.serve()
        units.tell("held", record.call_id, NOW_NS + 8 * 365 * DAY_NS)
        units.tell("held", record.call_id, NOW_NS + 8 * 365 * DAY_NS + 1, why="hold_ended")
        units.tell("held", record.call_id, NOW_NS)
        self.after(units, 70)
        assert units.is_copied(record)
        units.tell("held", record.call_id, NOW_NS - 1, why="hold_ended")
        self.after(units, 0.1)
        assert not units.copy_of(record).exists()

    @pytest.mark.parametrize("damaged", [False, True])
    @pytest.mark.parametrize("name", ["20261124T220100.000Z-L01", "H2026-0001"])
    def test_it_stays_while_a_hold_lies_at_the_desk(self, units: Units, name: str, damaged: bool) -> None:
        """A person names its folder after the call, the pages name it after the hold."""
        record = units.sealed_call(1)
        units.serve()
        place = units.holds / name / "hold.json"
        place.parent.mkdir()
        until = rfc3339(NOW_NS + 90 * DAY_NS)
        document = hold.Hold(
            call_id=record.call_id, unit=UNIT, record_sha256="", key_sha256="", from_epoch="", to="", made_at="",
            case="2026-117", basis="a law", until=until,
        )  # fmt: skip
        place.write_bytes(b"?" if damaged else hold.encode(document))
        self.after(units, 70)
        assert units.is_copied(record)
        self.after(units, 21)
        assert units.is_copied(record) == damaged, "one that cannot be read holds until somebody has looked"

    @pytest.mark.parametrize("there", [True, False])
    def test_it_stays_while_the_holds_cannot_be_looked_up(self, units: Units, there: bool) -> None:
        record = units.sealed_call(1)
        units.serve()
        units.holds.rmdir()
        if there:
            units.holds.write_bytes(b"a file where a folder should be")
        self.after(units, 70)
        assert units.is_copied(record)
        units.holds.unlink(missing_ok=True)
        units.holds.mkdir()
        self.after(units, 0.1)
        assert not units.copy_of(record).exists()

    def test_a_rewrapping_in_place_of_a_hold_ends_no_service(self, units: Units) -> None:
        record = units.sealed_call(1)
        units.serve()
        place = units.holds / record.call_id / "hold.json"
        place.parent.mkdir()
        document = hold.Rewrap(
            call_id=record.call_id, unit=UNIT, record_sha256="", key_sha256="", from_epoch="", to="", made_at="",
            epoch="2026-12-02", until=rfc3339(NOW_NS),
        )  # fmt: skip
        place.write_bytes(hold.encode(document))
        self.after(units, 70)
        assert units.is_copied(record)

    def test_a_unit_that_says_destroyed_before_its_time_destroys_nothing_here(self, units: Units) -> None:
        record = units.sealed_call(1)
        units.serve()
        units.tell("destroyed", record.call_id, why="retention")
        self.after(units, 1)
        assert units.is_copied(record)


def _name(at_ns: int) -> str:
    return f"{rfc3339(at_ns).replace('-', '').replace(':', '')}-L02"


class TestHours:
    def at(self, hours: Hours, text: str) -> int | None:
        return hours.kbit_s(parse_rfc3339(f"2026-11-25T{text}:00+09:00"))

    def test_over_midnight_and_within_a_day(self) -> None:
        night = Hours.parse("20:00-06:00", "Asia/Seoul", 2000, None)
        assert [self.at(night, text) for text in ("19:59", "20:00", "00:00", "05:59", "06:00")] == [
            2000, None, None, None, 2000,
        ]  # fmt: skip
        noon = Hours.parse("12:00-13:00", "Asia/Seoul", 0, 8000)
        assert [self.at(noon, text) for text in ("11:59", "12:00", "12:59", "13:00")] == [0, 8000, 8000, 0]

    @pytest.mark.parametrize("text", ["", "20:00", "24:00-06:00", "20:00-20:00", "8:00-9:00", "20:60-06:00"])
    def test_hours_that_are_none(self, text: str) -> None:
        with pytest.raises(BadInput, match="20:00-06:00 expected"):
            Hours.parse(text, "Asia/Seoul", None, None)

    def test_a_zone_that_is_none(self) -> None:
        with pytest.raises(BadInput, match=r"copy\.zone"):
            Hours.parse("20:00-06:00", "Asia/Soul", None, None)

    def test_a_rate_is_kept(self, make: Callable[..., Units]) -> None:
        units = make(day_kbit_s=1000, night_kbit_s=1000)
        record = units.sealed_call(1, 2_000_000)
        units.serve()
        assert units.is_copied(record)
        pauses_s = [(b - a) / NS_PER_S for a, b in itertools.pairwise(units.asked_ns[:-1])]
        assert len(pauses_s) == 8
        assert min(pauses_s) >= 2  # for 250,000 bytes, two seconds of the rate
        assert all(wanted.most == 250_000 for wanted in units.asked if isinstance(wanted, Window))

    def test_nothing_in_hours_that_are_not_for_it(self, make: Callable[..., Units]) -> None:
        units = make(day_kbit_s=0, night="20:00-06:00")
        record = units.sealed_call(1)
        assert units.serve() == 0  # 10:00 in Seoul
        units.clock.advance(10 * 3600 * NS_PER_S)
        units.serve()
        assert units.is_copied(record)


class TestForgetting:
    def destroyed(self, units: Units) -> Any:
        """A call whose copy is deleted, and which its unit has then destroyed."""
        record = units.sealed_call(1)
        units.serve()
        TestItsEnd().after(units, 61)
        units.tell("destroyed", record.call_id, units.clock.utc_ns(), why="retention", record_sha256="cd" * 32)
        return record

    def clear(self, units: Units) -> None:
        Clearing(units.engine, units.clock).clear_due()

    def test_of_a_destroyed_call_its_name_line_disposition_and_end_stay(self, units: Units) -> None:
        record = self.destroyed(units)
        self.clear(units)
        row = {name: value for name, value in units.row(record).items() if value}
        assert row.keys() == {"unit", "call_id", "line", "disposition", "began_at", "destroyed_at", "record_sha256"}
        assert row["disposition"] == "recorded"
        *cleared, end = units.events_of(record)
        assert {(event["event"], event["payload"], event["sig"], event["at"]) for event in cleared} == {
            ("cleared", b"", "", row["destroyed_at"])
        }
        assert json.loads(end["payload"])["why"] == "retention"
        units.close()  # all of it is in the one file then
        assert b"12.5" not in (units.folder / "desk.db").read_bytes(), "nor in a page that is free"

    def test_the_chain_goes_through_what_is_cleared(self, units: Units) -> None:
        self.destroyed(units)
        before = rows(units.engine, tables.origins)
        self.clear(units)
        found = sorted(rows(units.engine, tables.events), key=lambda row: row["seq"])
        for one, following in itertools.pairwise(found):
            assert following["prev"] == one["sha256"]
        other = units.sealed_call(9)
        assert units.row(other)["sealed_at"]
        assert rows(units.engine, tables.origins)[0]["through"] == before[0]["through"] + 3
        assert not rows(units.engine, tables.set_aside)

    def test_a_double_of_a_cleared_event_is_one_still(self, units: Units) -> None:
        record = self.destroyed(units)
        self.clear(units)
        Store(units.engine).write(units.teller.reports(), units.signers.now())
        assert not rows(units.engine, tables.set_aside)
        assert units.row(record)["direction"] is None

    def test_a_late_event_of_a_cleared_call_brings_nothing_back(self, units: Units) -> None:
        record = self.destroyed(units)
        self.clear(units)
        units.tell("marked", record.call_id, mark="**9")
        assert units.row(record)["mark"] is None
        assert {event["event"] for event in units.events_of(record)} == {"cleared", "destroyed"}

    def test_nothing_is_cleared_while_there_is_a_copy(self, units: Units) -> None:
        record = units.sealed_call(1)
        units.serve()
        units.tell("destroyed", record.call_id, why="retention")
        self.clear(units)
        assert units.row(record)["direction"] == "in"

    def test_without_copies_too(self, units: Units) -> None:
        record = units.sealed_call(1)
        units.tell("destroyed", record.call_id, why="retention")
        self.clear(units)
        assert units.row(record)["direction"] is None

    def test_an_event_at_the_end_of_all_years_ends_no_service(self, units: Units) -> None:
        """In Korea that moment is in the year 10000, which no date of Python's has."""
        record, at = units.sealed_call(1), "9999-12-31T23:59:59.000Z"
        seq = units.teller.tell("destroyed", at=at, call_id=record.call_id, why="retention")
        reports = [replace(one, received_ns=NOW_NS) for one in units.teller.reports(seq)]
        Store(units.engine).write(reports, units.signers.now())
        self.clear(units)
        row = units.row(record)
        assert (row["direction"], row["destroyed_at"]) == (None, rfc3339(NOW_NS))
        assert [day["day"] for day in rows(units.engine, tables.destroyed_days)] == ["2026-11-25"]

    @pytest.mark.parametrize("column", ["began_at", "destroyed_at"])
    @pytest.mark.parametrize("at", ["9999-12-31T23:59:59.000Z", "soon"])
    def test_a_call_that_belongs_to_no_day_is_cleared_without_figures(self, units: Units, column: str, at: str) -> None:
        strange, other = units.sealed_call(1), units.sealed_call(2)
        for record in (strange, other):
            units.tell("destroyed", record.call_id, why="retention")
        with units.engine.begin() as db:
            db.execute(update(tables.calls).where(tables.calls.c.call_id == strange.call_id).values({column: at}))
        self.clear(units)
        assert [units.row(record)["direction"] for record in (strange, other)] == [None, None]
        assert sum(day["destroyed"] for day in rows(units.engine, tables.destroyed_days)) == 1

    def test_the_copy_of_a_destroyed_call_was_to_be_kept_for_all_years(self, units: Units) -> None:
        record = units.sealed_call(1)
        units.serve()
        with units.engine.begin() as db:
            db.execute(update(tables.copies).values(until="9999-12-31T23:59:59.000Z", removed_at=rfc3339(NOW_NS)))
        units.tell("destroyed", record.call_id, units.clock.utc_ns(), why="retention")
        self.clear(units)
        assert units.row(record)["direction"] is None


def test_a_unit_that_acknowledges_nothing_keeps_no_others_copies(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worklist, "MOST_UNREPORTED", 3)
    at = "2026-11-24T00:00:00.000Z"
    names = [("mute-01", f"20261124T00000{n}.000Z-L01") for n in range(7)] + [("z-01", "20261124T000000.000Z-L01")]
    with units.engine.begin() as db:
        for unit in ("mute-01", "z-01"):
            db.execute(insert(tables.units).values(unit=unit, named=True, state="online", heard_at=at))
        for unit, call_id in names:
            row = {"unit": unit, "call_id": call_id, "record_sha256": "ab" * 32}
            db.execute(insert(tables.calls).values(**row, began_at=at, sealed_at=at, late=False))
            db.execute(insert(tables.copies).values(**row, stored_at=at))
    seen = set[str]()
    for _ in range(3):
        units.copying._tidy()
        seen |= {call.unit for call in units.copying._to_confirm}
    assert seen == {"mute-01", "z-01"}
    units.copying._tidy()
    assert [(call.unit, call.call_id) for call in units.copying._to_confirm] == names[:3], "from the beginning again"
