# SPDX-License-Identifier: Apache-2.0
"""The stage's child processes end with it, and the processor time of a process is counted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from linetap_bench.figures import cpu_s
from linetap_bench.stage.processes import ChildFailed, Processes
from linetap_bench.stage.servers import HOST, end_client, free_port
from linetap_core.clock import SYSTEM

WORKED_S = 0.05
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_everything_is_ended_when_the_block_is_left_by_an_error(tmp_path: Path) -> None:
    pids: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path, pids)
    assert len(pids) == 3
    assert not any(running(pid) for pid in pids)


def _interrupted(folder: Path, pids: list[int]) -> None:
    with Processes(folder, {}) as children:
        pids += [children.start(f"sleep-{i}", ["sleep", "60"]).process.pid for i in range(3)]
        assert all(running(pid) for pid in pids)
        raise KeyboardInterrupt


def test_who_does_not_hear_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linetap_bench.stage.processes.END_S", 0.3)
    with Processes(tmp_path, {}) as children:
        child = children.start("stubborn", [sys.executable, "-c", STUBBORN])
        children.wait_for_text(child, "up", 20)
        assert children.end(child) == -signal.SIGKILL


def test_a_child_that_fails_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with Processes(tmp_path, {"WORDS": "no such device"}) as children:
        child = children.start("capture", ["sh", "-c", "echo first; echo $WORDS; exit 3"])
        child.process.wait(120)
        with pytest.raises(ChildFailed, match=r"capture ended with 3.*\n  first\n  no such device"):
            children.check()


def test_the_end_of_the_servers_log_is_part_of_a_failure(tmp_path: Path) -> None:
    log = tmp_path / "jackd.log"
    log.write_text("Driver is not running\n")
    with Processes(tmp_path, {}, server_log=log) as children:
        child = children.start("bench", ["sh", "-c", "echo no device; exit 2"])
        child.process.wait(120)
        with pytest.raises(ChildFailed, match=r"(?s)  no device\n.*jackd.log:\n  Driver is not running"):
            children.check()


def test_a_child_that_does_not_come_up_is_not_waited_for(tmp_path: Path) -> None:
    with Processes(tmp_path, {}) as children:
        child = children.start("slow", ["sleep", "60"])
        with pytest.raises(ChildFailed, match=r"not ready within 0\.2 s"):
            children.wait_for_text(child, "ready", 0.2)


def test_children_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    parent = (
        "import sys; from pathlib import Path; from linetap_bench.stage.processes import Processes\n"
        "children = Processes(Path(sys.argv[1]), {})\n"
        "print(children.start('child', ['sleep', '60']).process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        _until(lambda: _command(pid) == "sleep")  # setpriv has executed its command
        process.kill()
    _until(lambda: _command(pid) != "sleep")


def _command(pid: int) -> str:
    """The process's name while it lives; a zombie's parent may be slow to fetch it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if stat.rpartition(") ")[2].startswith("Z") else stat.partition("(")[2].rpartition(")")[0]


def _until(what: object) -> None:
    assert callable(what)
    deadline = SYSTEM.monotonic_ns() + 20 * 10**9
    while not what():
        assert SYSTEM.monotonic_ns() < deadline
        SYSTEM.sleep(0.02)


def test_a_free_port_is_none_that_a_connection_may_have_before_somebody_listens() -> None:
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    ports = {free_port() for _ in range(50)}
    assert max(ports) < int(given[0])
    assert len(ports) > 40


class Reconnecting(mqtt.Client):
    """A client that, when it reconnects, waits until it is being stopped."""

    def __init__(self) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.reconnects, self.stops = threading.Event(), threading.Event()
        self.on_pre_connect = self._wait

    def _wait(self, *_: object) -> None:
        if self.socket() is None and threading.current_thread() is not threading.main_thread():
            self.reconnects.set()
            self.stops.wait(60)

    def loop_stop(self) -> MQTTErrorCode:
        self.stops.set()
        return super().loop_stop()


def test_an_mqtt_client_that_is_ended_while_it_reconnects_leaves_no_socket() -> None:
    client = Reconnecting()
    with socket.create_server((HOST, 0)) as server:
        client.connect(HOST, server.getsockname()[1])
        first, _ = server.accept()
        client.loop_start()
        first.close()
        assert client.reconnects.wait(60)
        end_client(client)
    left = client.socket()
    assert left is None or left.fileno() == -1


def test_a_thread_that_has_ended_is_counted() -> None:
    before = cpu_s(os.getpid())
    thread = threading.Thread(target=_work)
    thread.start()
    thread.join()
    assert cpu_s(os.getpid()) - before >= WORKED_S


def _work() -> None:
    began = time.thread_time()
    while time.thread_time() - began < WORKED_S:
        pass
