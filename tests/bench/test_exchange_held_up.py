# SPDX-License-Identifier: Apache-2.0
"""The exchange's process may be delayed anywhere: the returned audio is complete, and has the same delay as before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_rig import write_config

from linetap.config import load_config
from linetap.ring import I16
from linetap_bench.exchange.exchange import Exchange
from linetap_bench.script.script import load_script
from linetap_bench.sounds.voices import Voices
from linetap_bench.stage.cable import DRY, VARIABLE, Cable, reports
from linetap_bench.stage.jack import report_log
from linetap_core.clock import NS_PER_MS, ManualClock

PERIOD, BUFFER, FILL_MS, STEP = 80, 5120, 120, 32


class End:
    """A cable whose two directions continue whatever the exchange does; `held_up`: frames that pass at each poll.
    Readable frames are counted STEP frames late: snd-aloop counts each direction in its own ticks.
    """

    period, buffer = PERIOD, BUFFER

    def __init__(self, *_: object) -> None:
        self.now = self.read_to = self.written = 0
        self.silent = False  # the unit plays nothing any more
        self.held_up: Iterator[int] = iter(())

    def look(self) -> int:
        self.now += next(self.held_up, 0)
        return self.now

    def start_capture(self) -> None:
        self.read_to = self.now

    def wait(self, _: int) -> None:
        self.now += PERIOD

    def available(self) -> int:
        return self.look() - STEP - self.read_to if not self.silent else 0

    def read(self) -> bytes:
        self.read_to += PERIOD
        return bytes(2 * 2 * PERIOD)

    def room(self) -> int:
        left = self.written - self.look()
        return BUFFER - left if left > 0 else DRY

    def write(self, data: bytes) -> int:
        self.written += len(data) // 4
        return len(data) // 4

    def close(self) -> None:
        pass


class Watched(Exchange):
    """The exchange's output period by period, with the unit's sound or without."""

    def __init__(self, folder: Path, run_dir: Path) -> None:
        config = load_config(write_config(folder, run_dir))
        script = folder / "calls.toml"
        script.write_text("lines = 2\nduration_s = 60.0\n")
        self.put: list[bool] = []
        self.clock = ManualClock()
        super().__init__(config, load_script(script), Voices(folder / "voices"), Cable("p", "c", FILL_MS), self.clock)

    @property
    def end(self) -> End:
        assert isinstance(self._end, End)
        return self._end

    def turns(self, count: int) -> None:
        for _ in range(count):
            self.end.wait(100)
            self._exchange_periods()

    def _put(self, notices: I16 | None, length: int) -> None:
        self.put.append(notices is not None)
        super()._put(notices, length)


@pytest.fixture
def watched(tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr("linetap_bench.exchange.exchange.CableEnd", End)
    made = Watched(tmp_path, run_dir)
    made.start()
    made.turns(5)
    made.put.clear()
    yield made
    made.close()


@pytest.mark.parametrize("frames", [79, 100, 240, 400])
@pytest.mark.parametrize("look", range(8))
def test_what_comes_back_has_no_hole_and_nothing_is_left_out(watched: Watched, look: int, frames: int) -> None:
    read = watched.end.read_to
    watched.end.held_up = iter([0] * look + [frames])
    watched.turns(50)
    assert all(watched.put)
    assert len(watched.put) == (watched.end.read_to - read) // PERIOD
    assert watched.played.underruns == 0


def test_the_lines_do_not_run_dry_while_the_unit_plays_nothing(watched: Watched) -> None:
    watched.end.silent = True
    watched.turns(50)
    assert not any(watched.put)
    assert (len(watched.put) > 30, watched.played.underruns) == (True, 0)


def test_only_an_exchange_that_came_too_late_itself_reports_it(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cable runs dry: once with an exchange that polled in time, once with one that was 500 ms late."""
    late = tmp_path / "lateness"
    late.touch()
    monkeypatch.setenv(VARIABLE, str(late))
    watched.turns(1)
    watched.end.held_up = iter([2000])
    watched.turns(1)
    before = watched.played.underruns
    assert (before > 0, reports(late)) == (True, [])
    watched.turns(1)
    watched.clock.advance(500 * NS_PER_MS)
    watched.end.held_up = iter([4000])
    watched.turns(1)
    report = reports(late)[0]
    assert (watched.played.underruns > before, report.who) == (True, "the exchange")
    assert report.late_ms == 500 - FILL_MS - 10  # its queue: the lead, and the period of the previous turn


PASSED_OVER = "JackEngine::XRun: client = {}-linetap-0-1 was not finished, state = Triggered\n"


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("Jack main caught signal 15\n", []),
        ("JackTimedDriver::Process XRun = 9000 usec\n", []),
        ("JackTimedDriver::Process XRun = 34000 usec\n", [("the cable", 24.0)]),
        (
            2 * (PASSED_OVER.format("exchange_out") + PASSED_OVER.format("exchange_in")),
            [("the exchange", 20.0)],
        ),
        (PASSED_OVER.format("unit_in") + PASSED_OVER.format("unit_out"), []),
    ],
    ids=["idle", "within a period", "late", "exchange passed over", "unit passed over"],
)
def test_jackds_log_is_a_report_of_itself_and_of_the_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str, expected: list[tuple[str, float]]
) -> None:
    late = tmp_path / "lateness"
    late.touch()
    monkeypatch.setenv(VARIABLE, str(late))
    report_log(log)
    assert [(each.who, each.late_ms) for each in reports(late)] == expected
