# SPDX-License-Identifier: Apache-2.0
"""The medium has lost one file of the vault while the power was off, whichever: the recorder starts, records a call,
and names the file if it has read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flip_rig import WorkingUnit

from linetap_core.durable import broken
from unreadable import Unreadable

REPORTED = (".json", ".events", ".copy", ".twin")  # of what is read at a start; calls and the index are not


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkingUnit]:
    yield WorkingUnit(tmp_path_factory.mktemp("working"))
    broken.forget()


def test_a_unit_with_one_unreadable_file_starts_and_records(unit: WorkingUnit) -> None:
    names = [path.relative_to(unit.kept) for path in sorted((unit.kept / "vault").rglob("*")) if path.is_file()]
    assert {"vault/log/leaves.jsonl", "vault/commands.json"} <= {str(name) for name in names}
    wrong = [said for name in names if (said := _start(unit, name))]
    assert not wrong, "\n".join(wrong)


def _start(unit: WorkingUnit, name: Path) -> str:
    """The faults of a start."""
    unit.restore()
    (unit.folder / "calls" / "recorder.checkpoint").unlink()
    with pytest.MonkeyPatch.context() as patch:
        Unreadable(patch, unit.folder / name)
        outcome = unit.trial(then=patch.undo)
    if outcome.fault or outcome.crashed or not outcome.recorded or outcome.lost:
        return f"{name}: {outcome}"
    top = name.parts[1]
    is_read = name.suffix in REPORTED and top not in ("log", "index", "smdr") and not top.isdigit()
    return f"{name}: not named, {outcome}" if is_read and name.name not in outcome.named else ""
