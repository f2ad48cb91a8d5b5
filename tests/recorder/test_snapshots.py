# SPDX-License-Identifier: Apache-2.0
"""A call's snapshots to the vault before its end: the only remains of it if power fails now."""

from __future__ import annotations

import msgspec
from call_rig import START_NS, Story

from linetap.config.schema import Config
from linetap.recorder.calls.ports import CallSnapshot
from linetap_core.clock import NS_PER_MS, rfc3339
from linetap_core.records import Caller

BATCH_SLOTS = 10


def until(story: Story, seconds: float) -> CallSnapshot | None:
    """The last snapshot by then."""
    while story.card._position < round(seconds * 100) and story.step(BATCH_SLOTS):
        pass
    snapshots = [*story.vault.snapshots.values()]
    return snapshots[-1] if snapshots else None


def at(seconds: float) -> str:
    return rfc3339(START_NS + round(seconds * 1000) * NS_PER_MS)


def test_a_call_is_noted_from_its_first_moment_and_with_whatever_changes(config: Config) -> None:
    story = Story(config, 13).ring(0.5, 1.5).ring(3.5, 4.0).off_hook(4.0, 10.0)
    assert until(story, 0.4) is None
    ringing = until(story, 2.0)
    assert ringing is not None
    assert (ringing.record.ring_at, ringing.record.answered_at, ringing.record.disposition) == (at(0.5), None, "missed")
    announcing = until(story, 5.0)
    assert announcing is not None
    assert announcing.record.answered_at == at(4.0)
    talking = until(story, 9.0)
    assert talking is not None
    assert talking.record.disposition == "recorded"
    assert talking.record.notice is not None
    assert (talking.record.notice.ended_at, talking.record.notice.proof) == (at(5.535), "full")
    assert talking.record.ended_at is None
    assert talking.utc_ns == START_NS + talking.frame * NS_PER_MS // 8
    assert list(story.vault.snapshots) == [talking.record.call_id]


def test_who_calls_is_noted_as_well(config: Config) -> None:
    story = Story(config, 8).ring(0.5, 1.5).ring(3.5, 4.0).off_hook(4.0, 7.9)
    until(story, 2.0)
    memory = story.recorder.memories()[1]
    assert memory.call is not None
    memory.call.caller = Caller(number="01012345678")
    note = until(story, 5.0)
    assert note is not None
    assert note.record.caller == Caller(number="01012345678")


def test_a_recorder_that_takes_up_a_call_notes_it_at_once(config: Config) -> None:
    story = Story(config, 13).ring(0.5, 1.5).ring(3.5, 4.0).off_hook(4.0, 12.0)
    before = until(story, 8.0)
    story.vault.snapshots.clear()
    story.restart()
    assert story.step(BATCH_SLOTS)
    (after,) = story.vault.snapshots.values()
    assert before is not None
    assert after.record == msgspec.structs.replace(before.record)
