# SPDX-License-Identifier: Apache-2.0
"""A person at either end who wants to prevent recording with only a telephone, fingers and a voice: hang-ups, a
whistle, a shout, noise, keys held down, fax tones. This call and the next are recorded.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recorder"))

from call_rig import Story
from sounds import FAR_DBM0, busy, dial, digits, fax, ringback, talk

from linetap.config.schema import Config
from linetap.ring import RATE_HZ
from linetap_bench.sounds.synth import Tones
from linetap_core.records import CallRecord
from unit_rig import make_unit

CALLS, EVERY_S = 5, 14.0
ANSWER_S, NOTICE_S, NOTICE_END_S = 1.5, 2.035, 3.035


@pytest.fixture
def config(tmp_path: Path, run_dir: Path) -> Config:
    """A fault would need only three consecutive calls, of any duration."""
    whole = make_unit(tmp_path, run_dir).config
    return msgspec.structs.replace(whole, recording=msgspec.structs.replace(whole.recording, deaf_span_s=1))


def calls_in(config: Config, hang_up_s: float, sound: npt.NDArray[Any] | None = None, at_s: float = 0.0) -> Story:
    """Repeated calls in which the caller does the same."""
    story = Story(config, EVERY_S * CALLS + 12, noise_peak=30)
    for n in range(CALLS):
        began = EVERY_S * n
        story.ring(0.5 + began, 1.4 + began).off_hook(ANSWER_S + began, hang_up_s + began)
        if sound is not None:
            story.sound(at_s + began, sound)
    began = EVERY_S * CALLS  # and one of another caller
    return story.ring(0.5 + began, 1.4 + began).off_hook(ANSWER_S + began, 9.0 + began)


def whistle(seconds: float, hz: float = 1800.0) -> npt.NDArray[np.float64]:
    n = round(seconds * RATE_HZ)
    return Tones([(hz, -6.0)], n).render(0, n)


def noise(seconds: float) -> npt.NDArray[np.float64]:
    return np.random.default_rng(7).normal(0, 4000, round(seconds * RATE_HZ))


def key_held(seconds: float) -> npt.NDArray[np.float64]:
    n = round(seconds * RATE_HZ)
    return Tones([(941.0, -8.0), (1336.0, -8.0)], n).render(0, n)


def recorded(story: Story, times: int = CALLS + 1) -> list[CallRecord]:
    records = story.tell().records
    assert [record.disposition for record in records] == ["recorded"] * times
    assert "notice_not_heard" not in story.recorder.line_states()[0].troubles
    assert records[-1].why == ""
    assert records[-1].notices[0].proof == "full"
    return records


@pytest.mark.parametrize("after_ms", [100, 300, 600, 900])
def test_hanging_up_within_the_notice_says_nothing_of_the_line(config: Config, after_ms: int) -> None:
    recorded(calls_in(config, NOTICE_S + after_ms / 1000))


@pytest.mark.parametrize(
    "sound", [whistle(3.0), talk(3.0, -3.0), noise(3.0), key_held(3.0), digits("0123456789ABCD*#" * 2)[:24000]],
    ids=["whistle", "shout", "noise", "key held down", "keys"],
)  # fmt: skip
def test_no_sound_over_the_notice_makes_a_line_deaf(config: Config, sound: npt.NDArray[Any]) -> None:
    records = recorded(calls_in(config, 8.0, sound, ANSWER_S + 0.3))
    assert all(len(record.notices) == 1 for record in records)


def test_a_loud_end_of_a_quick_call_stops_no_recording(config: Config) -> None:
    recorded(calls_in(config, NOTICE_END_S + 0.1, whistle(2.0), NOTICE_S - 0.2))


@pytest.mark.parametrize("hz", [1100.0, 2100.0])
def test_bursts_like_a_faxs_hold_the_notice_back_for_some_seconds_and_no_longer(config: Config, hz: float) -> None:
    """Each burst is too short for a fax but could be the beginning of one."""
    story = Story(config, 40, noise_peak=30).ring(0.5, 1.4).off_hook(ANSWER_S, 38.0)
    for n in range(30):
        story.sound(ANSWER_S + 0.2 + 1.2 * n, whistle(0.3, hz))
    ((_, end_frame, record),) = story.tell().closed
    ((_, _, first),) = story.vault.opened
    assert record.disposition == "recorded"
    assert end_frame is not None
    assert end_frame - first > 25 * RATE_HZ


def test_keys_pressed_at_either_end_stop_nothing(config: Config) -> None:
    """Numbers of emergency or internal calls, dialled in an incoming call."""
    story = Story(config, 30, noise_peak=30).ring(0.5, 1.4).off_hook(ANSWER_S, 27.0)
    for n, number in enumerate(("119", "2001", "112#", "**0")):
        story.sound(4.0 + 5 * n, digits(number))
    ((_, end_frame, record),) = story.tell().closed
    ((call_id, _, first),) = story.vault.opened
    assert (record.disposition, story.vault.withheld[call_id]) == ("recorded", [])
    assert end_frame is not None
    assert end_frame - first == round((27.0 - NOTICE_S) * RATE_HZ)


@pytest.mark.parametrize(
    ("sound", "most_lost_s"),
    [(ringback(1), 14), (busy(4), 1), (dial(3), 1), (fax(2100.0, 0.7), 2), (fax(1100.0, 0.7), 2)],
    ids=["ringback", "busy", "dial tone", "fax answer", "fax calling"],
)
def test_tones_played_into_a_call_between_its_sentences_cost_seconds_of_it(
    config: Config, sound: npt.NDArray[Any], most_lost_s: float
) -> None:
    """The far end plays a tone of the exchange every seven seconds, and speaks in between."""
    story = Story(config, 75, noise_peak=30).ring(0.5, 1.4).off_hook(ANSWER_S, 70.0).sound(4.0, talk(3.0, FAR_DBM0))
    for n in range(8):
        story.sound(8.0 + 7 * n, sound).sound(8.2 + 7 * n + len(sound) / RATE_HZ, talk(2.5, FAR_DBM0))
    kept = story.tell()
    ends = {call_id: end for call_id, end, _ in kept.closed}
    written = sum((ends[call_id] or first) - first for call_id, _, first in kept.opened)
    withheld = sum(last - first for call_id in ends for first, last in kept.withheld[call_id])
    assert {record.disposition for record in kept.records} == {"recorded"}
    assert (written - withheld) / RATE_HZ >= 70.0 - NOTICE_S - most_lost_s


def test_dial_tone_played_before_anybody_has_spoken_starts_a_call_that_is_recorded(config: Config) -> None:
    """The line sees a missed call, and then an outgoing one: the speaking party gets the notice."""
    story = Story(config, 45, noise_peak=30).ring(0.5, 1.4).off_hook(ANSWER_S, 40.0)
    kept = story.sound(6.0, dial(3.0)).sound(9.5, talk(30.0)).tell()
    assert [record.disposition for record in kept.records] == ["missed", "recorded"]
    call_id, _, first = kept.opened[-1]
    assert call_id == kept.records[-1].call_id
    assert first < 15 * RATE_HZ
    assert kept.withheld[call_id] == []
