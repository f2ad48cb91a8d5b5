# SPDX-License-Identifier: Apache-2.0
"""The panel over real state files: it detects the death of each other service, and shows it in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from linetap.board.simulated import SimulatedPanel, leds_shown, press_button
from linetap.cardresult import CARD_WRONG
from linetap.panel.legend import LAMP_TEST_MS
from linetap.panel.service import Panel
from linetap_core import rundir
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM, ManualClock
from linetap_core.durable.smallfile import SmallFile
from linetap_core.records import Fault, PanelState
from linetap_core.service import START_AGAIN, STATE_KIND, ask_to_start_again
from state_files import Unit, recorder, reporter, unit

STATE = SmallFile(STATE_KIND, PanelState)
PROMISE_MS = 2000
TICK_MS = 100


class Room:
    def __init__(self, run_dir: Path, grace_ms: int = 10_000) -> None:
        self.run_dir = run_dir
        self.clock = ManualClock(monotonic_ns=100 * NS_PER_S)
        self.unit = Unit(run_dir, self.clock)
        self.unit.kill("panel")  # a real panel writes its state here
        self.panel = Panel(unit(run_dir), SimulatedPanel(run_dir), self.clock, grace_ms)

    def pass_ms(self, ms: int) -> list[str]:
        """Ticks the panel; returns the lit LEDs after each tick, as letters of R, C, F."""
        seen = []
        for i in range(ms // TICK_MS):
            if i % 3 == 0:
                self.unit.write()
            self.panel.tick()
            seen.append("".join(name[0].upper() for name, lit in leds_shown(self.run_dir).items() if lit))
            self.clock.advance(TICK_MS * NS_PER_MS)
        return seen

    def state(self) -> PanelState:
        return STATE.decode((self.run_dir / "panel" / "panel.json").read_bytes())


def test_all_well(run_dir: Path) -> None:
    room = Room(run_dir)
    assert set(room.pass_ms(3000)) == {"R"}
    assert room.state().unit_state == "ok"
    assert room.state().leds == {"run": True, "call": False, "fault": False}


def test_a_wrong_card_is_on_the_leds_until_the_next_one(run_dir: Path) -> None:
    """`provision apply` leaves a card's result next to the services' folder, before that folder exists."""
    (run_dir / "linetap").mkdir()
    room = Room(run_dir / "linetap")
    (run_dir / CARD_WRONG).touch()
    room.pass_ms(3000)
    assert room.state().unit_state == "config_wrong"
    (run_dir / CARD_WRONG).unlink()
    room.pass_ms(1000)
    assert room.state().unit_state == "ok"


@pytest.mark.parametrize(
    ("dead", "condition"),
    [
        (("capture@1", "recorder", "reporter"), "nothing_runs"),
        (("recorder",), "recorder_dead"),
        (("capture@1",), "capture_dead"),
        (("reporter",), "reporter_dead"),
    ],
)
def test_a_fault_is_on_the_leds_within_two_seconds_of_a_kill(
    run_dir: Path, dead: tuple[str, ...], condition: str
) -> None:
    room = Room(run_dir)
    room.pass_ms(3000)
    room.unit.kill(*dead)
    seen = room.pass_ms(PROMISE_MS)
    assert any("F" in leds for leds in seen)
    assert room.state().unit_state == condition
    assert room.state().fault is None


def test_a_codec_that_stalls_is_on_the_leds_within_two_seconds(run_dir: Path) -> None:
    room = Room(run_dir)
    room.pass_ms(3000)
    room.unit.stalled = {"capture@1", "recorder"}
    assert any("F" in leds for leds in room.pass_ms(PROMISE_MS))
    assert room.state().unit_state == "codec_stalled"


def test_the_state_file_changes_with_the_leds(run_dir: Path) -> None:
    room = Room(run_dir)
    room.pass_ms(1000)
    states = (recorder("ringing", "idle"), recorder("notice", "idle"), recorder("recording", "idle"))
    for wanted, state in zip(("ringing", "notice", "recording"), states, strict=True):
        room.unit.states["recorder"] = state
        room.unit.write()
        assert room.panel.tick().unit_state == room.state().unit_state == wanted
        room.clock.advance(TICK_MS * NS_PER_MS)


def test_a_fault_goes_when_it_is_cured(run_dir: Path) -> None:
    room = Room(run_dir)
    room.unit.states["reporter"] = reporter(connected=False)
    assert "" in room.pass_ms(3000)  # RUN winks
    assert room.state().unit_state == "broker_unreachable"
    room.unit.states["reporter"] = reporter(connected=True)
    room.pass_ms(400)
    assert set(room.pass_ms(3000)) == {"R"}


def test_before_the_others_have_spoken_it_is_starting_and_not_for_ever(run_dir: Path) -> None:
    room = Room(run_dir, grace_ms=5000)
    room.unit.kill("capture@1", "recorder", "reporter")
    assert set(room.pass_ms(4900)) == {"R", ""}
    assert room.state().unit_state == "starting"
    room.pass_ms(1000)
    assert room.state().unit_state == "nothing_runs"


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b'{"service": 1}', b"\xff\xfe"])
def test_a_damaged_state_file_is_a_service_that_has_not_spoken(run_dir: Path, damage: bytes) -> None:
    room = Room(run_dir, grace_ms=0)
    room.unit.kill("recorder")
    (rundir.make_service_folder(run_dir, "recorder") / "recorder.json").write_bytes(damage)
    room.pass_ms(500)
    assert room.state().unit_state == "recorder_dead"


def test_the_button_lights_all_and_a_stuck_one_hides_no_fault(run_dir: Path) -> None:
    room = Room(run_dir)
    room.unit.kill("capture@1", "recorder", "reporter")
    room.panel = Panel(unit(run_dir), SimulatedPanel(run_dir), room.clock, grace_ms=0)
    room.pass_ms(1000)
    press_button(run_dir, True)
    assert set(room.pass_ms(LAMP_TEST_MS)) == {"RCF"}
    assert set(room.pass_ms(1000)) == {"F"}
    press_button(run_dir, False)
    room.pass_ms(TICK_MS)
    press_button(run_dir, True)
    assert set(room.pass_ms(TICK_MS)) == {"RCF"}


class TestIdentify:
    @pytest.fixture
    def room(self, run_dir: Path) -> Room:
        room = Room(run_dir)
        room.pass_ms(1000)
        room.unit.states["recorder"] = recorder(
            "idle", "idle", identify_until_ns=room.clock.monotonic_ns() + 30 * NS_PER_S
        )
        room.pass_ms(300)  # until the panel reads the state
        return room

    def test_all_leds_flicker_together_for_a_second_in_six(self, room: Room) -> None:
        room.pass_ms(6000 - 300)
        for _ in range(2):
            seen = room.pass_ms(6000)
            assert seen[:10] == ["RCF", ""] * 5
            assert set(seen[10:]) == {"R"}
        assert room.state().unit_state == "identify"
        assert "looking for this unit" in room.state().meaning_en

    def test_it_ends_by_itself(self, room: Room) -> None:
        room.pass_ms(30_000)
        assert set(room.pass_ms(7000)) == {"R"}
        assert room.state().unit_state == "ok"

    def test_it_hides_no_fault(self, room: Room) -> None:
        """A fault at any moment is on the LEDs in time, and its blinks can be counted from the first."""
        for wait_ms in range(0, 6000, 700):
            room.unit.states["reporter"] = reporter()
            room.pass_ms(6000 + wait_ms)
            room.unit.kill("reporter")
            assert "RF" in room.pass_ms(PROMISE_MS + 700), "the state file was new for 1.5 s"
        whole = ["RF", "RF", "R", "R", "R"] * 3 + ["R"] * 14
        seen = room.pass_ms(12_000)
        assert any(seen[i : i + len(whole)] == whole for i in range(len(seen)))

    def test_a_dead_recorders_word_is_no_word(self, room: Room) -> None:
        room.unit.kill("recorder")
        room.pass_ms(3000)
        assert room.state().unit_state == "recorder_dead"


def test_the_blinks_can_be_counted(run_dir: Path) -> None:
    room = Room(run_dir)
    room.pass_ms(1000)
    room.unit.kill("recorder")
    seen = "".join("#" if "F" in leds else "." for leds in room.pass_ms(8000))
    assert "..........##...##" + "." * 16 in seen[5:]
    assert "##...##...##" not in seen


def test_the_last_state_file_says_what_it_ended_with(run_dir: Path) -> None:
    from linetap_core.errors import DeviceFault

    room = Room(run_dir)
    room.panel.fail(DeviceFault("gpio_lost", "GPIO6: gone"))
    assert room.state().fault == Fault("gpio_lost", "GPIO6: gone")


PROCESS = """
import sys
from pathlib import Path
import msgspec
from linetap.config.schema import Config
from linetap.panel.service import run
sys.exit(run(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Config)))
"""


def test_the_panel_starts_again_with_another_configuration(run_dir: Path) -> None:
    config = run_dir / "config.json"
    config.write_bytes(msgspec.json.encode(unit(run_dir)))
    ask_to_start_again(run_dir, SYSTEM, ["panel"])  # before the start: the panel ignores the request
    with subprocess.Popen([sys.executable, "-c", PROCESS, str(config)], stderr=subprocess.DEVNULL) as process:
        end_ns = SYSTEM.monotonic_ns() + 20 * NS_PER_S
        while not (run_dir / "panel" / "panel.json").exists() and SYSTEM.monotonic_ns() < end_ns:
            SYSTEM.sleep(0.02)
        try:
            assert process.poll() is None
            ask_to_start_again(run_dir, SYSTEM, ["panel"])
            assert process.wait(120) == START_AGAIN
        finally:
            process.kill()


def test_the_service_alone_in_the_world(run_dir: Path) -> None:
    """The panel as a real process without any other service: it runs, shows its state, stops on request, and leaves the
    LEDs dark.
    """
    config = run_dir / "config.json"
    config.write_bytes(msgspec.json.encode(unit(run_dir)))
    with subprocess.Popen([sys.executable, "-c", PROCESS, str(config)], stderr=subprocess.DEVNULL) as process:
        end_ns = SYSTEM.monotonic_ns() + 20 * NS_PER_S
        while not (run_dir / "panel" / "panel.json").exists() and SYSTEM.monotonic_ns() < end_ns:
            SYSTEM.sleep(0.02)
        try:
            state = STATE.decode((run_dir / "panel" / "panel.json").read_bytes())
            assert (state.unit_state, state.pid) == ("starting", process.pid)
        finally:
            os.kill(process.pid, signal.SIGTERM)
        assert process.wait(120) == 0
    assert STATE.decode((run_dir / "panel" / "panel.json").read_bytes()).leaving
    assert not any(leds_shown(run_dir).values())
