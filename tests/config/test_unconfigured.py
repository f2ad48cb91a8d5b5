# SPDX-License-Identifier: Apache-2.0
"""A service whose configuration is missing, empty or wrong waits under systemd, reports it once, and starts when it is
valid. By hand it prints the same and ends. Under a real systemd: tests/systemd/test_rotten.py.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config_file import text
from linetap import standby
from linetap_core.records import CaptureState, RecorderState, ReporterState, ServiceState
from linetap_core.service import START_AGAIN, credential, read_state
from unit_rig import make_unit

LIMIT_S = 60
SERVICES: dict[str, tuple[str, type[ServiceState]]] = {
    "capture": ("capture@1", CaptureState), "recorder": ("recorder", RecorderState),
    "reporter": ("reporter", ReporterState),
}  # fmt: skip


@pytest.fixture
def systemd(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(f"{run_dir}/notify")
        made.settimeout(LIMIT_S)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{run_dir}/notify")
        yield made


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_waits_and_begins_with_a_right_configuration(
    tmp_path: Path, run_dir: Path, systemd: socket.socket, service: str
) -> None:
    """It reports to systemd that it works; otherwise it would be restarted forever."""
    file, (name, kind) = run_dir / "unit.toml", SERVICES[service]
    good = text(make_unit(tmp_path, run_dir).config)
    file.write_text("speed = 3\n" + good)
    command = [sys.executable, "-m", "linetap", service, "--config", str(file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert [systemd.recv(64) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        state = read_state(run_dir, name, kind)
        assert state is not None
        assert state.fault is not None
        assert (state.fault.code, "unknown key speed" in state.fault.text) == ("bad_input", True)
        file.write_text(good)
        assert process.wait(LIMIT_S) == START_AGAIN
        assert process.stderr is not None
        assert process.stderr.read().count("bad_input: ") == 1
    finally:
        process.kill()
        process.communicate(timeout=LIMIT_S)


@pytest.mark.parametrize("content", [None, "", "[board\n"])
def test_by_hand_it_ends(run_dir: Path, monkeypatch: pytest.MonkeyPatch, content: str | None) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    file = run_dir / "unit.toml"
    if content is not None:
        file.write_text(content)
    command = [sys.executable, "-m", "linetap", "recorder", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, str(file) in done.stderr, "Traceback" in done.stderr) == (2, True, False)
    assert standby.run_dir_of(file) == Path("/run/linetap")


def test_what_stands_for_a_key_that_is_gone_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SetCredential= of the unit files; the error then names the missing file."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    own = Path("/etc/linetap/unit.key")
    assert credential(own) == own
    (tmp_path / "unit.key").write_bytes(b"-")
    assert credential(own) == own
    (tmp_path / "unit.key").write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert credential(own) == tmp_path / "unit.key"
    for service in ("recorder", "reporter"):
        text = (Path(__file__).parents[2] / f"systemd/linetap-{service}.service").read_text()
        assert ".key:-\n" in text
