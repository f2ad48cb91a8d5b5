# SPDX-License-Identifier: Apache-2.0
"""A line is identified by the delay of its returned notice: the same notice from another recorder proves nothing on a
deaf line.
"""

from __future__ import annotations

import pytest
from call_rig import START_NS, Story

from linetap.config.schema import Config
from linetap.learned import Learned
from linetap_core.clock import rfc3339
from linetap_core.records import NoticeRecord

EVERY_S = 7.5
PLAYED_S = 1.5 + 0.035 + 0.5  # begin of the notice, after a call's beginning
OWN_MS = 30.0  # a replay's delay
STRANGER_DB = -8.0


def calls(config: Config, n: int) -> Story:
    story = Story(config, EVERY_S * n, noise_peak=30)
    for each in range(n):
        began = EVERY_S * each
        story.ring(0.5 + began, 1.4 + began).off_hook(1.5 + began, 6.0 + began)
    return story


def stranger(story: Story, config: Config, call: int, delay_ms: float) -> None:
    """A recorder at the far end plays the same notice this long after ours."""
    samples = story.card.notices[config.recording.notice].samples * 10 ** (STRANGER_DB / 20)
    story.sound(EVERY_S * call + PLAYED_S + delay_ms / 1000, samples)


def deaf_from(story: Story, call: int) -> None:
    while story.card._position < EVERY_S * call * 100:
        story.step(25)
    story.card.return_nothing()


def notices(story: Story) -> list[NoticeRecord]:
    return [notice for record in story.tell().records for notice in record.notices]


def test_a_record_says_when_the_line_returned_the_notice(config: Config) -> None:
    (notice,) = notices(calls(config, 1))
    assert notice.proof == "full"
    assert notice.delay_ms == pytest.approx(OWN_MS, abs=1)


@pytest.mark.parametrize("later_ms", [20, 45, 120])
def test_a_strangers_notice_proves_nothing_of_a_line_that_is_known(config: Config, later_ms: int) -> None:
    story = calls(config, 4)
    stranger(story, config, 3, OWN_MS + later_ms)
    deaf_from(story, 3)
    told = notices(story)
    assert [notice.proof for notice in told] == ["full"] * 3 + ["absent"]
    assert told[3].elsewhere_ms == pytest.approx(OWN_MS + later_ms, abs=2)


def test_both_at_once_are_the_lines_own(config: Config) -> None:
    story = calls(config, 4)
    stranger(story, config, 3, OWN_MS + 60)
    assert [notice.proof for notice in notices(story)] == ["full"] * 4


def test_what_was_learnt_counts_from_the_first_call_on(config: Config) -> None:
    story = calls(config, 1)
    learnt = Learned(echo_delay_ms=OWN_MS, learned_at=rfc3339(START_NS))
    story.recorder.update_learned({1: learnt})
    stranger(story, config, 0, OWN_MS + 50)
    story.card.return_nothing()
    assert [notice.proof for notice in notices(story)] == ["absent"]


def test_a_lines_delay_is_known_over_a_restart(config: Config) -> None:
    story = calls(config, 4)
    stranger(story, config, 3, OWN_MS + 50)
    deaf_from(story, 3)
    story.restart()
    assert [notice.proof for notice in notices(story)][-1] == "absent"


def test_a_line_that_returns_everything_later_from_now_on_is_believed_the_third_time(config: Config) -> None:
    story = calls(config, 7)
    for call in range(3, 7):
        stranger(story, config, call, OWN_MS + 40)
    deaf_from(story, 3)
    told = notices(story)
    assert [notice.proof for notice in told] == ["full"] * 3 + ["absent"] * 2 + ["full"] * 2
    assert told[6].delay_ms == pytest.approx(OWN_MS + 40, abs=1)


def test_strangers_at_other_times_each_are_never_believed(config: Config) -> None:
    story = calls(config, 7)
    for call, later_ms in zip(range(3, 7), (40, 80, 25, 110), strict=True):
        stranger(story, config, call, OWN_MS + later_ms)
    deaf_from(story, 3)
    assert [notice.proof for notice in notices(story)][3:] == ["absent"] * 4


def test_a_line_that_never_had_a_call_is_known_by_its_card(config: Config) -> None:
    """Line 1 has had three calls; the first one of line 2 finds it deaf, and a stranger plays."""
    story = calls(config, 4)
    began = EVERY_S * 3
    story.bits[:, 0, round(began * 1000) :] = False
    story.ring(0.5 + began, 1.4 + began, 2).off_hook(1.5 + began, 6.0 + began, 2)
    samples = story.card.notices[config.recording.notice].samples * 10 ** (STRANGER_DB / 20)
    story.sound(began + PLAYED_S + (OWN_MS + 70) / 1000, samples, 2)
    deaf_from(story, 3)
    told = story.tell().records[-1]
    assert (told.line, [notice.proof for notice in told.notices]) == (2, ["absent"])
