# SPDX-License-Identifier: Apache-2.0
"""The removal of the disk after a press of ten seconds, and its possible failures."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_button import commands, press
from test_panel_service import Room

from linetap.board.simulated import SimulatedPanel
from linetap.panel.removal import CANCEL_AGAIN_MS, DONE, SEALED_MS, UNMOUNTED_MS, WANTED
from linetap.panel.service import Panel
from linetap.sockets import Listener
from linetap_core import rundir
from linetap_core.records import RECORDER_SOCKET, CancelRemoval, PrepareRemoval
from state_files import recorder, unit


class Disk:
    """The effects of systemd's two units that the panel can observe."""

    def __init__(self, run_dir: Path) -> None:
        self.path, self.root = rundir.service_folder(run_dir, "panel") / WANTED, rundir.make(run_dir / rundir.ROOT)

    def wanted(self) -> bool:
        return self.path.exists()

    def say(self, word: str) -> None:
        (self.root / DONE).unlink(missing_ok=True)
        (self.root / DONE).write_text(f"{word}\n")


@pytest.fixture
def room(run_dir: Path) -> Room:
    room = Room(run_dir)
    room.pass_ms(1000)
    return room


@pytest.fixture
def disk(run_dir: Path) -> Disk:
    return Disk(run_dir)


def ask(room: Room) -> None:
    press(room, 12_000)
    room.pass_ms(1000)


def test_the_calls_end_first_and_the_disk_goes_then(room: Room, disk: Disk) -> None:
    asked = Listener(room.run_dir / RECORDER_SOCKET)
    ask(room)
    assert commands(asked) == [PrepareRemoval()]
    asked.close()
    room.unit.states["recorder"] = recorder("idle", "idle", removal="ending", recording_refused="removal")
    room.pass_ms(5000)
    assert (room.state().unit_state, disk.wanted()) == ("removing", False)
    room.unit.states["recorder"] = recorder("idle", "idle", removal="ready", recording_refused="removal")
    room.pass_ms(1000)
    assert (room.state().unit_state, disk.wanted()) == ("removing", True)
    room.unit.kill("capture@1", "recorder", "reporter")
    room.pass_ms(5000)
    assert room.state().unit_state == "removing"
    disk.say("pull")
    room.pass_ms(2000)
    assert room.state().unit_state == "pull"
    assert "may be removed" in room.state().meaning_en
    seen = room.pass_ms(3000)
    assert (seen.count("RF"), seen.count("")) == (1, 29)
    room.panel.close()


def test_a_unit_that_runs_again_does_not_say_pull(room: Room, disk: Disk) -> None:
    ask(room)
    room.unit.states["recorder"] = recorder("idle", "idle", removal="ready")
    room.pass_ms(1000)
    disk.say("pull")
    room.unit.states["recorder"] = recorder("idle", "idle")
    room.pass_ms(1000)
    assert room.state().unit_state == "ok"


def test_a_dead_recorder_is_not_waited_for(room: Room, disk: Disk) -> None:
    room.unit.kill("recorder")
    room.pass_ms(2000)
    ask(room)
    assert disk.wanted()


def test_calls_that_are_not_sealed_are_not_waited_for_for_ever(room: Room, disk: Disk) -> None:
    ask(room)
    room.unit.states["recorder"] = recorder("idle", "idle", removal="ending")
    room.pass_ms(SEALED_MS - 5000)
    assert not disk.wanted()
    room.pass_ms(5000)
    assert disk.wanted()


@pytest.mark.parametrize("said", ["failed", "", "\n", None])
def test_what_could_not_be_unmounted_is_reported_until_somebody_has_seen_it(
    room: Room, disk: Disk, said: str | None
) -> None:
    ask(room)
    room.unit.states["recorder"] = recorder("idle", "idle", removal="ready")
    room.pass_ms(1000)
    if said is not None:
        disk.say(said)
    room.unit.states["recorder"] = recorder("idle", "idle")
    room.pass_ms(UNMOUNTED_MS + 1000)
    assert room.state().unit_state == "removal_failed"
    assert not disk.wanted()
    press(room, 300)
    room.pass_ms(1000)
    assert room.state().unit_state == "ok"


def test_where_nobody_unmounts_anything_calls_are_recorded_again(room: Room, disk: Disk) -> None:
    asked = Listener(room.run_dir / RECORDER_SOCKET)
    ask(room)
    room.unit.states["recorder"] = recorder("idle", "idle", removal="ready", recording_refused="removal")
    room.pass_ms(UNMOUNTED_MS + 2000)
    assert commands(asked) == [PrepareRemoval(), CancelRemoval()]
    assert not disk.wanted()
    asked.close()
    assert room.state().unit_state == "not_recording", "the truth before all else"
    room.panel.close()


def test_a_panel_that_restarts_continues_the_removal(room: Room, disk: Disk) -> None:
    """Otherwise the recorder would refuse all calls until its next start."""
    asked = Listener(room.run_dir / RECORDER_SOCKET)
    ask(room)
    room.unit.states["recorder"] = recorder("idle", "idle", removal="ending", recording_refused="removal")
    room.pass_ms(1000)
    room.panel.close()
    room.panel = Panel(unit(room.run_dir), SimulatedPanel(room.run_dir), room.clock)
    room.pass_ms(1000)
    assert (room.state().unit_state, disk.wanted()) == ("removing", False)
    room.unit.states["recorder"] = recorder("idle", "idle", removal="ready", recording_refused="removal")
    room.pass_ms(1000)
    assert disk.wanted()
    room.pass_ms(UNMOUNTED_MS + CANCEL_AGAIN_MS + 1000)  # nobody unmounts it, and the recorder misses the first command
    assert [*commands(asked), *commands(asked)] == [PrepareRemoval(), CancelRemoval(), CancelRemoval()]
    asked.close()
    room.panel.close()


def test_a_folder_that_cannot_be_written_is_reported(room: Room) -> None:
    (room.run_dir / "panel" / WANTED / "full").mkdir(parents=True)
    ask(room)
    room.unit.kill("recorder")
    room.pass_ms(3000)
    assert "removal_failed" in room.panel.tick().standing


def test_a_shorter_press_and_a_longer_one_touch_nothing(room: Room, disk: Disk) -> None:
    for ms in (500, 2000, 9000, 31_000):
        press(room, ms)
        room.pass_ms(1000)
    assert room.state().unit_state == "ok"
    assert not disk.wanted()
