# SPDX-License-Identifier: Apache-2.0
"""Notices on a line that returns them: the ring reports them at the frames at which they are audible, on one line and
on many at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from capture_rig import Unit, cable_in_ram, main_thread_frozen, notice_noise, ring_of, unit, until
from played_rig import heard_start, measure_playback_offset, reported_start

from linetap.notices import load_notices, tag_of
from linetap.ring import SLOT_FRAMES, UNDERRUN
from linetap_bench.stage.jack import JackCable
from linetap_core.clock import SYSTEM
from linetap_core.records import PlayNotice, Refused, StopNotice

FRAMES = 8000
AT = 300 * SLOT_FRAMES  # three seconds: a busy machine may send the command late


@pytest.fixture(scope="module")
def cable() -> Iterator[JackCable]:
    with cable_in_ram(8000) as laid:
        yield laid


def test_reported_where_heard_on_many_lines_at_once(cable: JackCable, run_dir: Path) -> None:
    asked = {11 + row: (("one", "two")[row % 2], AT + 37 * row) for row in range(6)}
    with Unit(unit(run_dir, cable, capture_pcm=cable.unit_loop), cable) as capture:
        capture.captured(60)
        for line, (name, at) in asked.items():
            capture.send(PlayNotice(line, name, at))
        until(lambda: capture.relays() == [1] * 6 + [0] * 2, "six relays close")
        capture.captured(AT // SLOT_FRAMES + FRAMES // SLOT_FRAMES + 20)
        assert capture.relays() == [0] * 8
    batches = ring_of(run_dir)
    for row, (name, at) in enumerate(asked.values()):
        samples = notice_noise(("one", "two").index(name), FRAMES)
        reported = reported_start(batches, row, tag_of(samples))
        assert reported == at
        heard, score = heard_start(batches, row, samples, reported)
        assert abs(heard - reported) <= SLOT_FRAMES
        assert score > 0.99
    tags = np.concatenate([batch.notice for batch in batches])
    assert (tags != 0).sum(axis=0).tolist() == [100] + [101] * 5 + [0, 0]


def test_notice_goes_on_in_its_place_after_an_underrun(cable: JackCable, run_dir: Path) -> None:
    """The loop stops for longer than playback's buffer, and for less than capture's: there is no gap but a hole in the
    sound, and the rest of the notice is at the right time.
    """
    config = unit(run_dir, cable, capture_pcm=cable.unit_loop, buffer_ms=600)
    with Unit(config, cable) as capture:
        capture.captured(60)
        capture.send(PlayNotice(14, "one", 0))
        begun = until(lambda: capture.relays()[3] == 1 and capture.captured(1).progress, "the relay closes")
        capture.captured(begun + 15)
        with main_thread_frozen(capture.process.pid):
            SYSTEM.sleep(0.12)
        state = capture.captured(begun + 150)
    assert (state.underruns, state.overruns) == (1, 0)
    batches = ring_of(run_dir)
    assert all(batch.gap is None for batch in batches)
    samples = notice_noise(0, FRAMES)
    reported = reported_start(batches, 3, tag_of(samples))
    assert reported is not None
    tail = FRAMES - 2400
    heard, score = heard_start(batches, 3, samples[tail:], reported + tail)
    assert abs(heard - reported - tail) <= SLOT_FRAMES
    assert score > 0.99
    flagged = np.concatenate([batch.flags & UNDERRUN for batch in batches])
    assert np.count_nonzero(flagged) == 1
    audio = np.concatenate([batch.audio[3] for batch in batches])
    assert (np.abs(audio[reported : reported + tail]).reshape(-1, SLOT_FRAMES).max(axis=1) == 0).sum() >= 5


def test_stopped_notice_is_shown_as_stopped(cable: JackCable, run_dir: Path) -> None:
    with Unit(unit(run_dir, cable, capture_pcm=cable.unit_loop), cable) as capture:
        capture.captured(60)
        capture.send(PlayNotice(13, "one", 0))
        late = until(lambda: capture.relays()[2] == 1 and capture.captured(1).progress, "the relay closes")
        capture.captured(late + 40)
        capture.send(StopNotice(13))
        until(lambda: capture.relays()[2] == 0, "the relay opens")
        capture.captured(capture.captured(1).progress + 20)
    batches = ring_of(run_dir)
    tags = np.concatenate([batch.notice[:, 2] for batch in batches])
    audio = np.concatenate([batch.audio[2] for batch in batches])
    slots = np.flatnonzero(tags)
    assert 30 <= len(slots) < 90
    heard = np.flatnonzero(audio)
    assert abs(heard[-1] - (slots[-1] + 1) * SLOT_FRAMES) <= 2 * SLOT_FRAMES
    assert abs(heard[0] - slots[0] * SLOT_FRAMES) <= 2 * SLOT_FRAMES


def test_what_cannot_be_played_is_refused(cable: JackCable, run_dir: Path) -> None:
    with Unit(unit(run_dir, cable), cable) as capture:
        capture.captured(20)
        answers: list[bytes] = []

        def refused() -> Refused | None:
            answers.extend(capture.answers())
            return msgspec.json.decode(answers.pop(0), type=Refused) if answers else None

        for command, line, why in (
            (PlayNotice(99, "one", 0), 99, "line 99 is no line"),
            (PlayNotice(11, "three", 0), 11, "no notice 'three'"),
            (PlayNotice(18, "one", 0), 18, "line 18 is no line"),  # exempt
            (StopNotice(99), 99, "line 99 is no line"),
        ):
            capture.send(command)
            answer = until(refused, "an answer")
            assert (answer.line, answer.why[: len(why)]) == (line, why)
        for number in range(3):
            capture.send(PlayNotice(11, "one", 1 << 40))
            assert number < 2 or until(refused, "an answer").why == "line 11 has 2 notices already"
        capture._caller._connected().send(b"{}")
        assert until(refused, "an answer").why.startswith("not a command")


@pytest.mark.parametrize("believed_ms", [30.0])
def test_calibration_finds_the_offset(cable: JackCable, run_dir: Path, believed_ms: float) -> None:
    """A wrong `playback_offset_ms` shows as its negative; on this cable the right one is 0 to within a period."""
    config = unit(run_dir, cable, capture_pcm=cable.unit_loop, playback_offset_ms=believed_ms)
    with Unit(config, cable) as capture:
        capture.captured(30)
        capture.send(PlayNotice(11, "one", 0))
        capture.captured(180)
    notice = load_notices(Path(config.notices))["one"]
    measured = measure_playback_offset(ring_of(run_dir), 0, notice)
    assert measured is not None
    assert abs(believed_ms + measured) <= 10
    assert measure_playback_offset(ring_of(run_dir), 1, notice) is None
