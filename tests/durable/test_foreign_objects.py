# SPDX-License-Identifier: Apache-2.0
"""Somebody who had the disk has put another object in the place of one file or folder of the vault: the recorder
starts, records a call, and neither waits for the object nor reads all of it. Each start is a process of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from flip_rig import WorkingUnit
from start_rig import in_a_process

from linetap_core.durable import broken
from linetap_core.durable.files import TEMPORARY

HUGE_BYTES = 1 << 40


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    (path / "x").mkdir(parents=True)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(HUGE_BYTES)


OF_A_FILE = (fifo, folder, endless, huge)
OF_A_FOLDER = (fifo, loop)


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkingUnit]:
    yield WorkingUnit(tmp_path_factory.mktemp("working"))
    broken.forget()


def names(unit: WorkingUnit) -> list[Path]:
    """The files and folders below the vault, of each day one call's."""
    found = [path.relative_to(unit.kept) for path in sorted((unit.kept / "vault").rglob("*"))]
    others = {path.name for path in (unit.kept / "vault").glob("2*/*/*/*-[bc]")}
    return [name for name in found if not others & set(name.parts) or name.parts[1] == "holds"]


def test_a_unit_with_a_foreign_object_for_each_file_and_folder_records(unit: WorkingUnit) -> None:
    """A start takes a second: each place gets one kind of object here, and all of them in the long tests."""
    require_well(unit, [0])


@pytest.mark.soak
def test_a_unit_with_any_foreign_object_for_each_file_and_folder_records(unit: WorkingUnit) -> None:
    require_well(unit, range(len(OF_A_FILE)))


def require_well(unit: WorkingUnit, turns: Iterable[int]) -> None:
    places = names(unit)
    assert {
        "leaves.jsonl", "hold.json", "a.journal", "record.json", "log", "outbox", "journal", "index"
    } <= {name.name for name in places}  # fmt: skip
    wrong = []
    for turn in turns:
        for number, name in enumerate(places, turn):
            kinds = OF_A_FOLDER if (unit.kept / name).is_dir() else OF_A_FILE
            wrong.append(_start(unit, name, kinds[number % len(kinds)]))
    assert not any(wrong), "\n".join(said for said in wrong if said)


def test_folders_with_the_names_of_half_written_files_stop_no_call(unit: WorkingUnit) -> None:
    """One empty folder `log/.head.json.tmp` was enough: no call was recorded any more. Nor may the journal wait for the
    reader of a FIFO."""
    unit.restore()
    (unit.folder / "calls" / "recorder.checkpoint").unlink()
    for name in names(unit):
        path = unit.folder / name
        if path.is_file():
            folder(path.with_name(f".{path.name}{TEMPORARY}"))
    journal = unit.folder / "vault" / "journal"
    for path in (journal / "a.journal", journal / "b.journal"):
        path.unlink()
        shutil.rmtree(path.with_name(f".{path.name}{TEMPORARY}"))
        fifo(path.with_name(f".{path.name}{TEMPORARY}"))
    assert in_a_process(unit).fault == ""


def _start(unit: WorkingUnit, name: Path, put) -> str:  # type: ignore[no-untyped-def]
    """The faults of a start."""
    unit.restore()
    (unit.folder / "calls" / "recorder.checkpoint").unlink()
    path = unit.folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    put(path)
    said = in_a_process(unit).fault
    return f"{name}, {put.__name__}: {said}" if said else ""
