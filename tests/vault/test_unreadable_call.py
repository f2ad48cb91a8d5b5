# SPDX-License-Identifier: Apache-2.0
"""Upkeep with one call, or one hold, that the medium does not give or does not let go: every other goes on."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from keeping_rig import DAY, Keeper
from linetap.recorder.vault.retention import holds
from linetap_core.durable import broken, folders
from linetap_core.evidence.calls import sealed
from unreadable import Unreadable


@pytest.fixture
def unit(run_dir: Path) -> Keeper:
    keeper = Keeper(run_dir, run_dir)
    keeper.take_roles()
    return keeper


def test_a_hold_whose_folder_cannot_be_removed_holds_up_no_other(
    unit: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, ended, other = unit.call(), unit.call(suffix="-2"), unit.call(suffix="-3")
    for held in (bad, ended):
        assert unit.command(unit.hold(held, unit.clock.utc_ns() + 70 * DAY)).done
    real = shutil.rmtree

    def rmtree(path: Path) -> None:
        if Path(path).name == bad.call_id:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        real(path)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    unit.passes(61)
    assert unit.destroyed() == [other.call_id]
    unit.passes(11)
    unit.passes(1)
    assert sorted(unit.destroyed()) == sorted([other.call_id, ended.call_id])
    assert unit.is_whole(bad)
    assert "hold_not_ended" in caplog.text
    monkeypatch.undo()
    unit.passes(0.1)
    assert sorted(unit.destroyed()) == sorted([bad.call_id, other.call_id, ended.call_id])
    assert len([leaf for leaf in unit.leaves("hold") if leaf.get("ended")]) == 2, "each is told once"


@pytest.mark.parametrize("inode", [False, True])
def test_a_call_whose_record_cannot_be_read_is_held_all_the_same(unit: Keeper, inode: bool) -> None:
    bad, other, third = unit.call(), unit.call(suffix="-2"), unit.call(suffix="-3")
    words = unit.hold(bad, unit.clock.utc_ns() + 100 * DAY)
    with pytest.MonkeyPatch.context() as patch:
        Unreadable(patch, unit.folder(bad.call_id) / sealed.RECORD, inode)
        assert unit.command(words).done
        assert unit.command(unit.hold(third, unit.clock.utc_ns() + 200 * DAY)).done
        unit.restart()
        unit.passes(70)
        assert unit.destroyed() == [other.call_id]
        assert any(name.endswith(sealed.RECORD) for name in broken.names())
    assert unit.is_whole(bad)
    assert (unit.vault / holds.FOLDER / bad.call_id / holds.DOCUMENT).exists()
    unit.restart()
    unit.passes(20)
    assert unit.is_whole(bad), "its hold was given in time"
    unit.passes(11)
    assert unit.destroyed() == [other.call_id, bad.call_id]


def test_nothing_is_destroyed_while_a_hold_cannot_be_written(unit: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    held, other = unit.call(), unit.call(suffix="-2")
    unit.passes(59)
    words = unit.hold(held, unit.clock.utc_ns() + 100 * DAY)
    real = folders.make

    def make(root: Path, path: Path) -> None:
        if path.parent.name == holds.FOLDER:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        real(root, path)

    monkeypatch.setattr(folders, "make", make)
    unit.give(words)
    unit.tick()
    unit.clock.advance(5 * DAY)
    for _ in range(5):
        unit.tick()
    assert unit.destroyed() == []
    monkeypatch.undo()
    unit.passes(0.1)
    assert unit.destroyed() == [other.call_id]
    assert unit.is_whole(held)


def test_a_call_that_cannot_be_read_is_not_given_and_the_next_command_is_done(unit: Keeper) -> None:
    bad = unit.call()
    fetched = {"call_id": bad.call_id, "copied": "0" * 64}
    with pytest.MonkeyPatch.context() as patch:
        Unreadable(patch, unit.folder(bad.call_id) / sealed.RECORD, inode=True)
        answer = unit.command(unit.envelope("fetch", "desk", fetched))
        assert (answer.done, answer.code) == (False, "fetch_unreadable"), answer
        assert unit.command(unit.envelope("identify", "operator", {"seconds": "5"})).verb == "identify"


@pytest.mark.parametrize("kind", ["fifo", "folder", "link", "huge"])
def test_a_call_with_a_foreign_object_for_its_key_is_destroyed_on_its_day(unit: Keeper, kind: str) -> None:
    """A folder could not be removed, and a huge file was overwritten from as much memory."""
    bad, other = unit.call(), unit.call(suffix="-2")
    key = unit.folder(bad.call_id) / sealed.KEY
    kept = unit.vault / "kept"
    key.rename(kept)
    if kind == "fifo":
        os.mkfifo(key)
    elif kind == "folder":
        (key / "within").mkdir(parents=True)
    elif kind == "link":
        key.symlink_to(kept)
    else:
        with key.open("wb") as file:
            file.truncate(1 << 43)
    before = kept.read_bytes()
    unit.passes(70)
    assert sorted(unit.destroyed()) == sorted([bad.call_id, other.call_id])
    assert kept.read_bytes() == before, "no link is followed"
    assert not unit.folder(bad.call_id).exists()


def test_a_fifo_for_a_record_holds_up_no_other_destruction(unit: Keeper) -> None:
    """The thread that destroys calls once waited for its writer for ever."""
    bad, other = unit.call(), unit.call(suffix="-2")
    record = unit.folder(bad.call_id) / sealed.RECORD
    record.unlink()
    os.mkfifo(record)
    unit.restart()
    unit.passes(70)
    assert unit.destroyed() == [other.call_id]
