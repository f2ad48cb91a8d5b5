# SPDX-License-Identifier: Apache-2.0
"""An exception during a batch: repeating the batch loses nothing, and a batch that ends every recorder is skipped."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from walk_rig import Walked, Wire

from linetap.recorder import checkpoint
from linetap.recorder.calls import begin
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord
from unit_rig import make_unit

RUNG, LIFTED, DOWN, OVER = 1.0, 3.0, 9.0, 14.0  # seconds


def test_a_call_is_recorded_whole_where_a_recorder_ended_in_its_answer(
    tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For lack of memory, for example: the line has left one state and not entered another."""
    seen = begin.find_caller
    with called(tmp_path, run_dir) as unit:
        monkeypatch.setattr(begin, "find_caller", fails_once(seen))
        ends = follow(unit)
    (record,) = records(unit)
    assert ends == 1
    assert (record.disposition, record.notice and record.notice.proof) == ("recorded", "full")
    assert record.audio is not None
    assert record.audio.gaps == []
    assert record.ended_by == "on_hook"


def test_a_batch_that_ends_every_recorder_is_passed_over(
    tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is sealed as far as recorded, the other continues, and so does the unit."""

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    with called(tmp_path, run_dir) as unit:
        monkeypatch.setattr(begin, "find_caller", fails)
        ends = follow(unit)
    cut_off, rest = records(unit)
    assert ends == checkpoint.MOST_FAILURES
    assert cut_off.why == "batch_failed"
    assert rest.ended_by == "on_hook", "what comes behind it is followed again"


def test_a_call_that_was_answered_while_no_recorder_ran_is_announced_and_recorded(
    tmp_path: Path, run_dir: Path
) -> None:
    """The next recorder reads the answer four seconds late: its notice is late, and plays."""
    with called(tmp_path, run_dir, down=DOWN + 4.0) as unit:
        unit.until(lambda: unit.frame >= (LIFTED - 0.1) * 8000, "it rings")
        for _ in range(400):
            unit._slot()
        unit.restart()
        follow(unit, OVER + 4.0)
    (record,) = records(unit)
    assert (record.disposition, record.notice and record.notice.proof) == ("recorded", "full")


def called(tmp_path: Path, run_dir: Path, down: float = DOWN) -> Walked:
    wires = [Wire(rings=[(RUNG, RUNG + 1.0)], off_hook=[(LIFTED, down)]), Wire()]
    return Walked(make_unit(tmp_path, run_dir, lines=2).config, wires)


def fails_once(real: object) -> object:
    assert callable(real)
    failed = list[bool]()

    def look(*words: object) -> object:
        if not failed:
            failed.append(True)
            raise MemoryError
        return real(*words)

    return look


def follow(unit: Walked, until_s: float = OVER) -> int:
    """Runs recorders until all calls have ended; returns the number that failed."""
    ends = 0
    while unit.frame < until_s * 8000:
        try:
            unit.turn()
        except (MemoryError, ZeroDivisionError):
            ends += 1
            assert ends < 10, "every recorder ends"
            unit.start_after_failure()
    return ends


def records(unit: Walked) -> list[CallRecord]:
    found = sorted(unit.config.vault_path.glob("[0-9]*/*/*/*/" + sealed.RECORD))
    return [msgspec.json.decode(path.read_bytes(), type=CallRecord) for path in found]
