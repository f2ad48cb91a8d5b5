# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the recorder at any moment of an end: it neither releases twice nor too early, and still ends the call."""

from __future__ import annotations

import msgspec
import pytest
from ending_rig import CODE_S, EndedStory, ending_config, frame_of, incoming, kinds, only
from sounds import digits

from linetap.config.schema import Config
from linetap.ring import RATE_HZ, SLOT_FRAMES
from linetap_core.records import EndRecord

HANGS_UP_S = 19.0


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("unit")
    return ending_config(folder, folder)


def nobody_follows(story: EndedStory, until_s: float) -> None:
    while story.card._position * SLOT_FRAMES < until_s * RATE_HZ:
        batch = story.card.next(4)
        assert batch is not None
        story.followed.append(batch)


def openings(story: EndedStory) -> int:
    """The number of openings of the loop between the code and the end, when staff hang up."""
    hook = story.bits[0, 0, round(CODE_S * 1000) : round((HANGS_UP_S - 1) * 1000)]
    return int((hook[:-1] & ~hook[1:]).sum())


# The code is certain at 5.53; the notice plays from 5.73 to 7.73; the contact opens at 8.2 and closes at 9.7.
@pytest.mark.parametrize("killed_s", [5.5, 5.6, 5.8, 6.9, 7.7, 7.8, 8.1, 8.16, 8.2, 8.4, 9.3, 9.7, 10.2])
@pytest.mark.parametrize(("lost_batches", "dead_s"), [(0, 0.0), (5, 0.3), (12, 2.6)])
def test_a_killed_recorder_ends_the_call_once(
    config: Config, killed_s: float, lost_batches: int, dead_s: float
) -> None:
    """This many batches of 40 ms were processed after the last checkpoint, including their requests; for `dead_s` no
    recorder followed the ring.
    """
    story = incoming(config, seconds=21, end_s=HANGS_UP_S).sound(CODE_S, digits("**2"))
    checkpoints = []
    while story.card._position * SLOT_FRAMES < killed_s * RATE_HZ:
        checkpoints.append(story.checkpoint())
        story.step(4)
    nobody_follows(story, killed_s + dead_s)
    story.kill(*checkpoints[-1 - lost_batches])
    story.tell(10)
    assert len({msgspec.json.encode(record) for record in story.vault.records}) == 1, "the same again does no harm"
    record = story.vault.records[0]
    assert isinstance(record.end, EndRecord)
    assert record.end.notice is not None
    assert (record.ended_by, record.end.seen_by) == ("released", "dial_tone")
    assert openings(story) == 1
    heard = frame_of(record.end.notice.ended_at) * RATE_HZ
    assert all(frame > heard for _, frame, _ in story.released)


@pytest.mark.parametrize(("killed_s", "lost"), [(6.2, "end-abuse"), (7.8, "end-abuse"), (2.5, "ko")])
def test_a_notice_that_is_gone_at_the_restart_ends_nothing(config: Config, killed_s: float, lost: str) -> None:
    """Another configuration, or an update, has other notices: the playing one can no longer be proven."""
    story = incoming(config, seconds=21, end_s=HANGS_UP_S).sound(CODE_S, digits("**2")).until(killed_s)
    saved = story.checkpoint()
    del story.card.notices[lost]
    story.kill(*saved)
    (record,) = {each.call_id: each for each in story.tell(10).records}.values()
    assert (record.disposition, story.released, kinds(record)) == ("recorded", [], ["abuse", "end_refused"])
    assert record.notice is not None
    assert record.notice.proof == ("none" if lost == "ko" else "full")


def test_a_recorder_that_comes_back_too_late_opens_nothing(config: Config) -> None:
    """The call has continued for eleven seconds: it is not cut off in the middle of a sentence."""
    story = incoming(config, seconds=32, end_s=30).sound(CODE_S, digits("**2")).until(7.6)
    checkpoint = story.checkpoint()
    nobody_follows(story, 19)
    story.kill(*checkpoint)
    record = only(story.tell(4))
    assert (record.ended_by, story.released) == ("staff_after_notice", [])
    assert [event.why for event in story.vault.events if event.event == "end_refused"] == ["release_late"]
