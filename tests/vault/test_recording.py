# SPDX-License-Identifier: Apache-2.0
"""A recording's inputs: from the journal's thread, or fetched by itself; and the threshold for writing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap.recorder.vault.callfolder.jobs import OpenCall
from linetap.recorder.vault.recordings.recording import FETCH_FRAMES, Recording
from linetap.ring import I16, Stretch
from linetap_core.codecs import g711, mulaw
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age

CALL_ID = "20261124T225600.123Z-L01"
FIRST = 1000
CODES = np.random.default_rng(3).integers(0, 127, 200_000).astype(np.uint8)
AUDIO: I16 = g711.decode(CODES)
CHUNK_SAMPLES = age.CHUNK_BYTES - len(mulaw.HEADER)  # of the first chunk


class Source:
    """Records its requests."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        assert line == 1
        self.asked.append((first - FIRST, end - FIRST))
        return Stretch(AUDIO[first - FIRST : end - FIRST].copy(), [])


@pytest.fixture
def identity() -> keys.AgeIdentity:
    return keys.new_identity()


@pytest.fixture
def recording(tmp_path: Path, identity: keys.AgeIdentity) -> Recording:
    own = CallFolder.create(tmp_path, OfCall("closet-3f", CALL_ID), identity.recipient, [identity.recipient])
    own.recipient = identity.recipient  # so that the test can open it
    return Recording(OpenCall(CALL_ID, 1, FIRST, identity.recipient, own.inner), own, tmp_path / "state.json")


def write(recording: Recording, source: Source, end: int) -> int:
    return recording.write_up_to(FIRST + end, source, lambda: None)[0]


def hand_over(recording: Recording, first: int, end: int) -> None:
    recording.hand_over(first, end, CODES[first:end].tobytes())


def opened(recording: Recording, identity: keys.AgeIdentity, tmp_path: Path) -> bytes:
    recording.folder.finish_audio()
    (tmp_path / "key.txt").write_text(f"{identity.secret}\n")
    command = ["age", "-d", "-i", str(tmp_path / "key.txt"), str(recording.folder.path / "audio.001.age")]
    return subprocess.run(command, capture_output=True, timeout=120, check=True).stdout[len(mulaw.HEADER) :]


def test_what_was_handed_over_is_not_fetched_and_the_rest_is(
    recording: Recording, identity: keys.AgeIdentity, tmp_path: Path
) -> None:
    """A range across the written end counts from there on; one after a gap waits for it."""
    source = Source()
    for first, end in ((0, 2000), (2000, 4000), (5000, 7000), (7000, 9000)):
        hand_over(recording, first, end)
    assert write(recording, source, 9000) == 4000
    assert source.asked == []
    assert write(recording, source, 6000) == 2000
    assert source.asked == [(4000, 6000)]
    assert write(recording, source, 9000) == 3000
    assert source.asked == [(4000, 6000)]
    assert opened(recording, identity, tmp_path) == CODES[:9000].tobytes()


def test_nothing_handed_over_is_written_beyond_what_is_asked_for(recording: Recording) -> None:
    source = Source()
    hand_over(recording, 0, 2000)
    assert write(recording, source, 1500) == 1500
    assert source.asked == [(0, 1500)]


def test_what_the_journal_hands_over_is_due_when_it_is_a_chunk(recording: Recording) -> None:
    due = []
    for end in range(2000, 80_001, 2000):
        hand_over(recording, end - 2000, end)
        recording.permitted = FIRST + end
        if recording.is_due():
            due.append(end)
            assert write(recording, Source(), end) == end
            assert recording.folder.durable_samples == CHUNK_SAMPLES
    assert len(due) == 1
    assert CHUNK_SAMPLES < due[0] <= CHUNK_SAMPLES + FETCH_FRAMES


def test_without_a_journal_a_second_is_due(recording: Recording) -> None:
    recording.permitted = FIRST + FETCH_FRAMES - 1
    assert not recording.is_due()
    recording.permitted += 1
    assert recording.is_due()


def test_a_hole_in_what_is_handed_over_is_looked_into_within_a_second(recording: Recording) -> None:
    hand_over(recording, 0, 8000)
    recording.permitted = FIRST + 8000
    assert not recording.is_due()
    hand_over(recording, 10_000, 16_000)  # the journal's thread has not handed over the preceding part
    recording.permitted = FIRST + 16_000
    assert recording.is_due()


def test_what_is_due_stays_so_until_it_is_written(recording: Recording) -> None:
    """A refusing disk is retried, and a backlog is not postponed to the next second."""
    recording.permitted = FIRST + 70_000
    assert recording.is_due()
    recording.disk_failed("disk_full")
    assert recording.is_due()
