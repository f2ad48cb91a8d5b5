# SPDX-License-Identifier: Apache-2.0
"""An index is destroyed when its day is over by retention time: not before, whatever the machine's clock."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from keeping_rig import DAY, MS, Keeper, midnight
from linetap_core.evidence.calls import index

SECOND = 1000 * MS
LAST = "2027-01-23"  # 60 days after the 24th of November


@pytest.fixture
def unit(run_dir: Path) -> Keeper:
    keeper = Keeper(run_dir, run_dir)
    keeper.take_roles()
    return keeper


def lay(keeper: Keeper, name: str) -> Path:
    folder = keeper.vault / index.FOLDER / name
    folder.mkdir(parents=True)
    for number in (1, 2):
        (folder / index.segment_name("2026-11-24", number)).write_bytes(b"sealed")
    return folder


def to(keeper: Keeper, utc_ns: int) -> None:
    keeper.clock.advance(utc_ns - keeper.clock.utc_ns())
    keeper.ticks()


def test_an_index_goes_at_the_days_end_and_not_a_second_before(unit: Keeper) -> None:
    folder, next_day, of_overflow = lay(unit, LAST), lay(unit, "2027-01-24"), lay(unit, f"overflow-1.{LAST}")
    end = midnight(unit.clock.utc_ns(), 60)
    to(unit, end - SECOND)
    assert folder.exists()
    assert of_overflow.exists()
    to(unit, end)
    unit.tick()
    assert not folder.exists()
    assert not of_overflow.exists()
    assert next_day.exists()
    to(unit, end + DAY)
    assert not next_day.exists()


def test_a_folder_that_came_later_goes_too(unit: Keeper) -> None:
    unit.ticks()
    folder = lay(unit, "2026-11-24")
    to(unit, midnight(unit.clock.utc_ns(), 0) + 3600 * SECOND)
    assert not folder.exists()


def test_a_clock_that_is_set_ahead_removes_nothing(unit: Keeper) -> None:
    folder = lay(unit, LAST)
    unit.ticks()
    unit.clock.step_utc(400 * DAY)
    unit.ticks()
    assert folder.exists()


def test_an_overflow_index_without_a_day_goes_on_the_word_of_two_officers(unit: Keeper) -> None:
    gone, other = lay(unit, "overflow-2"), lay(unit, "overflow-22")
    unit.passes(4000)
    assert gone.exists()
    data = msgspec.json.encode({"epoch": "overflow-2"})
    assert unit.command(unit.signed("destroy", "vault", data, "linetap-certificate")).done
    assert gone.exists(), "one officer's word does not do it"
    assert unit.command(unit.signed("destroy", "vault", data, "linetap-certificate", cosigned=("second",))).done
    assert not gone.exists()
    assert other.exists()


def test_what_is_no_epochs_folder_is_left_alone_and_keeps_nothing_else_from_going(unit: Keeper) -> None:
    folder = lay(unit, "2027-02-30")
    file = unit.vault / index.FOLDER / "2026-11-30"
    file.write_bytes(b"a file")
    (lay(unit, "2026-12-01") / "a folder in it").mkdir()
    call, next_day = unit.call(), lay(unit, "2026-12-02")
    unit.passes(400)
    assert folder.exists()
    assert file.exists()
    assert unit.destroyed() == [call.call_id]
    assert not next_day.exists()
