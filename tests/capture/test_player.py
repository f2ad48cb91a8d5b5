# SPDX-License-Identifier: Apache-2.0
"""The position of a notice in both counts of samples, across restarts of either stream, on a simulated board."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from linetap.board.simulated import SimulatedCard, Wires, wires_path
from linetap.capture.player import Player
from linetap.config.schema import Card, Line
from linetap.notices import Notice
from linetap_core.records import MeterState

CARD = Card(rate_hz=8000, channels=4)
LINES = [Line(number=1, channel=2), Line(number=2, channel=3), Line(number=3, channel=4, exempt=True)]
SOUND = np.arange(1, 501, dtype=np.int16)
NOTICES = {"ko": Notice("ko", "", SOUND, 77), "en": Notice("en", "", -SOUND, 88)}
QUEUED = 320


class Bench:
    """A player and the playback stream it fills, period by period."""

    def __init__(self, run_dir: Path) -> None:
        self.board = SimulatedCard(run_dir, 1, 3)
        self.wires = Wires.attach(wires_path(run_dir, 1))
        self.player = Player(CARD, LINES, NOTICES, self.board)
        self.player.set_shift(1000, playback_restarted=False)
        self.written = 0
        self.stream = np.zeros((0, 4), np.int16)

    def periods(self, count: int) -> None:
        for _ in range(count):
            data = self.player.fill(self.written, QUEUED)
            block = np.zeros((80, 4), np.int16) if data is None else np.frombuffer(data, np.int16).reshape(80, 4)
            self.stream = np.concatenate([self.stream, block])
            self.written += 80

    def report(self, frame: int) -> tuple[int, int]:
        """Tag and position in the slot at ring frame `frame` for the first line."""
        tags, frames = self.player.report(frame)
        assert tags is not None
        assert frames is not None
        return int(tags[0]), int(frames[0])

    def relays(self) -> list[int]:
        return [int(relay) for relay in self.wires.relays]


@pytest.fixture
def bench(run_dir: Path) -> Iterator[Bench]:
    made = Bench(run_dir)
    yield made
    made.board.close()
    made.wires.close()


def test_no_notice_is_played_while_the_meter_that_closes_the_relay_is_silent(bench: Bench) -> None:
    bench.board.meter = MeterState(connected=False)
    why = bench.player.play(1, "ko", 1333)
    assert why is not None
    assert "meter" in why
    bench.periods(14)
    assert not bench.stream.any()
    bench.board.meter = MeterState(connected=True)
    assert bench.player.play(1, "ko", 3000) is None


def test_first_sample_is_at_its_frame(bench: Bench) -> None:
    assert bench.player.play(1, "ko", 1333) is None
    bench.periods(4)
    assert bench.relays() == [0, 0, 0]
    bench.periods(10)
    assert bench.relays() == [1, 0, 0]
    assert (bench.stream[333:833, 1] == SOUND).all()
    assert not bench.stream[:333].any()
    assert not bench.stream[833:].any()
    assert bench.report(1280) == (77, -53)
    assert bench.report(1760) == (77, 427)
    assert bench.report(1840) == (0, 0)
    assert bench.report(1200) == (0, 0)
    bench.player.finish(1832)
    assert bench.relays() == [1, 0, 0]
    bench.player.finish(1833)
    assert bench.relays() == [0, 0, 0]
    assert bench.player.report(1920) == (None, None)


def test_late_is_as_soon_as_possible_but_behind_the_relay(bench: Bench) -> None:
    bench.periods(5)
    bench.player.play(1, "ko", 0)
    bench.periods(10)
    start = int(np.flatnonzero(bench.stream[:, 1])[0])
    assert start == 400  # after the samples already written, which take longer than the relay's switching
    bench.player.play(2, "ko", 0)
    assert not np.frombuffer(bench.player.fill(bench.written, 0) or b"", np.int16)[2::4].any()
    assert bench.relays() == [1, 0, 0], "with an empty queue its first sample would be on the line before the relay"


def test_the_relay_has_settled_before_the_first_sample(bench: Bench) -> None:
    """After a period for its command it operates within 8 ms and bounces for 4 (TE Schrack RT2, Rev. 1014)."""
    queued = 130  # frames at 8 kHz; less than the relay takes
    bench.player.play(1, "ko", 0)
    heard = np.frombuffer(bench.player.fill(0, queued) or b"", np.int16)[1::4]
    assert bench.relays() == [1, 0, 0]
    assert queued + int(np.flatnonzero(heard)[0]) >= (10 + 8 + 4) * 8


def test_two_lines_at_once_and_a_replacement(bench: Bench) -> None:
    bench.player.play(1, "ko", 1240)
    bench.player.play(2, "en", 1240)
    bench.periods(5)
    bench.player.play(1, "en", 1440)
    bench.periods(10)
    assert (bench.stream[240:440, 1] == SOUND[:200]).all()
    assert (bench.stream[440:940, 1] == -SOUND).all()
    assert (bench.stream[240:740, 2] == -SOUND).all()
    bench.player.finish(1440)
    assert bench.relays() == [1, 1, 0], "the relay stays closed for the one that follows"
    bench.player.finish(2000)
    assert bench.relays() == [0, 0, 0]


def test_underrun_keeps_the_place_on_the_line(bench: Bench) -> None:
    bench.player.play(1, "ko", 1240)
    bench.periods(5)
    bench.player.lost_playback()
    bench.periods(2)
    assert not bench.stream[400:560].any()
    bench.player.set_shift(1100, playback_restarted=True)  # 100 frames passed without playback
    bench.periods(5)
    assert (bench.stream[560:640, 1] == SOUND[560 + 1100 - 1240 :][:80]).all()
    assert bench.report(1280) == (77, 40)


def test_capture_restart_moves_the_report_and_not_the_sound(bench: Bench) -> None:
    bench.player.play(1, "ko", 1240)
    bench.periods(5)
    bench.player.set_shift(1100, playback_restarted=False)
    bench.periods(10)
    assert (bench.stream[240:740, 1] == SOUND).all()
    assert bench.report(1360) == (77, 1360 - 1340)


def test_stop_ends_at_what_is_written(bench: Bench) -> None:
    bench.player.play(1, "ko", 1240)
    bench.periods(5)
    assert bench.player.stop(1, bench.written) is None
    bench.periods(5)
    assert np.flatnonzero(bench.stream[:, 1])[-1] == 399
    assert bench.report(1320) == (77, 80)
    assert bench.report(1400) == (0, 0)
    bench.player.finish(1400)
    assert bench.relays() == [0, 0, 0]


def test_refusals_are_bounded_and_clear(bench: Bench) -> None:
    assert bench.player.play(3, "ko", 0) == "line 3 is no line of this card, or is exempt from notices"
    assert bench.player.play(1, "fr", 0) == "no notice 'fr'"
    assert bench.player.play(1, "ko", 1 << 40) is None
    assert bench.player.play(1, "ko", 1 << 40) is None
    assert bench.player.play(1, "ko", 1 << 40) == "line 1 has 2 notices already"
    assert bench.player.stop(1, 0) is None  # a waiting notice is dropped
    assert bench.player.play(1, "ko", 0) is None
