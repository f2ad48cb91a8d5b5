# SPDX-License-Identifier: Apache-2.0
"""Hours of calls on eight lines through the real recorder, its real ring and vault, as fast as it can follow
(fastlines.py): each call is sealed once, and the process does not grow.

Its caches are bounded (4,096 events and leaves, 512 calls of an index segment). Until these limits are reached, with
the 1,500th call, it grows; the measurement is after that, of the process's own memory. Reports are not confirmed, as
during an outage of the network; in one test a desk confirms them. test_long_run.py is the same in real time, with
capture and a sound card.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import growth
import msgspec
import pytest
from fastdesk import FastDesk
from fastlines import FastLines, HastenedClock, Tape
from growth import Held

import soak_table
from linetap.config import Config, load_config
from linetap_bench.sounds.voices import default_folder
from linetap_bench.stage.processes import Child, Processes
from linetap_bench.stage.stage import linetap
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord, RecorderState
from linetap_core.service import read_state
from unit_rig import save_notice, spoken

HOURS = float(os.environ.get("LINETAP_SOAK_HOURS", "6"))
WARM_CALLS = 1500  # with three leaves and six events each: all limits are reached
SAMPLE_S = 30.0
LOSSES = {"ring_overtaken", "ring_damaged", "overrun", "capture_restart", "power"}  # in other cases nothing may be lost
UP_S = 60


class Closet:
    """A unit's recorder without its other services."""

    def __init__(self, folder: Path, run_dir: Path, tape: Tape) -> None:
        self.tape, self.desk = tape, FastDesk(folder)
        self.config = _configured(folder, run_dir, self.desk)
        self._clock = HastenedClock(folder)
        self.lines = FastLines(self.config, self._clock, tape)
        self._children = Processes(folder / "logs", self._clock.environment)
        command = [sys.executable, "-m", "linetap", "recorder", "--config", str(folder / "unit.toml")]
        self.recorder: Child = self._children.start("recorder", command)

    @property
    def pid(self) -> int:
        return self.recorder.process.pid

    def hours(self, tapes: int, confirmed: bool = False) -> Iterator[tuple[int, float]]:
        """The tape this many times; yields the number of complete passes, and the time."""
        for played in range(tapes):
            for at_s in self.lines.play(lambda: self.recorder.process.poll() is None):
                if confirmed:
                    self.desk.turn(self.config, at_s, self._clock.began_utc_ns + round(at_s * NS_PER_S))
                yield played, at_s

    def state(self) -> RecorderState:
        found = read_state(self.config.run_path, "recorder", RecorderState)
        assert found is not None
        return found

    def end(self) -> list[CallRecord]:
        """The records of all calls, once the recorder has been asked to end."""
        assert self._children.end(self.recorder) == 0, self.recorder.log_tail()
        found = sorted(self.config.vault_path.glob("[0-9]*/*/*/*/" + sealed.SIGNATURE))
        return [msgspec.json.decode((each.parent / sealed.RECORD).read_bytes(), type=CallRecord) for each in found]

    def close(self) -> None:
        with self._children:
            self.lines.close()
        self._clock.close()


@pytest.fixture
def tape(request: pytest.FixtureRequest) -> Tape:
    return Tape(float(request.param), default_folder())


@pytest.fixture
def closet(tmp_path: Path, run_dir: Path, tape: Tape) -> Iterator[Closet]:
    made = Closet(tmp_path, run_dir, tape)
    yield made
    made.close()
    shutil.rmtree(tmp_path / "vault")  # 1 GB for six hours


@pytest.mark.parametrize("tape", [90], indirect=True)
def test_a_recorder_follows_lines_that_are_faster_than_time(closet: Closet) -> None:
    """A sample of the hours: every call has three minutes."""
    for _ in closet.hours(2, confirmed=True):
        pass
    assert closet.desk.confirmed > 10
    assert_all_recorded(closet, 2)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("confirmed", [False, True], ids=["nobody confirms", "a desk confirms"])
@pytest.mark.parametrize("tape", [720], indirect=True)
def test_six_hours_do_not_make_it_grow(closet: Closet, confirmed: bool) -> None:
    tapes, next_s, samples = round(HOURS * 3600 / closet.tape.seconds), 0.0, list[Held]()
    begun_ns = SYSTEM.monotonic_ns()
    for played, at_s in closet.hours(tapes, confirmed):
        if at_s < next_s:
            continue
        next_s = at_s + SAMPLE_S
        samples.append(growth.held(closet.pid, at_s, played * closet.tape.talks))
        if not len(samples) % 20:
            real_s = (SYSTEM.monotonic_ns() - begun_ns) / NS_PER_S
            print(f"{at_s:7.0f} s of calls in {real_s:5.0f} s  {samples[-1][1:]}", flush=True)
    calls = assert_all_recorded(closet, tapes)
    warm = [each for each in samples if each.calls >= WARM_CALLS]
    assert len(warm) > 60, f"{calls} calls are too few to tell"
    grown = {column: growth.an_hour(warm, column) for column in ("anonymous_kb", "pss_kb", "rss_kb")}
    rates = ", ".join(f"{column.removesuffix('_kb')} {rate:+.0f} kB" for column, rate in grown.items())
    own, hours = [each.anonymous_kb for each in warm], (warm[-1].at_s - warm[0].at_s) / 3600
    print(
        f"from the {WARM_CALLS}th call on {own[0]} kB of its own, then {min(own)} to {max(own)}, at the end {own[-1]}"
    )
    print(f"{calls} calls in {samples[-1].at_s / 3600:.1f} h; each of the {hours:.1f} h from then on: {rates}")
    who = "a desk confirms" if confirmed else "nobody confirms"
    soak_table.add(f"{samples[-1].at_s / 3600:.0f} h of calls, faster than time, {who} ({rates} an hour)", calls)
    assert grown["anonymous_kb"] <= growth.MOST_KB_AN_HOUR
    growth.assert_no_steps(warm, "anonymous_kb")
    growth.assert_no_more(warm)


def assert_all_recorded(closet: Closet, tapes: int) -> int:
    """Asserts that every conversation is recorded completely. Returns the number of calls, including
    unanswered ones.
    """
    state = closet.state()
    assert state.fault is None
    assert state.overtaken_ns is None
    records = closet.end()
    recorded = [each for each in records if each.audio is not None]
    assert len(recorded) == tapes * closet.tape.talks, f"{len(recorded)} of {tapes} x {closet.tape.talks}"
    missing = [gap.cause for each in recorded if each.audio is not None for gap in each.audio.gaps]
    assert not set(missing) & LOSSES, missing
    return len(records)


def _configured(folder: Path, run_dir: Path, desk: FastDesk) -> Config:
    save_notice(folder / "notices" / "ko.wav", spoken(1.0))
    custodian = linetap("keygen", "custodian", "-o", folder / "custodian.txt").strip()
    epoch = linetap("keygen", "epoch", "-o", folder / "epoch.txt").strip()
    linetap(
        "config", "init", "floor-03", "--lines", 8, "--custodian", custodian, "--epoch", epoch, "--board", "simulated",
        "--notices", folder / "notices", "--vault", folder / "vault", "--run-dir", run_dir,
        "--authority", desk.authority.line, "--key-list", desk.authority.path, "-o", folder / "unit.toml",
    )  # fmt: skip
    return load_config(folder / "unit.toml")
