# SPDX-License-Identifier: Apache-2.0
"""`linetap walk`: its output, its exit status, and its use with a recorder of another process."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from walk_rig import Walked, Wire

import config_file
from linetap.commission import walk as command
from linetap.commission.walk import COLOURS, FOUND, STEPS, result_text
from linetap.config.schema import Recording
from linetap.recorder.walk.turn import WAIT_S
from linetap.recorder.walk.walk import RED
from linetap_core.clock import SYSTEM
from linetap_core.errors import BadInput, DeviceFault, Refusal
from linetap_core.records import RecorderState, StartWalk, WalkedLine
from linetap_core.service import read_state
from linetap_core.vaultformat import walkreport
from unit_rig import Unit, make_unit

SOON = Recording(greeting_max_ms=0, answer_timeout_s=2, answer_unheard_s=4)
LIMIT_S = 120


class Turning:
    """A clock whose sleep lets the unit continue."""

    def __init__(self, unit: Walked) -> None:
        self.unit = unit
        self.meanwhile: Callable[[], None] = lambda: None

    def sleep(self, _seconds: float) -> None:
        self.unit.turn()
        self.meanwhile()

    def monotonic_ns(self) -> int:
        return self.unit.clock.monotonic_ns()

    def unsteered_ns(self) -> int:
        return self.monotonic_ns()

    def utc_ns(self) -> int:
        return self.unit.clock.utc_ns()


@pytest.fixture
def unit(tmp_path: Path, run_dir: Path) -> Unit:
    return make_unit(tmp_path, run_dir, lines=3, recording=SOON)


@pytest.fixture
def walked(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walked]:
    with Walked(unit.config, [Wire() for _ in range(3)]) as made:
        made.turn()
        monkeypatch.setattr(command, "SYSTEM", Turning(made))
        yield made


def run(unit: Unit, *words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    path = config_file.write(unit.folder / "unit.toml", unit.config)
    return command.run(parser.parse_args(["--config", str(path), *words]))


def test_the_command_prints_instructions_and_results(
    unit: Unit, walked: Walked, capsys: pytest.CaptureFixture[str]
) -> None:
    walked.wires[1].battery_v, walked.wires[1].lifts = 0.0, False
    walked.wires[2].digit = ""
    assert run(unit) == 1
    said = capsys.readouterr().out.splitlines()
    for line in (1, 3):
        steps = [text for text in said if text.startswith(f"{line}번 회선 / line {line}: ")]
        assert [text.partition(": ")[2] for text in steps][:4] == [STEPS[s] for s in ("lift", "dial", "notice", "down")]
    assert "2번 회선 / line 2" in said, "nobody was asked to lift it, and it is named all the same"
    assert f"   line_cut: {FOUND['line_cut']}" in said
    good = re.compile("   GREEN: .*on-hook -48.0 V, off-hook -8.0 V, level .* dBm0, echo -6.0 dB, notice early, .*-L01")
    assert any(good.fullmatch(text) for text in said)
    found = zip(COLOURS.items(), (1, 3, 2), strict=True)
    assert said[-4:-1] == [f"{colour.upper()} ({text}): {line}" for (colour, text), line in found]
    walked.until(walked.over, "it is told")
    assert Path(said[-1]).is_file()


def test_a_walk_in_which_nothing_is_red_ends_with_0(unit: Unit, walked: Walked) -> None:
    walked.wires[2].digit = ""
    assert run(unit, "--line", "1", "--line", "3") == 0
    assert walked.walk is not None
    assert [(line.line, line.colour) for line in walked.walk.lines] == [(1, "green"), (3, "yellow")]


def test_a_second_one_is_refused(unit: Unit, walked: Walked) -> None:
    walked.wires[0].lifts = False
    walked.ask(StartWalk("button"))
    with pytest.raises(Refusal, match="running already"):
        run(unit)
    assert run(unit, "--stop") == 1
    walked.until(walked.over, "it is told")
    with pytest.raises(Refusal, match="no walk test is running"):
        run(unit, "--stop")


def test_ctrl_c_ends_it(unit: Unit, walked: Walked, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Turning(walked)
    monkeypatch.setattr(command, "SYSTEM", clock)
    walked.wires[0].lifts = False

    def interrupt() -> None:
        if walked.walk is not None and walked.walk.step == "lift" and walked.walk.left_s < WAIT_S - 5:
            clock.meanwhile = lambda: None
            raise KeyboardInterrupt

    clock.meanwhile = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(unit)
    walked.until(walked.over, "it is told")
    assert walked.walk is not None
    assert walked.walk.ended_by == "stopped"


def test_a_line_that_is_not_there(unit: Unit) -> None:
    with pytest.raises(BadInput, match="there is no line 9; there are 1, 2, 3"):
        run(unit, "--line", "9")


def test_a_unit_that_does_not_run(unit: Unit) -> None:
    with pytest.raises(DeviceFault, match=r"recorder\.sock: No such file") as caught:
        run(unit)
    assert caught.value.code == "peer_absent"


def test_every_step_colour_and_code_has_its_words_in_both_languages() -> None:
    assert {code for code in RED if not code.startswith("line_") and code != "silent_off_hook"} <= FOUND.keys()
    for text in [*STEPS.values(), *COLOURS.values(), *FOUND.values()]:
        korean, _, english = text.partition(" / ")
        assert re.search(r"[가-힣]", korean)
        assert english
        assert not re.search(r"[가-힣]", english)


def test_what_was_not_measured_is_left_out() -> None:
    told = result_text(WalkedLine(line=1, colour="red", found=["hum"]))
    assert told == f"   RED: {COLOURS['red']}; -\n   hum: linetap check"


def test_a_recorder_of_another_process(unit: Unit, run_dir: Path) -> None:
    """Without a card no handset can be lifted: one terminal begins, another one ends it, and the report is signed."""
    path = config_file.write(unit.folder / "unit.toml", unit.config)
    linetap = [sys.executable, "-m", "linetap"]
    recorder = subprocess.Popen([*linetap, "recorder", "--config", path], stderr=subprocess.DEVNULL)
    try:
        until(lambda: read_state(run_dir, "recorder", RecorderState) is not None, "the recorder runs")
        walking = subprocess.Popen([*linetap, "walk", "--config", path], stdout=subprocess.PIPE, text=True)
        assert walking.stdout is not None
        assert "1번 회선 / line 1: " in walking.stdout.readline()
        stopped = subprocess.run([*linetap, "walk", "--stop", "--config", path], timeout=LIMIT_S, check=False)
        said, _ = walking.communicate(timeout=LIMIT_S)
        assert (walking.returncode, stopped.returncode) == (1, 1)
        assert "RED" in said
        report = Path(said.splitlines()[-1])
        until(report.is_file, "the report is there")
        assert walkreport.decode(report.read_bytes()).ended_by == "stopped"
    finally:
        recorder.terminate()
        assert recorder.wait(LIMIT_S) == 0


def until(true: Callable[[], bool], what: str) -> None:
    for _ in range(LIMIT_S * 20):
        if true():
            return
        SYSTEM.sleep(0.05)
    raise AssertionError(f"not within {LIMIT_S} s: {what}")
