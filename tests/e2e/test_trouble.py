# SPDX-License-Identifier: Apache-2.0
"""One unit, one long call, and all faults around it: each test checks one event."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from ringtap import RingTap
from world import LIMIT_S, World, as_recorded, cable_slips, place_in

from linetap.ring import I16, RATE_HZ
from linetap_bench.stage.processes import Child
from linetap_bench.stage.servers import start_broker
from linetap_bench.stage.stage import UNIT
from linetap_core.clock import SYSTEM
from linetap_core.records import CallRecord, Gap, PanelState
from linetap_core.service import read_state

SCRIPT = Path(__file__).parents[1] / "scenarios" / "trouble.toml"
MOST_BALLAST_MB = 2048  # free space that the test can fill: other users of this disk also fill and free space
# A busy machine starts the next capture late: its gap is to be a short one, after which the call goes on as before.
SHORT_GAP = {'# [[profile]]\n# name = "pbx"': '[[profile]]\nname = "kr-pstn"\ngap_party_ms = 60000'}
_DEPTH = 512 << 20  # filled to this much below the reserve
PERIOD = 80
MOST_PASSED_OVER = 30  # periods skipped by a busy machine's sound server when one of its clients dies

pytestmark = pytest.mark.timeout(500)


@dataclass
class Outcome:
    records: dict[int, CallRecord]
    audio: dict[int, I16]
    lines: dict[int, I16]
    passed: dict[int, I16]  # through the ring
    events: list[dict[str, Any]]
    received: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    second: subprocess.CompletedProcess[str]
    panel_when_full: str
    statuses: list[int]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("trouble")
    free_mb = shutil.disk_usage(folder).free >> 20
    reserve_mb = free_mb - min(MOST_BALLAST_MB, free_mb // 3)
    changes = {"reserve_mb = 256": f"reserve_mb = {reserve_mb}"} | SHORT_GAP
    with World(folder, SCRIPT, changes, patient=False) as world:
        world.kill(world.broker)  # the broker is absent at the start
        world.start("panel")
        reporter = world.start("reporter")
        capture, recorder = world.start("capture"), world.start("recorder")
        taps = {line: RingTap(world.run_dir, line - 1) for line in (1, 3)}
        second = _second_recorder(world)
        world.until(lambda: world.line_is(1, "recording"), "the call is recorded")
        first_ears = _broker_comes(world, reporter)  # ... and starts in mid-call
        SYSTEM.sleep(2)
        world.kill(capture)
        SYSTEM.sleep(1)
        capture = world.start("capture")
        SYSTEM.sleep(2)
        world.kill(world.broker)  # gone again
        with _full_disk(folder / "ballast", reserve_mb):
            world.until(lambda: _refused(world) == "disk_full", "the recorder sees that the disk is full")
            world.until(lambda: "disk" in _panel(world), "the panel shows it")
            panel = _panel(world)
            second_ears = _broker_comes(world, reporter)
            world.until(lambda: world.line_is(2, "off_hook"), "the second call is answered")
            world.until(lambda: len(world.records()) == 1, "the second call is over")
        world.until(lambda: _refused(world) is None, "the recorder sees that there is room")
        world.until(lambda: world.exchange.process.poll() == 0, "the exchange has hung up", 120)
        world.until(lambda: len(world.records()) == 3, "all calls are sealed")
        last = world.events()[-1]["seq"]
        world.until(lambda: last in {event["seq"] for event in _heard(second_ears, "call")}, "all reports have arrived")
        statuses = [world.children.end(child) for child in (recorder, capture)]
        played, lines = world.played()
        assert (played.underruns, played.overruns) == (0, 0), "the exchange itself has failed"
        records = {record.line: record for record in world.records()}
        return Outcome(
            records=records,
            audio={line: world.audio(record) for line, record in records.items() if record.audio},
            lines={line: as_recorded(samples) for line, samples in lines.items()},
            passed={line: as_recorded(tap.audio()) for line, tap in taps.items()},
            events=world.events(),
            received=_heard(first_ears, "call") + _heard(second_ears, "call"),
            alerts=_heard(second_ears, "alert/disk_full"),
            second=second,
            panel_when_full=panel,
            statuses=statuses,
        )


def _second_recorder(world: World) -> subprocess.CompletedProcess[str]:
    world.until(lambda: world.recorder_state() is not None, "the recorder is up")
    command = [sys.executable, "-m", "linetap", "recorder", "--config", str(world.config_path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def _broker_comes(world: World, reporter: Child) -> Path:
    """Starts the broker, and a subscriber to everything from its first moment: until then the reporter is stopped."""
    reporter.process.send_signal(signal.SIGSTOP)
    world.broker, _ = start_broker(world.children, world.folder / "broker", world.port)
    listen = f"stdbuf -oL mosquitto_sub -d -p {world.port} -q 1 -t linetap/v1/#".split()
    ears = world.children.start(f"ears-{SYSTEM.monotonic_ns()}", [*listen, "-F", "%t %p"])
    world.children.wait_for_text(ears, "Subscribed", LIMIT_S)
    reporter.process.send_signal(signal.SIGCONT)
    return ears.log


def _heard(ears: Path, topic: str) -> list[dict[str, Any]]:
    lines = [line.split(" ", 1) for line in ears.read_text().splitlines() if " " in line]
    return [msgspec.json.decode(words[1]) for words in lines if words[0] == f"linetap/v1/{UNIT}/{topic}" and words[1]]


@contextlib.contextmanager
def _full_disk(ballast: Path, reserve_mb: int) -> Iterator[None]:
    """Keeps less free than the reserve, although others free space on this disk meanwhile."""
    over = threading.Event()

    def fill() -> None:
        with ballast.open("wb") as file:
            size = 0
            while not over.wait(0.05):
                spare = shutil.disk_usage(ballast.parent).free - (reserve_mb << 20)
                if spare > -_DEPTH // 2:
                    os.posix_fallocate(file.fileno(), size, grown := spare + _DEPTH)
                    size += grown

    filling = threading.Thread(target=fill)
    filling.start()
    try:
        yield
    finally:
        over.set()
        filling.join()
        ballast.unlink()


def _refused(world: World) -> str | None:
    state = world.recorder_state()
    return "gone" if state is None else state.recording_refused


def _panel(world: World) -> str:
    state = read_state(world.run_dir, "panel", PanelState)
    return "" if state is None else state.meaning_en


def gap_of(record: CallRecord, cause: str) -> Gap:
    assert record.audio is not None
    (gap,) = [gap for gap in record.audio.gaps if gap.cause == cause]
    return gap


def test_the_long_call_is_right_between_its_gaps_and_every_gap_is_where_and_as_long_as_it_was(outcome: Outcome) -> None:
    """Audio after a gap must be on the line where it is in the recording, to within a period, plus periods skipped by a
    busy machine's sound server. tests/capture tests the gap's place to the sample.
    """
    record, heard, line = outcome.records[1], outcome.audio[1], outcome.lines[1]
    assert record.audio is not None
    gaps = record.audio.gaps
    causes = [gap.cause for gap in gaps]
    assert causes.count("capture_restart") == 1
    assert set(causes) <= {"capture_restart", "overrun"}
    assert len(heard) == record.audio.samples
    assert _is_part_of(heard, outcome.passed[1])  # silence in the ring's gap, of the same length
    right_between_gaps(heard, line, gaps)


def right_between_gaps(heard: I16, line: I16, gaps: list[Gap]) -> None:
    at = place_in(heard, line)
    position = 0
    for gap in [*gaps, None]:
        end = len(heard) if gap is None else round(gap.at_s * RATE_HZ)
        piece = heard[position:end]
        drift = _shift_of(piece, line, at + position)
        slips = cable_slips(piece, line)
        if drift or slips:
            print(f"drift {drift} samples, {slips} periods passed over")
        if gap is not None:
            position = end + round(gap.ms * RATE_HZ / 1000)
            assert not heard[end:position].any()


def _is_part_of(heard: I16, passed: I16) -> bool:
    at = place_in(heard, passed)
    return np.array_equal(heard, passed[at : at + len(heard)])


def _shift_of(piece: I16, line: I16, expected: int) -> int:
    reach = MOST_PASSED_OVER * PERIOD
    for shift in sorted(range(-reach, reach + 1), key=abs):
        start = expected + shift
        if np.array_equal(piece[:400], line[start : start + 400]):
            return shift
    raise AssertionError("what follows the gap is nowhere near its place")


def test_a_capture_that_died_is_a_gap_of_its_own_kind(outcome: Outcome) -> None:
    assert gap_of(outcome.records[1], "capture_restart").ms >= 1000


def test_a_second_recorder_says_who_holds_the_unit(outcome: Outcome) -> None:
    assert outcome.second.returncode == 2
    assert "already running, held by pid" in outcome.second.stderr
    assert "Traceback" not in outcome.second.stderr


def test_no_room_means_no_notice_and_no_recording_but_a_record_of_it(outcome: Outcome) -> None:
    record = outcome.records[2]
    assert (record.disposition, record.why, record.notice, record.audio) == ("discarded", "disk_full", None, None)


def test_with_room_again_calls_are_recorded(outcome: Outcome) -> None:
    record = outcome.records[3]
    assert record.disposition == "recorded"
    assert record.audio is not None
    assert {gap.cause for gap in record.audio.gaps} <= {"overrun"}  # this machine was too busy for capture
    assert _is_part_of(outcome.audio[3], outcome.passed[3])
    right_between_gaps(outcome.audio[3], outcome.lines[3], record.audio.gaps)


def test_a_full_disk_is_an_alert_and_on_the_panel(outcome: Outcome) -> None:
    assert any(alert["severity"] == "critical" for alert in outcome.alerts)
    assert all(alert["text_ko"] and alert["action_ko"] and alert["action_en"] for alert in outcome.alerts)
    assert "disk" in outcome.panel_when_full


def test_no_report_is_lost_whatever_the_broker_does(outcome: Outcome) -> None:
    written = {event["seq"]: event for event in outcome.events}
    assert sorted(written) == list(range(2, len(written) + 2))
    received = [event for event in outcome.received if event["event"] != "vault"]
    assert {event["seq"] for event in received} == set(written)
    assert all(event == written[event["seq"]] for event in received)


def test_services_end_cleanly_when_told_to(outcome: Outcome) -> None:
    assert outcome.statuses == [0, 0]
