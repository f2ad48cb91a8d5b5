# SPDX-License-Identifier: Apache-2.0
"""The call table under any order of events: it never raises, and every call that began ends in exactly one record."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from call_rig import Kept, Story
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linetap.config.schema import Config
from linetap.recorder.calls.call import State
from linetap.recorder.calls.table import TABLE
from linetap.recorder.signals.events import Event
from linetap.ring import Batch
from unit_rig import make_unit

SECONDS = 60
HEARD = st.one_of(
    st.tuples(st.just("digit"), st.sampled_from("**9912")),
    st.tuples(
        st.sampled_from(["tone", "tone_gone"]),
        st.sampled_from(["dial", "ringback", "busy", "congestion", "unobtainable", "call_waiting"]),
    ),
    st.tuples(st.sampled_from(["voice", "talk", "fax_maybe", "fax_gone"]), st.just("")),
    st.tuples(st.just("fax"), st.sampled_from(["answer", "calling", "modem_answer"])),
    st.tuples(st.just("sound"), st.sampled_from(["speech", "announcement", "music", "silence"])),
)
EVENTS = st.lists(st.tuples(st.integers(0, SECONDS * 8000 - 1), HEARD, st.sampled_from([-5.0, -20.0])), max_size=40)
# A call that rings, or does not, and then flashes, pulses, a reversal, and random contacts.
CALLS = st.sampled_from([[(1, 500, 1000), (0, 1500, 50_000)], [(0, 1500, 50_000)], [(0, 1500, 9000)], []])
TURNS = st.tuples(st.sampled_from([0, 0, 0, 2]), st.integers(2000, 50_000), st.sampled_from([30, 60, 400, 800, 1300]))
LEVELS = st.builds(lambda call, turns: call + turns, CALLS, st.lists(TURNS, max_size=7))


class ScriptedDetectors:
    """Reports scripted events, on line 1."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events

    def follow(self, batch: Batch) -> list[list[Event]]:
        end = batch.frame + batch.frames
        return [[event for event in self._events if batch.frame < event.known <= end], []]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder: Path = tmp_path_factory.mktemp("unit")
    config = make_unit(folder, folder).config
    changed = msgspec.structs.replace(
        config.recording, longest_call_s=12, recommended_call_s=4, tone_end_s=5, end_notice="ko", mark_notice="ko"
    )
    return msgspec.structs.replace(config, recording=changed)


def told(config: Config, heard: list[tuple[int, tuple[str, str], float]], levels: list[tuple[int, int, int]]) -> Kept:
    story = Story(config, SECONDS + 12, noise_peak=30)
    for kind, start, length in levels:
        story.bits[kind, 0, start : start + length] ^= True
    story.bits[:, :, -12_000:] = False  # at the end all handsets are down, and nothing rings
    events = [Event(known + 1, name, known, text, level) for known, (name, text), level in sorted(heard)]  # type: ignore[arg-type]
    story.recorder._cards[1].detectors = ScriptedDetectors(events)  # type: ignore[assignment]
    return story.tell(10)


@settings(max_examples=60, deadline=None)
@given(heard=EVENTS, levels=LEVELS)
@example(heard=[], levels=[(1, 500, 1000), (0, 1500, 50_000), (0, 2000, 400), (0, 3600, 800)])  # a flash, then an end?
def test_every_call_that_began_ends_in_exactly_one_record(
    config: Config, heard: list[tuple[int, tuple[str, str], float]], levels: list[tuple[int, int, int]]
) -> None:
    kept = told(config, heard, levels)
    started = [event.call_id for event in kept.events if event.event == "started"]
    assert sorted(map(str, started)) == sorted(record.call_id for record in kept.records)
    first_frames = {call_id: first for call_id, _, first in kept.opened}
    for call_id, end_frame, record in kept.closed:
        assert (record.disposition == "recorded") == (end_frame is not None)
        if end_frame is None:
            continue
        assert record.notices, "nothing is recorded without a notice"
        assert end_frame > first_frames[call_id]
        stretches = [(first_frames[call_id], first_frames[call_id]), *kept.withheld[call_id]]
        assert all(before[1] <= after[0] < after[1] for before, after in pairwise(stretches))
        assert max(kept.permitted.get(call_id, [0])) <= end_frame


def test_every_state_can_be_left_by_putting_the_handset_down() -> None:
    for state in get_args(State):
        if state not in ("idle", "ringing"):
            assert (state, "on_hook") in TABLE
