# SPDX-License-Identifier: Apache-2.0
"""Any order of codes, keys, flashes, tones and hook changes: at most one release for each call, and none too early."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from ending_rig import LEARNT, ContactCard, EndedStory, ending_config
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_any_order import ScriptedDetectors

from linetap.config.schema import Config, Ending
from linetap.recorder.signals.events import Event
from linetap.ring import RATE_HZ, SLOT_FRAMES

SECONDS = 44
WITHIN = st.integers(3 * RATE_HZ, (SECONDS - 10) * RATE_HZ)
CODE = st.sampled_from(["**2", "**4", "**5", "**0", "**9", "**1", "5"])
NEAR = st.sampled_from([-8.0, -8.0, -20.0])
DIALLED = st.lists(st.tuples(WITHIN, CODE, NEAR), min_size=1, max_size=6)
HEARD = st.one_of(
    st.tuples(st.just("tone"), st.sampled_from(["dial", "ringback", "busy", "call_waiting"])),
    st.tuples(st.sampled_from(["voice", "talk"]), st.just("")),
    st.tuples(st.just("sound"), st.sampled_from(["speech", "music"])),
)
OTHERS = st.lists(st.tuples(WITHIN, HEARD), max_size=6)
OPENINGS = st.lists(st.tuples(st.integers(3000, 34_000), st.sampled_from([300, 600, 1300, 4000])), max_size=2)
PLAIN = {"others": [], "openings": [], "most_ms": 3000}


@dataclass
class Asked:
    call_id: str
    state: str
    frame: int
    spoken: int | None
    proof: str


class WatchedCard(ContactCard):
    """Records the recorder's state at each request for the contact."""

    story: EndedStory

    def release(self, line: int, ms: int) -> None:
        memory = self.story.recorder.memories()[line]
        call = memory.call
        assert call is not None
        assert call.step is None
        assert call.end is not None
        assert call.end.notice is not None
        at = self._position * SLOT_FRAMES
        self.watched.append(Asked(call.call_id, memory.state, at, call.end_spoken, call.end.notice.proof))
        super().release(line, ms)

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.watched: list[Asked] = []


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("unit")
    times = Ending(warn_s=9, end_s=18, extend_s=4)
    return ending_config(folder, folder, ending=times)


@settings(max_examples=20, deadline=None)
@given(dialled=DIALLED, others=OTHERS, openings=OPENINGS, most_ms=st.sampled_from([3000, 3000, 500, 0]))
@example(dialled=[(40_000, "**2", -8.0)], **PLAIN)
@example(dialled=[(40_000, "**2", -8.0), (52_000, "**0", -8.0), (60_000, "**4", -8.0)], **PLAIN)
@example(dialled=[(40_000, "**2", -8.0)], others=[], openings=[(7600, 4000)], most_ms=3000)
@example(dialled=[(40_000, "**2", -8.0), (160_000, "**2", -8.0)], others=[], openings=[], most_ms=0)
def test_a_line_is_released_once_and_after_its_notice(
    config: Config,
    dialled: list[tuple[int, str, float]],
    others: list[tuple[int, tuple[str, str]]],
    openings: list[tuple[int, int]],
    most_ms: int,
) -> None:
    told(config, dialled, others, openings, most_ms)


def test_the_watched_line_is_released(config: Config) -> None:
    """The situation watched by the test above does occur."""
    assert len(told(config, [(40_000, "**2", -8.0)], [], [], 3000)) == 1
    assert len(told(config, [], [], [], 3000)) == 1, "by the longest time"


def told(
    config: Config,
    dialled: list[tuple[int, str, float]],
    others: list[tuple[int, tuple[str, str]]],
    openings: list[tuple[int, int]],
    most_ms: int,
) -> list[Asked]:
    """The requests for the contact, each of them judged."""
    story = EndedStory(config, SECONDS, noise_peak=30, card_kind=WatchedCard).ring(0.5, 1.4).off_hook(1.5, SECONDS - 4)
    card = story.contact
    assert isinstance(card, WatchedCard)
    card.story, card.most_ms = story, most_ms
    story.recorder.update_learned(LEARNT)
    for start_ms, length_ms in openings:
        story.on_hook(start_ms / 1000, (start_ms + length_ms) / 1000)
    events = [
        Event(frame + n * 1520 + 1, "digit", frame + n * 1520, key, level)
        for frame, keys, level in dialled
        for n, key in enumerate(keys)
    ]
    events += [Event(frame + 1, name, frame, text) for frame, (name, text) in others]  # type: ignore[arg-type]
    story.recorder._cards[1].detectors = ScriptedDetectors(sorted(events, key=lambda event: event.known))  # type: ignore[assignment]
    kept = story.tell(10)
    asked = [each.call_id for each in card.watched]
    assert len(asked) == len(set(asked)), "at most once a call"
    for each in card.watched:
        assert each.state == "end_opens"
        assert each.spoken is not None
        assert each.frame > each.spoken
        assert each.proof in ("full", "partial")
    started = [event.call_id for event in kept.events if event.event == "started"]
    assert sorted(map(str, started)) == sorted(record.call_id for record in kept.records)
    assert {record.call_id for record in kept.records if record.ended_by == "released"} <= set(asked)
    return card.watched
