# SPDX-License-Identifier: Apache-2.0
"""The moments at which capture may be interrupted, by the recorder's states of its lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from linetap.idle import HOLDS_S, wait_for_idle
from linetap_core import rundir
from linetap_core.cli import main
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.durable.files import replace_in_ram
from linetap_core.errors import Refusal
from linetap_core.records import LineStatus
from state_files import recorder, unit

CONFIG_LINES, CARDS = 2, 2


class Told(ManualClock):
    """A clock at which the recorder's line states are always fresh."""

    def __init__(self, run_dir: Path, doing: Callable[[float], tuple[LineStatus, ...] | None]) -> None:
        super().__init__(monotonic_ns=NS_PER_S)
        self._run_dir, self._doing = run_dir, doing
        self.sleep(0)

    @property
    def seconds(self) -> float:
        return (self.monotonic_ns() - NS_PER_S) / NS_PER_S

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if (doing := self._doing(self.seconds)) is not None:
            state = recorder(*doing, mono_ns=self.monotonic_ns())
            replace_in_ram(
                rundir.make_service_folder(self._run_dir, "recorder") / "recorder.json", msgspec.json.encode(state)
            )


def waited_s(run_dir: Path, doing: Callable[[float], tuple[LineStatus, ...] | None], card: int | None = None) -> float:
    clock = Told(run_dir, doing)
    wait_for_idle(unit(run_dir, CONFIG_LINES, CARDS), card, 60, clock)
    return clock.seconds


def test_idle_lines_have_to_stay_so_for_a_while(run_dir: Path) -> None:
    assert HOLDS_S <= waited_s(run_dir, lambda _: ("idle",) * 4) < HOLDS_S + 1
    assert HOLDS_S <= waited_s(run_dir, lambda _: ("idle", "fault", "idle", "idle")) < HOLDS_S + 1


@pytest.mark.parametrize("state", ["ringing", "dialling", "notice", "recording", "off_hook"])
def test_a_line_in_use_is_waited_for(run_dir: Path, state: LineStatus) -> None:
    found = waited_s(run_dir, lambda s: ("idle", state if s < 20 else "idle", "idle", "idle"))
    assert 20 + HOLDS_S <= found < 21 + HOLDS_S


def test_a_handset_lifted_again_begins_it_anew(run_dir: Path) -> None:
    found = waited_s(run_dir, lambda s: ("off_hook" if s < 5 or 6 < s < 9 else "idle", "idle", "idle", "idle"))
    assert 9 + HOLDS_S <= found < 10 + HOLDS_S


def test_another_cards_lines_are_not_waited_for(run_dir: Path) -> None:
    assert waited_s(run_dir, lambda _: ("recording", "idle", "idle", "idle"), card=2) < HOLDS_S + 1
    with pytest.raises(Refusal, match=r"not within 60 s: line 1 is in use \(recording\)"):
        waited_s(run_dir, lambda _: ("recording", "idle", "idle", "idle"), card=1)


def test_a_recorder_that_says_nothing_is_no_pause(run_dir: Path) -> None:
    assert waited_s(run_dir, lambda s: ("idle",) * 4 if s < 1 or s > 30 else None) >= 30
    with pytest.raises(Refusal, match="the lines in use are unknown"):
        waited_s(run_dir, lambda s: ("idle",) * 4 if s < 1 else None)


def test_the_command_says_what_is_in_the_way(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["idle", "--config", str(tmp_path / "none.toml")]) == 2
    assert main(["idle", "--config", str(tmp_path / "none.toml"), "--within", "-1"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[1] == "--within -1: 0 to 604800 seconds"
