# SPDX-License-Identifier: Apache-2.0
"""A block of one call's audio cannot be read: that call is left as it is, and every other goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from journal_rig import CALL_ID, FIRST, OTHER_ID, Recorder, Source, after_cut

from linetap.ring import RATE_HZ
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord
from unit_rig import Unit
from unreadable import Unreadable

SECONDS = 10
END = FIRST + SECONDS * RATE_HZ
THIRD_ID = "20261124T225602.789Z-L01"
FIRST_PART = "audio.001.age"


def two_calls(unit: Unit) -> Recorder:
    recorder = Recorder(unit)
    for line, call_id in enumerate((CALL_ID, OTHER_ID), 1):
        recorder.begin(call_id, line)
        recorder.talk(SECONDS, call_id)
    assert recorder.vault.step()
    assert (recorder.folder() / FIRST_PART).stat().st_size > 1 << 16
    return recorder


def close(recorder: Recorder, call_id: str, line: int) -> None:
    ended = "2026-11-24T22:56:10.123Z"
    recorder.vault.close(call_id, END, CallRecord(call_id=call_id, unit="floor-03", line=line, ended_at=ended))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("audio.*")}


def test_after_a_power_cut_the_others_are_sealed_and_recording_goes_on(
    unit: Unit, caplog: pytest.LogCaptureFixture
) -> None:
    before = two_calls(unit)
    part = before.folder() / FIRST_PART
    data = part.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        Unreadable(patch, part)
        after = after_cut(before)
        assert after.vault.step()
        after.vault.vault.source = Source()
        after.note(THIRD_ID)
        after.vault.open(THIRD_ID, 1, FIRST)
        close(after, THIRD_ID, 1)
        assert after.vault.step()
        assert not (after.folder() / sealed.RECORD).exists()
    assert "vault_damaged" in caplog.text
    assert after.record(OTHER_ID).disposition == "recorded"
    assert after.record(THIRD_ID).audio is not None
    assert after.record(OTHER_ID).recovered
    assert part.read_bytes() == data

    readable = after_cut(after)
    assert readable.vault.step()
    audio = readable.record().audio
    assert audio is not None
    assert audio.samples == SECONDS * RATE_HZ, "what the journal had beyond the whole chunk is still there"


def test_a_resumed_call_that_cannot_be_read_keeps_no_other_from_being_sealed(unit: Unit) -> None:
    before = two_calls(unit)
    after = Recorder(unit)
    with pytest.MonkeyPatch.context() as patch:
        Unreadable(patch, before.folder() / FIRST_PART)
        for line, call_id in enumerate((CALL_ID, OTHER_ID), 1):
            close(after, call_id, line)
        assert after.vault.step()
        assert after.vault.unfinished() == []
        assert not (after.folder() / sealed.RECORD).exists()
    assert after.record(OTHER_ID).disposition == "recorded"
    readable = after_cut(after)
    assert readable.vault.step()
    audio = readable.record().audio
    assert audio is not None
    assert audio.samples == SECONDS * RATE_HZ
