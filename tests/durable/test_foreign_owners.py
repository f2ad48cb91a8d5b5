# SPDX-License-Identifier: Apache-2.0
"""A file or folder of the vault belongs to another user, or gives nobody any right: the recorder, which may not read
it, records the next call, names it, and leaves it as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from flip_rig import WorkingUnit
from start_rig import in_a_process

from linetap_core.clock import SYSTEM, compact
from linetap_core.durable import broken
from linetap_core.evidence.calls import sealed

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root gives a folder to another user")
STRANGER = 4242


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkingUnit]:
    yield WorkingUnit(tmp_path_factory.mktemp("working"))
    broken.forget()


@pytest.fixture
def vault(unit: WorkingUnit) -> Path:
    unit.restore()
    (unit.folder / "calls" / "recorder.checkpoint").unlink()
    (unit.folder / "calls" / "journal.begun").unlink(missing_ok=True)
    return unit.folder / "vault"


def newest_call(vault: Path) -> Path:
    return sorted(vault.glob("2*/*/*/2*"))[-1]


def is_left(path: Path, content: set[str]) -> bool:
    return path.stat().st_uid == STRANGER and {each.name for each in path.iterdir()} == content


@pytest.mark.parametrize("levels", [0, 1], ids=["call", "old day"])
def test_a_folder_of_another_user_stops_no_call(unit: WorkingUnit, vault: Path, levels: int) -> None:
    """No call was recorded any more, at this start or any later one."""
    call = newest_call(vault) if levels == 0 else sorted(vault.glob("2*/*/*/2*"))[0]
    folder = [call, *call.parents][levels]
    content = {each.name for each in folder.iterdir()}
    os.chown(folder, STRANGER, STRANGER)
    folder.chmod(0o700)
    start = in_a_process(unit, rights=False)
    assert start.fault == ""
    assert folder.name in start.named
    assert is_left(folder, content)


def test_a_foreign_folder_that_is_no_call_of_ours_stops_no_call(unit: WorkingUnit, vault: Path) -> None:
    folder = newest_call(vault).with_name(f"{compact(SYSTEM.utc_ns())}-L03")
    folder.mkdir()
    (folder / sealed.KEY).write_text("theirs")
    os.chown(folder, STRANGER, STRANGER)
    folder.chmod(0o700)
    start = in_a_process(unit, rights=False)
    assert start.fault == ""
    assert is_left(folder, {sealed.KEY})


@pytest.mark.parametrize("level", range(3), ids=["day", "month", "year"])
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_todays_folder_of_another_user_is_set_aside(unit: WorkingUnit, vault: Path, level: int, mode: int) -> None:
    folder = newest_call(vault).parents[level]
    content = {each.name for each in folder.iterdir()}
    os.chown(folder, STRANGER, STRANGER)
    folder.chmod(mode)
    start = in_a_process(unit, rights=False)
    assert start.fault == ""
    assert folder.name in start.named
    assert is_left(folder.with_name(f"{folder.name}.broken-1"), content), "kept, and not taken for ours"


def test_a_folder_of_ours_without_rights_gets_them_back(unit: WorkingUnit, vault: Path) -> None:
    day = newest_call(vault).parent
    day.chmod(0)
    assert in_a_process(unit, rights=False).fault == ""
    assert not list(day.parent.glob("*.broken-*"))
    assert len(list(day.iterdir())) == 2
