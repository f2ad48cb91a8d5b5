# SPDX-License-Identifier: Apache-2.0
"""A call on a card whose meter loses frames, dies and returns, at a PBX that prints: both over pseudo-terminals. And
one whose meter dies for good.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tty
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from world import World

from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord, CaptureState, MeterState
from linetap_core.service import read_state
from memory import found_in
from readable_data import legible
from sealing_rig import run

SCENARIOS = Path(__file__).parents[1] / "scenarios"
SCRIPT, FAR_END = SCENARIOS / "metered.toml", SCENARIOS / "metered-far-end.toml"
NUMBER = "01098765432"
FAULTS = ("--drift-ppm", "60", "--lost", "0.02", "--noise", "0.02")
PRINTED = "I {begun:%m/%d %H:%M:%S} 00:00:17 101 {number:<28} {none:<10} {none:<5} 01\r\n"


@pytest.mark.timeout(300)
def test_the_meter_may_go_and_come_and_the_pbx_prints_afterwards(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    changes = {
        '# meter_port = "/dev/linetap/card1/meter"': f'meter_port = "{tmp_path}/meter"',
        '# port = "/dev/linetap/smdr"': f'port = "{os.ttyname(theirs)}"',
    }
    with World(tmp_path, SCRIPT, changes) as world:
        meter = world.start_meter(*FAULTS)
        world.start("capture")
        recorder = world.start("recorder")
        world.until(lambda: _meter(world).connected, "the meter is heard")
        world.until(lambda: world.line_is(1, "recording"), "the call is recorded")
        world.kill(meter)
        world.until(lambda: not _meter(world).connected, "its silence is noticed")
        world.start_meter(*FAULTS)
        world.until(lambda: _meter(world).connected, "another meter is heard")
        world.until(lambda: "ended" in world.reported(), "the caller has hung up")
        begun = datetime.fromisoformat(world.events()[0]["at"]).astimezone(ZoneInfo("Asia/Seoul"))
        os.write(ours, PRINTED.format(begun=begun, number=NUMBER, none="").encode())
        world.until(lambda: len(world.records()) == 1, "the call is sealed")
        (record,) = world.records()
        state = _meter(world)
        meta = _opened_meta(world, record)
        secret = (world.folder / "call.key").read_bytes().strip()
        assert found_in(recorder.process.pid, record.call_id.encode())
        assert not found_in(recorder.process.pid, secret), "the call's private key is in the recorder's memory"
        audio = world.audio(record)
        assert legible(world.config.vault_path, [NUMBER, "홍길동", secret.decode()], audio) == []
    os.close(ours)
    os.close(theirs)
    assert (record.direction, record.disposition) == ("in", "recorded")
    assert (record.answered_by, record.ended_by) == ("hook", "on_hook")
    assert record.audio is not None
    assert {gap.cause for gap in record.audio.gaps} <= {"overrun"}, "this machine may starve capture, nothing else"
    assert record.audio.samples > 13 * 8000  # of 14 s, from the beginning of the notice
    assert record.by_sound_s is not msgspec.UNSET
    assert 0 < record.by_sound_s < record.audio.samples / 8000
    assert state.frames_lost > 0
    assert meta.caller is not None
    assert meta.caller.number == NUMBER
    assert meta.smdr is not None
    assert NUMBER in meta.smdr


@pytest.mark.timeout(300)
def test_a_meter_that_dies_in_mid_call_and_never_comes_back(tmp_path: Path) -> None:
    """The call is recorded by its sound alone up to the busy tone, flagged and reported."""
    changes = {'# meter_port = "/dev/linetap/card1/meter"': f'meter_port = "{tmp_path}/meter"'}
    with World(tmp_path, FAR_END, changes) as world:
        meter = world.start_meter()
        world.start("capture")
        world.start("recorder")
        world.until(lambda: _meter(world).connected, "the meter is heard")
        world.until(lambda: world.line_is(1, "recording"), "the call is recorded")
        world.kill(meter)
        world.until(lambda: not _meter(world).connected, "its silence is noticed")
        told = subprocess.run(
            [sys.executable, "-m", "linetap", "check", "--config", world.config_path, "--json"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        world.until(lambda: len(world.records()) == 1, "the call is sealed")
        (record,) = world.records()
    assert told.returncode == 1
    assert '"meter_absent"' in told.stdout
    assert (record.direction, record.disposition, record.ended_by) == ("in", "recorded", "tone")
    assert record.notice is not None
    assert record.notice.proof == "full"
    assert record.audio is not None
    assert record.audio.samples > 13 * 8000  # of 14 s, from the beginning of the notice
    assert record.by_sound_s is not msgspec.UNSET
    assert record.by_sound_s > 8


def _meter(world: World) -> MeterState:
    state = read_state(world.run_dir, "capture@1", CaptureState)
    return MeterState(connected=False) if state is None or state.meter is None else state.meter


def _opened_meta(world: World, record: CallRecord) -> CallRecord:
    keys = world.folder
    recipe = (
        f"age -d -i {keys}/epoch.txt key.age | age -d -i {keys}/custodian.txt > {keys}/call.key;"
        f" age -d -i {keys}/call.key meta.age"
    )
    folder = world.config.vault_path / sealed.call_path(record.call_id)
    return msgspec.json.decode(run(["sh", "-c", recipe], cwd=folder).stdout, type=CallRecord)
