# SPDX-License-Identifier: Apache-2.0
"""Calls are destroyed at the end of their retention: not before, not while held, always with a trace, reported once."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from keeping_rig import DAY, MS, START, Keeper, midnight
from linetap.recorder.vault.retention import destruction, expiry
from linetap.recorder.vault.retention.expiry import Expiry, Stored
from linetap_core.clock import parse_rfc3339
from linetap_core.evidence.calls import sealed


@pytest.fixture
def unit(run_dir: Path) -> Keeper:
    keeper = Keeper(run_dir, run_dir)
    keeper.take_roles()
    return keeper


def until_of(keeper: Keeper, days: int = 60) -> int:
    return midnight(keeper.clock.utc_ns(), days)


def test_a_call_goes_at_its_end_and_not_a_millisecond_before(unit: Keeper) -> None:
    record, until = unit.call(), until_of(unit)
    unit.clock.advance(until - unit.clock.utc_ns() - MS)
    unit.ticks()
    assert unit.is_whole(record)
    assert unit.destroyed() == []
    unit.clock.advance(MS)
    unit.ticks()
    assert not unit.folder(record.call_id).exists()
    assert unit.destroyed() == unit.events("destroyed") == [record.call_id]
    (leaf,) = unit.leaves("destruction")
    assert leaf["until"] == record.retention.until if record.retention else False
    assert not (unit.vault / "2026").exists(), "day, month and year were empty"


def test_audio_that_was_put_away_for_want_of_its_key_goes_with_its_call(unit: Keeper) -> None:
    record, other = unit.call(), unit.call(marked=True, suffix="-2")
    for call_id in (record.call_id, other.call_id):
        put_away = unit.vault / sealed.UNOPENABLE / call_id
        put_away.mkdir(parents=True)
        (put_away / "audio.001.age").write_bytes(b"sealed for a key that is gone")
    unit.passes(62)
    assert unit.destroyed() == [record.call_id]
    assert [path.name for path in (unit.vault / sealed.UNOPENABLE).iterdir()] == [other.call_id]


def test_a_marked_call_stays_for_its_longer_class_and_an_overflow_call_for_ever(unit: Keeper) -> None:
    short, long, overflow = unit.call(), unit.call(marked=True, suffix="-2"), unit.call(overflow=True, suffix="-3")
    unit.passes(62)
    assert unit.destroyed() == [short.call_id]
    unit.passes(120)
    assert unit.destroyed() == [short.call_id, long.call_id]
    unit.passes(4000)
    assert unit.is_whole(overflow)


def test_what_was_sealed_before_a_restart_is_found(unit: Keeper) -> None:
    records = [unit.call(suffix=f"-{n}") for n in range(20)]
    unit.restart()
    unit.passes(62)
    assert sorted(unit.destroyed()) == sorted(record.call_id for record in records)


def test_an_open_call_is_not_touched_whatever_its_age(unit: Keeper) -> None:
    folder = unit.folder("20250101T000000.000Z-L01")
    folder.mkdir(parents=True)
    (folder / sealed.KEY).write_bytes(b"key")
    unit.restart()
    unit.passes(1)
    assert (folder / sealed.KEY).exists()


def test_a_damaged_record_is_reported_and_its_call_stays(unit: Keeper, caplog: pytest.LogCaptureFixture) -> None:
    record = unit.call()
    (unit.folder(record.call_id) / sealed.RECORD).write_bytes(b"{")
    unit.restart()
    unit.passes(100)
    assert unit.folder(record.call_id).exists()
    assert "vault_damaged" in caplog.text


@pytest.mark.parametrize("name", [sealed.RECORD, sealed.SIGNATURE])
def test_a_flipped_bit_ends_no_call_early(unit: Keeper, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """One bit may turn 2027 into 2026; the signature detects it."""
    record = unit.call()
    path = unit.folder(record.call_id) / name
    path.write_bytes(path.read_bytes().replace(b"2027-01-23", b"2025-01-23").replace(b"U1NIU0lH", b"U1NIU0lI"))
    unit.restart()
    unit.passes(100)
    assert unit.destroyed() == []
    assert (unit.folder(record.call_id) / sealed.KEY).exists()
    assert "vault_damaged" in caplog.text


def test_more_calls_than_are_known_at_once_all_go_in_time(unit: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "MOST_KNOWN", 8)
    records = []
    for _ in range(30):
        records.append(unit.call())
        unit.passes(1)
    assert len(unit.upkeep.expiry._next) <= 8
    for _ in range(62):
        unit.passes(1)
        expected = [r.call_id for r in records if parse_rfc3339(_until(r)) <= (unit.now_ns or 0)]
        assert unit.destroyed() == expected
        assert sum(unit.upkeep.stored._going.values()) == 100 * (len(records) - len(expected))
    unit.passes(60)
    assert unit.destroyed() == [record.call_id for record in records]


def _until(record: object) -> str:
    until = record.retention.until  # type: ignore[attr-defined]
    assert isinstance(until, str)
    return until


def test_a_call_that_cannot_be_unlinked_holds_up_no_other(
    unit: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = unit.call(), unit.call(suffix="-2")
    real = os.unlink

    def unlink(path: str | Path, *args: object, **more: object) -> None:
        if bad.call_id in str(path).split("/")[-2:-1]:
            raise OSError(errno.EIO, "the card", str(path))
        real(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "unlink", unlink)
    unit.passes(62)
    assert unit.events("destroyed") == [good.call_id]
    assert "not_destroyed" in caplog.text
    monkeypatch.undo()
    unit.passes(0.1)
    assert sorted(unit.events("destroyed")) == sorted([bad.call_id, good.call_id])
    assert len(unit.destroyed()) == 2


def test_the_log_without_a_free_byte_is_waited_for_and_no_hour(unit: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    record = unit.call()
    unit.tick()
    real = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        if (unit.vault / destruction.BALLAST).exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    unit.room = 0
    unit.passes(62)
    assert unit.destroyed() == [record.call_id]


def test_without_a_free_byte_destruction_makes_its_own_room(unit: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be written until the ballast is released; a full disk must not stay full forever."""
    record = unit.call()
    unit.tick()
    assert (unit.vault / destruction.BALLAST).stat().st_blocks * 512 >= destruction.BALLAST_BYTES
    unit.room = 0
    real = os.open

    def full(path: str | Path, flags: int, *args: object, **more: object) -> int:
        if flags & os.O_CREAT and (unit.vault / destruction.BALLAST).exists():
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, flags, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", full)
    unit.passes(62)
    assert unit.destroyed() == [record.call_id]
    monkeypatch.undo()
    unit.room = 1 << 40
    unit.tick()
    assert (unit.vault / destruction.BALLAST).exists()


