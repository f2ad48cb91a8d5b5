# SPDX-License-Identifier: Apache-2.0
"""Notifications to systemd, over the socket that it provides (sd_notify(3))."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.durable.files import replace_in_ram
from linetap_core.records import Fault, ServiceState
from linetap_core.service import StateFile, credential
from linetap_core.watchdog import Supervisor


def state(progress: int, fault: Fault | None = None, mono_ns: int = 1) -> ServiceState:
    return ServiceState(
        service="panel", version="0", pid=1, started_ns=1, mono_ns=mono_ns, progress=progress, fault=fault
    )


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    name = f"{run_dir}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listener:
        listener.bind(name if request.param == "path" else f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", name if request.param == "path" else f"@{name}")
        yield listener


def heard(systemd: socket.socket) -> list[bytes]:
    said = []
    while True:
        try:
            said.append(systemd.recv(100))
        except BlockingIOError:
            return said


def test_ready_once_and_then_fed_by_progress_alone(systemd: socket.socket) -> None:
    supervisor = Supervisor()
    for progress, idle in ((1, False), (2, False), (2, False), (2, True), (3, True)):
        supervisor.notify(state(progress), idle)
    assert heard(systemd) == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_fed_four_times_in_what_systemd_waits(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    supervisor = Supervisor()
    for quarter in range(1, 81):  # of a second
        supervisor.notify(state(quarter, mono_ns=quarter * NS_PER_S // 4), idle=False)
    assert heard(systemd) == [b"READY=1"] + 7 * [b"WATCHDOG=1"]
    supervisor.notify(state(80, mono_ns=30 * NS_PER_S), idle=False)  # no progress: the next report is not sent
    supervisor.notify(state(80, mono_ns=33 * NS_PER_S), idle=False)
    supervisor.notify(state(81, mono_ns=33 * NS_PER_S + 1), idle=False)
    assert heard(systemd) == 2 * [b"WATCHDOG=1"]


def test_a_fault_is_neither_ready_nor_food(systemd: socket.socket) -> None:
    supervisor = Supervisor()
    supervisor.notify(state(1, Fault("codec_stalled", "")), idle=False)
    supervisor.notify(state(2, Fault("codec_stalled", "")), idle=True)
    assert heard(systemd) == []


def test_a_thread_that_hangs_is_no_food_whatever_the_others_do(systemd: socket.socket) -> None:
    supervisor = Supervisor()
    supervisor.notify(state(1), idle=False)
    supervisor.notify(state(2), idle=True, stands=True)
    assert heard(systemd) == [b"READY=1"]
    supervisor.notify(state(2), idle=True)
    assert heard(systemd) == [b"WATCHDOG=1"]


def test_with_the_state_file(systemd: socket.socket, run_dir: Path) -> None:
    StateFile(run_dir, "panel", SYSTEM).write(state(1))
    assert heard(systemd) == [b"READY=1"]


def test_nobody_listens_any_more(systemd: socket.socket) -> None:
    systemd.close()
    Supervisor().notify(state(1), idle=False)


def test_a_credential_is_systemds_copy_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, loaded = tmp_path / "unit.key", tmp_path / "credentials"
    loaded.mkdir()
    assert credential(key) == key
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(loaded))
    assert credential(key) == key
    (loaded / "unit.key").touch()
    assert credential(key) == loaded / "unit.key"


def test_what_is_private_is_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    for _ in range(2):
        replace_in_ram(path, b"x", private=True)
        assert path.stat().st_mode & 0o777 == 0o600
