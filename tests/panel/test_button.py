# SPDX-License-Identifier: Apache-2.0
"""The button: the meaning of each length of a press, the LEDs during the press, and its effect."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from test_panel_service import TICK_MS, Room

from linetap.board.simulated import SimulatedPanel, press_button
from linetap.checks.cards import CRITICAL_OVERRUNS, WARN_OVERRUNS
from linetap.panel.button import Button, Press, meaning
from linetap.panel.service import Panel
from linetap.sockets import Listener
from linetap_core.records import RECORDER_SOCKET, RecorderCommand, StartWalk, StopWalk, WalkEnd, WalkState
from linetap_core.wire.legend import CONDITIONS, STEP_MS, number_pattern
from state_files import capture, recorder, reporter, suffering, unit


def press(room: Room, ms: int) -> list[str]:
    """Presses and releases the button; returns the LEDs during the press."""
    press_button(room.run_dir, True)
    seen = room.pass_ms(ms)
    press_button(room.run_dir, False)
    room.pass_ms(TICK_MS)
    return seen


@pytest.mark.parametrize(
    ("ms", "means"),
    [
        (0, "short"),
        (900, "short"),
        (1000, None),
        (2900, None),  # a lamp test
        (3000, "walk"),
        (9900, "walk"),
        (10_000, "removal"),
        (29_900, "removal"),
        (30_000, None),  # a stuck button
        (3_600_000, None),
    ],
)
def test_what_a_press_means(ms: int, means: Press | None) -> None:
    button = Button()
    assert button.update(False, 0) is None
    assert button.update(True, 50) is None
    assert button.update(True, 50 + ms) is None
    assert button.held_ms(True, 50 + ms) == ms
    assert button.update(False, 50 + ms) == meaning(ms) == means
    assert button.update(False, 50 + ms) is None


def test_the_leds_tell_how_long_it_is_pressed(run_dir: Path) -> None:
    room = Room(run_dir)
    room.pass_ms(1000)
    seen = press(room, 32_000)
    assert set(seen[:30]) == {"RCF"}
    assert set(seen[30:100]) == {"R"}
    assert seen[100:120] == (["RCF"] * 5 + [""] * 5) * 2
    assert set(seen[300:]) == {"R"}


# --- a short press ------------------------------------------------------------------------------------------------


def test_what_was_acknowledged_is_calm_until_something_new_stands(
    run_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    room = Room(run_dir)
    room.unit.states["recorder"] = suffering("notice_not_heard")
    room.unit.states["recorder"].lines[0].state = "fault"  # type: ignore[attr-defined]
    room.pass_ms(1000)
    assert room.state().patterns["fault"] == "slow"
    press(room, 300)
    assert (room.state().patterns["fault"], room.state().unit_state) == ("wink", "line_fault")
    assert "acknowledged: notice_not_heard line 1" in caplog.text
    room.unit.states["recorder"].lines[1].troubles = ["line_cut"]  # type: ignore[attr-defined]
    room.pass_ms(600)
    assert room.state().patterns["fault"] == "slow", "another line has the same: that is new"
    press(room, 300)
    room.unit.states["reporter"] = reporter(connected=False)
    room.pass_ms(600)
    assert room.state().patterns["fault"] == "slow"


def test_a_warning_that_was_acknowledged_and_became_critical_is_new(run_dir: Path) -> None:
    room = Room(run_dir)
    for overruns in (WARN_OVERRUNS, CRITICAL_OVERRUNS):
        room.unit.states["capture@1"] = capture(overruns_lately=overruns)
        room.pass_ms(1000)
        assert room.state().patterns["fault"] == CONDITIONS["unit_check"].fault != "wink"
        press(room, 300)
        assert room.state().patterns["fault"] == "wink"


def test_what_went_and_comes_again_is_new(run_dir: Path) -> None:
    room = Room(run_dir)
    for _ in range(2):
        room.unit.states["recorder"] = suffering("line_cut")
        room.pass_ms(1000)
        assert room.state().patterns["fault"] == "slow"
        press(room, 300)
        assert room.state().patterns["fault"] == "wink"
        room.unit.states["recorder"] = recorder("idle", "idle")
        room.pass_ms(1000)
        assert room.state().patterns["fault"] == "off"


def test_that_nothing_is_recorded_is_said_all_the_same(run_dir: Path) -> None:
    """An acknowledgement calms FAULT alone; RUN still shows that nothing is recorded."""
    room = Room(run_dir)
    room.pass_ms(1000)
    room.unit.kill("recorder")
    room.pass_ms(3000)
    press(room, 300)
    assert room.state().patterns == {"run": "off", "call": "off", "fault": "wink"}


def test_the_site_number_is_counted_by_call_and_hides_no_fault(run_dir: Path) -> None:
    room = Room(run_dir)
    config = msgspec.structs.replace(unit(run_dir), site_number=203)
    room.panel = Panel(config, SimulatedPanel(run_dir), room.clock)
    room.unit.states["recorder"] = suffering("line_cut")
    room.pass_ms(1000)
    press_button(run_dir, True)
    room.pass_ms(300)
    press_button(run_dir, False)
    pattern = number_pattern(203)
    seen = room.pass_ms(len(pattern) * STEP_MS)
    assert "".join("#" if "C" in leds else "." for leds in seen) == pattern
    assert all("R" in leds for leds in seen)
    assert any("F" in leds for leds in seen)
    assert all("C" not in leds for leds in room.pass_ms(3000))


def test_the_pattern_of_a_number_can_be_counted() -> None:
    one = "###"
    two, four = "..".join([one] * 2), "..".join([one] * 4)
    assert re.split(r"\.{10,}", number_pattern(1204)) == ["", one, two, "#" * 20, four, ""]


# --- three seconds -------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(run_dir: Path) -> Iterator[Listener]:
    listener = Listener(run_dir / RECORDER_SOCKET)
    yield listener
    listener.close()


def commands(asked: Listener) -> list[RecorderCommand]:
    """The received commands. Several polls: a listener accepts a connection first and reads it later."""
    found = [data for _ in range(3) for _, data in asked.poll()]
    return [msgspec.json.decode(data, type=RecorderCommand) for data in found]


@pytest.mark.parametrize(
    ("ended_by", "command"), [(None, StopWalk()), ("done", StartWalk("button")), ("stopped", StartWalk("button"))]
)
def test_three_seconds_begin_a_walk_test_or_end_it(
    run_dir: Path, asked: Listener, ended_by: WalkEnd | None, command: StartWalk | StopWalk
) -> None:
    room = Room(run_dir)
    room.unit.states["recorder"] = recorder(
        "idle", "idle", walk=WalkState(began_at="", by="button", line=1, step="lift", ended_by=ended_by)
    )
    room.pass_ms(1000)
    press(room, 4000)
    assert commands(asked) == [command]
    room.panel.close()


def test_no_other_press_asks_for_anything(run_dir: Path, asked: Listener) -> None:
    room = Room(run_dir)
    for ms in (300, 2000, 40_000):
        press(room, ms)
    assert commands(asked) == []
    press(room, 3500)
    assert commands(asked) == [StartWalk("button")]
    room.panel.close()


def test_without_a_recorder_the_press_is_only_said(run_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    room = Room(run_dir)
    press(room, 4000)
    assert "peer_absent" in caplog.text
    assert set(room.pass_ms(1000)) == {"R"}