def test_an_intention_that_names_a_call_too_early_destroys_nothing(unit: Keeper) -> None:
    """Only the record's date counts."""
    record, overflow, held = unit.call(), unit.call(overflow=True, suffix="-2"), unit.call(suffix="-3")
    assert unit.command(unit.hold(held, unit.clock.utc_ns() + 100 * DAY)).done
    calls = [record.call_id, overflow.call_id, held.call_id, "20250101T000000.000Z-L01"]
    (unit.vault / destruction.NAME).write_text(json.dumps({"at": START, "calls": calls}))
    unit.restart()
    unit.ticks()
    assert unit.destroyed() == []
    assert all(unit.is_whole(each) for each in (record, overflow, held))
    unit.passes(62)
    assert unit.destroyed() == [record.call_id]


def test_an_intention_that_names_a_held_call_destroys_nothing(unit: Keeper) -> None:
    held = unit.call()
    assert unit.command(unit.hold(held, unit.clock.utc_ns() + 100 * DAY)).done
    unit.passes(62)
    (unit.vault / destruction.NAME).write_text(json.dumps({"at": START, "calls": [held.call_id]}))
    unit.restart()
    unit.ticks()
    assert unit.is_whole(held)


def test_an_error_in_one_folder_ends_no_scan(
    unit: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    remnant = unit.folder("20250101T000000.000Z-L01")
    remnant.mkdir(parents=True)
    record = unit.call()
    real = os.rmdir

    def rmdir(path: str | Path, *args: object, **more: object) -> None:
        if str(path) == str(remnant):
            raise OSError(errno.EIO, "the card", str(path))
        real(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "rmdir", rmdir)
    unit.restart()
    unit.passes(62)
    assert unit.destroyed() == [record.call_id]
    assert "vault_damaged" in caplog.text


def test_a_call_that_is_sealed_during_the_scan_counts_once(unit: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "FOLDERS_A_TICK", 1)
    for n in range(3):
        unit.call(suffix=f"-{n}")
    unit.passes(1)
    unit.call(suffix="-8")  # its day is not checked yet
    unit.restart()
    unit.tick()
    unit.call(suffix="-9")
    unit.ticks()
    assert sum(unit.upkeep.stored._going.values()) == 5 * 100


def test_what_a_power_cut_left_of_a_call_that_had_gone_is_removed(unit: Keeper) -> None:
    folder = unit.folder("20250101T000000.000Z-L01")
    folder.mkdir(parents=True)
    (folder / sealed.SIGNATURE).write_text("sig")
    unit.restart()
    unit.ticks()
    assert not (unit.vault / "2025").exists()


class TestForecast:
    def stored(self, days: int, a_day: int, kept: int = 60) -> tuple[Stored, int]:
        found, now = Stored(), parse_rfc3339("2026-11-24T03:00:00Z")
        for ago in range(1, days + 1):
            at = now - ago * DAY
            found._came[at // DAY] += a_day
            found._first = min(found._first or at // DAY, at // DAY)
            if ago <= kept:
                found._going[midnight(at, kept) // DAY] += a_day
        return found, now

    def test_a_young_vault_fills_up_before_its_first_call_may_go(self) -> None:
        stored, now = self.stored(days=7, a_day=1000)
        assert stored.full_in_days(now, 41_500, 60) == 41

    def test_old_calls_make_room_in_time(self) -> None:
        stored, now = self.stored(days=60, a_day=1000)
        assert stored.full_in_days(now, 3000, 60) is None
        assert stored.full_in_days(now, 60_000, 60) is None

    def test_a_week_with_more_calls_than_those_that_go_fills_it(self) -> None:
        stored, now = self.stored(days=60, a_day=1000)
        for ago in range(8):
            stored._came[now // DAY - ago] += 1000
        found = stored.full_in_days(now, 10_500, 60)
        assert found is not None
        assert 9 <= found <= 12

    def test_nobody_knows_without_a_call(self) -> None:
        assert Stored().full_in_days(DAY * 20_000, 0, 60) is None

    def test_the_scan_finds_what_was_there(self, unit: Keeper) -> None:
        for _ in range(8):
            unit.call(samples=10_000)
            unit.passes(1)
        before = dict(unit.upkeep.stored._going), unit.upkeep.stored.rate(unit.clock.utc_ns())
        unit.restart()
        unit.ticks()
        after = dict(unit.upkeep.stored._going), unit.upkeep.stored.rate(unit.clock.utc_ns())
        assert before == after
        assert before[1] == pytest.approx(10_000, rel=0.15)
        unit.room = 5 * 10_000 + 5000
        unit.clock.advance(61 * 1_000_000_000)
        unit.tick()
        assert unit.upkeep.full_in_days is not None


def test_a_tick_destroys_a_bounded_number(unit: Keeper) -> None:
    for n in range(30):
        unit.call(suffix=f"-{n}")
    unit.clock.advance(62 * DAY)
    unit.restart()
    gone = []
    assert isinstance(unit.upkeep.expiry, Expiry)
    for _ in range(40):
        unit.tick()
        gone.append(len(unit.destroyed()))
    steps = [b - a for a, b in zip([0, *gone], gone, strict=False)]
    assert max(steps) <= expiry.CALLS_A_TICK
    assert gone[-1] == 30
