# SPDX-License-Identifier: Apache-2.0
"""One instance, one state file, one way to stop: with real processes, which they concern."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from linetap_core import rundir
from linetap_core.clock import NS_PER_MS, ManualClock
from linetap_core.durable.files import replace_in_ram
from linetap_core.errors import AlreadyRunning
from linetap_core.records import Fault, PanelState, ServiceState
from linetap_core.service import (
    AGAIN_AFTER_MS,
    DEAD_AFTER_MS,
    InstanceLock,
    StateFile,
    StateReader,
    alive,
    ask_to_start_again,
    read_state,
    remove_quietly,
    start_logging,
)

LIMIT_S = 120

# Prints "ready", then works until it is asked to stop.
STOPPABLE = """
import sys, select
from linetap_core.service import Stop
stop = Stop()
print("ready", flush=True)
while not stop.requested:
    select.select([], [], [], 0.05)
print("stopped", flush=True)
while "linger" in sys.argv:
    select.select([], [], [], 0.05)
"""
HOLDER = """
import sys
from pathlib import Path
from linetap_core.service import InstanceLock
with InstanceLock(Path(sys.argv[1]), "capture@1"):
    print("ready", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def script(code: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a script until the end of the test; yields after it has printed "ready"."""
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        watchdog = threading.Timer(LIMIT_S, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def state(progress: int, fault: Fault | None = None) -> PanelState:
    return PanelState(
        service="panel",
        version="1",
        pid=1,
        started_ns=0,
        mono_ns=0,
        progress=progress,
        fault=fault,
        unit_state="ok",
        leds={"run": True},
    )


# --- one instance ---------------------------------------------------------------------------------------------


def test_the_second_instance_says_who_holds_the_unit(run_dir: Path) -> None:
    with script(HOLDER, str(run_dir)) as first:
        with pytest.raises(AlreadyRunning) as caught, InstanceLock(run_dir, "capture@1"):
            pass
        wanted = f"{run_dir}/capture@1.lock: capture@1 is already running, held by pid {first.pid}"
        assert (str(caught.value), caught.value.exit_status) == (wanted, 2)
        with InstanceLock(run_dir, "capture@2"):
            pass  # another card is another instance


def test_a_killed_instance_leaves_no_lock(run_dir: Path) -> None:
    with script(HOLDER, str(run_dir)) as first:
        first.kill()
        first.wait(LIMIT_S)
        with InstanceLock(run_dir, "capture@1"):
            assert (run_dir / "capture@1.lock").read_text() == f"pid {os.getpid()}"
        with InstanceLock(run_dir, "capture@1"):
            pass  # given up at the end


# --- the state file -------------------------------------------------------------------------------------------


def test_what_is_written_is_read(run_dir: Path) -> None:
    clock = ManualClock(monotonic_ns=10**12)
    file = StateFile(run_dir, "panel", clock)
    assert file.due()
    file.write(state(7, Fault("codec_stalled", "no period for 1 s")))
    read = read_state(run_dir, "panel", PanelState)
    assert read is not None
    assert (read.progress, read.mono_ns, read.fault) == (7, 10**12, Fault("codec_stalled", "no period for 1 s"))
    assert [path.name for path in (run_dir / "panel").iterdir()] == ["panel.json"]
    general = read_state(run_dir, "panel", ServiceState)
    assert general is not None
    assert general.progress == 7


def test_four_times_a_second(run_dir: Path) -> None:
    clock = ManualClock()
    file = StateFile(run_dir, "panel", clock)
    written = 0
    for _ in range(1000):
        if file.due():
            file.write(state(written))
            written += 1
        clock.advance(NS_PER_MS)
    assert written == 4


def test_a_service_is_dead_when_its_state_is_old(run_dir: Path) -> None:
    clock = ManualClock(monotonic_ns=10**12)
    StateFile(run_dir, "panel", clock).write(state(0))
    read = read_state(run_dir, "panel", PanelState)
    clock.advance((DEAD_AFTER_MS - 1) * NS_PER_MS)
    assert alive(read, clock)
    clock.advance(NS_PER_MS)
    assert not alive(read, clock)
    assert not alive(None, clock)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"service": "panel"}', b"\xff\xfe"])
def test_what_cannot_be_read_is_no_state(run_dir: Path, data: bytes) -> None:
    (rundir.make_service_folder(run_dir, "panel") / "panel.json").write_bytes(data)
    assert read_state(run_dir, "panel", PanelState) is None
    assert read_state(run_dir, "none", PanelState) is None


def test_a_reader_never_sees_half_of_a_state(run_dir: Path) -> None:
    path = run_dir / "state"
    replace_in_ram(path, b"a" * 100_000)
    done = threading.Event()

    def writer() -> None:
        for i in range(300):
            replace_in_ram(path, (b"a", b"b")[i % 2] * 100_000)
        done.set()

    thread = threading.Thread(target=writer)
    thread.start()
    while not done.is_set():
        data = path.read_bytes()
        assert data in (b"a" * 100_000, b"b" * 100_000)
    thread.join(LIMIT_S)


def test_removing_what_is_not_there(run_dir: Path) -> None:
    remove_quietly(run_dir / "none")
    (run_dir / "one").touch()
    remove_quietly(run_dir / "one")
    assert list(run_dir.iterdir()) == []


# --- stopping --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop(number: signal.Signals) -> None:
    with script(STOPPABLE) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=LIMIT_S)
    assert (out, err, process.returncode) == (b"stopped\n", b"", 0)


def test_a_second_signal_ends_what_lingers() -> None:
    with script(STOPPABLE, "linger") as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == b"stopped\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == -signal.SIGTERM


# --- the log ----------------------------------------------------------------------------------------------------


def test_the_journal_reads_the_priority(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger("linetap")
    before = root.handlers, root.level
    try:
        logger = start_logging("panel")
        logger.debug("not told")
        logger.warning("odd")
        logger.error("bad")
        lines = capsys.readouterr().err.splitlines()
    finally:
        root.handlers, level = before
        root.setLevel(level)
    assert lines[0].startswith("<6>panel: panel ")
    assert lines[0].endswith(f", pid {os.getpid()}")
    assert lines[1:] == ["<4>panel: odd", "<3>panel: bad"]


def test_who_began_before_the_configuration_was_replaced_is_outdated(tmp_path: Path) -> None:
    clock = ManualClock()
    state = ServiceState(service="x", version="0", pid=1, started_ns=0, mono_ns=0, progress=0)
    files = {name: StateFile(tmp_path, name, clock) for name in ("recorder", "panel")}
    clock.advance(AGAIN_AFTER_MS * NS_PER_MS)
    ask_to_start_again(tmp_path, clock, ["recorder", "capture@1"])
    later = StateFile(tmp_path, "recorder", clock)
    for file in (*files.values(), later):
        assert not file.outdated
        file.write(state)
    assert [files["recorder"].outdated, files["panel"].outdated, later.outdated] == [True, False, False]


def test_who_is_outdated_says_that_it_will_be_back(run_dir: Path) -> None:
    clock = ManualClock()
    file = StateFile(run_dir, "panel", clock)
    file.write(state(1))
    clock.advance(AGAIN_AFTER_MS * NS_PER_MS)
    ask_to_start_again(run_dir, clock, ["panel"])
    before = read_state(run_dir, "panel", PanelState)
    file.write(state(2))
    after = read_state(run_dir, "panel", PanelState)
    assert before is not None
    assert after is not None
    assert (before.leaving, after.leaving) == (False, True)
    StateFile(run_dir, "panel", clock).write(state(3))
    successor = read_state(run_dir, "panel", PanelState)
    assert successor is not None
    assert not successor.leaving


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b'{"at_ns": "x", "services": []}'])
def test_a_damaged_word_about_the_configuration_ends_nobody(tmp_path: Path, damage: bytes) -> None:
    (rundir.make_service_folder(tmp_path, "recorder") / "renewed").write_bytes(damage)
    file = StateFile(tmp_path, "recorder", ManualClock())
    file.write(ServiceState(service="x", version="0", pid=1, started_ns=0, mono_ns=0, progress=0))
    assert not file.outdated


def test_a_reader_gives_what_was_written_last_however_often_it_looks(run_dir: Path) -> None:
    reader = StateReader(run_dir, "panel", PanelState)
    assert reader.read() is None
    file = StateFile(run_dir, "panel", ManualClock())
    for progress in range(20):  # also within one tick of the file system's clock
        file.write(state(progress))
        first, again = reader.read(), reader.read()
        assert first is not None
        assert first is again
        assert first.progress == progress
    (run_dir / "panel" / "panel.json").write_bytes(b"{")
    assert reader.read() is None
    (run_dir / "panel" / "panel.json").unlink()
    assert reader.read() is None
