# SPDX-License-Identifier: Apache-2.0
"""A hold stops destruction, ends by itself, and cannot be obtained by a trick."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeping_rig import DAY, UNIT, Keeper, midnight
from linetap.recorder.vault.retention import holds
from linetap_core.clock import rfc3339
from linetap_core.durable import broken
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import group


@pytest.fixture
def unit(run_dir: Path) -> Keeper:
    keeper = Keeper(run_dir, run_dir)
    keeper.take_roles()
    return keeper


def test_a_key_for_a_group_of_officers_is_kept_as_it_came(unit: Keeper) -> None:
    record, end = unit.call(), unit.clock.utc_ns() + 100 * DAY
    officers = ",".join(keys.new_identity().recipient for _ in range(3))
    for key in (group.seal(b"an inner key", f"2:{officers}"), group.seal(b"an inner key", f"1:{officers}")):
        assert unit.command(unit.hold(record, end, sealed_key=key)).done
        assert (unit.vault / "holds" / record.call_id / sealed.KEY).read_bytes() == key
    for key in (b"#!/bin/sh", b"x" * 300 + b"ustar", group.seal(bytes(70_000), f"2:{officers}")):
        assert unit.command(unit.hold(record, end, sealed_key=key)).code == "command_malformed"


def test_a_held_call_stays_and_goes_at_once_when_the_hold_ends(unit: Keeper) -> None:
    record, other = unit.call(), unit.call(suffix="-2")
    end = unit.clock.utc_ns() + 100 * DAY
    answer = unit.command(unit.hold(record, end))
    assert answer.done
    assert record.call_id in answer.text
    folder = unit.vault / "holds" / record.call_id
    assert {path.name for path in folder.iterdir()} == {sealed.KEY, holds.DOCUMENT, holds.SIGNATURE, holds.COPY}
    unit.passes(90)
    unit.restart()
    unit.passes(9.9)
    assert unit.destroyed() == [other.call_id]
    assert unit.is_whole(record)
    unit.passes(0.2)
    assert unit.destroyed() == [other.call_id, record.call_id]
    assert not folder.exists(), "its key for the hold's epoch goes too"
    assert [leaf.get("ended", False) for leaf in unit.leaves("hold")] == [False, True]
    assert unit.events("held") == [record.call_id, record.call_id]


def test_a_hold_that_ends_before_the_calls_own_day_changes_nothing(unit: Keeper) -> None:
    record = unit.call()
    assert unit.command(unit.hold(record, unit.clock.utc_ns() + 10 * DAY)).done
    unit.passes(50)
    assert unit.is_whole(record)
    unit.passes(12)
    assert unit.destroyed() == [record.call_id]


def test_a_renewed_hold_holds_on(unit: Keeper) -> None:
    record = unit.call()
    assert unit.command(unit.hold(record, unit.clock.utc_ns() + 70 * DAY)).done
    unit.passes(65)
    assert unit.command(unit.hold(record, unit.clock.utc_ns() + 70 * DAY)).done, "also behind its own day"
    unit.passes(65)
    assert unit.is_whole(record)
    unit.passes(6)
    assert unit.destroyed() == [record.call_id]


@pytest.mark.parametrize("name", [sealed.KEY, holds.DOCUMENT, holds.SIGNATURE, holds.COPY])
def test_a_bit_of_a_hold_is_put_back_and_it_ends_in_time(unit: Keeper, name: str) -> None:
    record = unit.call()
    end = unit.clock.utc_ns() + 100 * DAY
    assert unit.command(unit.hold(record, end)).done
    folder = unit.vault / "holds" / record.call_id
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    data = bytearray(before[name])
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    unit.restart()
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert unit.upkeep.holds.until(record.call_id) == end
    assert any(each.endswith(f"/{name}") for each in broken.names())
    unit.passes(101)
    assert not folder.exists()


def test_a_hold_of_an_earlier_version_gets_its_copy(unit: Keeper) -> None:
    record = unit.call()
    assert unit.command(unit.hold(record, unit.clock.utc_ns() + 100 * DAY)).done
    copy = unit.vault / "holds" / record.call_id / holds.COPY
    copy.unlink()
    unit.restart()
    assert copy.exists()


def test_a_hold_that_cannot_be_read_holds_for_ever(unit: Keeper, caplog: pytest.LogCaptureFixture) -> None:
    record = unit.call()
    assert unit.command(unit.hold(record, unit.clock.utc_ns() + 70 * DAY)).done
    for name in (holds.DOCUMENT, holds.COPY):
        (unit.vault / "holds" / record.call_id / name).write_bytes(b"{")
    unit.restart()
    unit.passes(400)
    assert unit.is_whole(record)
    assert "file_broken" in caplog.text


def test_the_key_of_a_hold_that_is_none_does_not_stay(unit: Keeper) -> None:
    """A power cut during its end, or during a beginning that was never reported."""
    record = unit.call()
    assert unit.command(unit.hold(record, unit.clock.utc_ns() + 70 * DAY)).done
    folder = unit.vault / "holds" / record.call_id
    (folder / holds.DOCUMENT).unlink()
    unit.restart()
    assert not folder.exists()
    assert unit.upkeep.holds.until(record.call_id) is None


def test_what_is_no_hold_is_refused(unit: Keeper) -> None:
    record, end = unit.call(), unit.clock.utc_ns() + 100 * DAY
    other = unit.call(suffix="-2")
    refused = {
        "hold_ended": unit.hold(record, unit.clock.utc_ns() - DAY),
        "hold_no_call": unit.hold(record, end, record_sha256="0" * 64),
        "document_signature": unit.hold(record, end, by="desk"),
    }
    for code, data in refused.items():
        assert unit.command(data).code == code
    malformed = [
        unit.hold(record, end, case=" "),
        unit.hold(record, end, basis=""),
        unit.hold(record, end, key_sha256="0" * 64),
        unit.hold(record, end, unit=f"{UNIT}4"),
        unit.hold(record, end, call_id="../../etc"),
    ]
    assert [unit.command(data).code for data in malformed] == ["hold_malformed"] * len(malformed)
    unit.passes(62)
    assert unit.command(unit.hold(other, unit.clock.utc_ns() + DAY)).code == "hold_no_call"
    assert unit.destroyed() == [record.call_id, other.call_id]
    assert unit.leaves("hold") == []


def test_a_hold_that_comes_when_the_day_is_over_comes_too_late(unit: Keeper) -> None:
    """Its key may already be destroyed; destruction goes on."""
    record = unit.call()
    until = midnight(unit.clock.utc_ns(), 60)
    unit.clock.advance(until - unit.clock.utc_ns() + 1)
    unit.upkeep.time.tick()
    assert unit.command(unit.hold(record, until + DAY)).code == "hold_too_late"
    assert not unit.folder(record.call_id).exists()


def test_a_clock_that_jumps_ends_no_hold(unit: Keeper) -> None:
    record = unit.call()
    assert unit.command(unit.hold(record, unit.clock.utc_ns() + 100 * DAY)).done
    unit.clock.step_utc(3650 * DAY)
    unit.ticks()
    assert unit.upkeep.holds.until(record.call_id) is not None
    assert rfc3339(unit.now_ns or 0) < "2026-11-25"
