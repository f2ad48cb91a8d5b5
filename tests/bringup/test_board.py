# SPDX-License-Identifier: Apache-2.0
"""Reading the machine's model from the kernel's files: those of this machine, and those of a Pi written by the test."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from linetap.bringup import board
from linetap_core.clock import NS_PER_S
from linetap_core.vaultformat.bringupreport import BoardFacts
from machine_rig import lay

HERE = Path("/")
# A Raspberry Pi 4B, revision 1.5, as its kernel reports it; the codec's text is Debian's of a USB codec of 8 channels.
PI = {
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
    "proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
    "proc/cpuinfo": "processor\t: 0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n",  # Debian's kernel: no Revision line
    "proc/sys/kernel/osrelease": "7.3.4+deb13-arm64\n",
    "proc/asound/card1/id": "linetap1\n",
    "proc/asound/card1/stream0": (
        "Codec at usb-xhci, high speed : USB Audio\n\nCapture:\n  Interface 1\n    Altset 1\n    Format: S24_3LE\n"
        "    Channels: 8\n    Rates: 48000, 96000\n"
    ),
    "sys/class/rtc/rtc0/name": "rtc-rv3028 1-0052\n",
    "sys/class/watchdog/watchdog0/timeout": "15\n",
    "sys/class/watchdog/watchdog0/state": "active\n",
    "sys/class/watchdog/watchdog0/identity": "Broadcom BCM2835 Watchdog timer\n",
}


def ports() -> list[str]:
    found = board.open_ports(HERE)
    assert found.value is not None
    return found.note.split(", ") if found.value else []


ADDRESSES = [("0.0.0.0", socket.SOCK_STREAM, True), ("127.0.0.1", socket.SOCK_STREAM, False),
             ("0.0.0.0", socket.SOCK_DGRAM, True), ("127.0.0.2", socket.SOCK_DGRAM, False)]  # fmt: skip
if Path("/proc/net/if_inet6").exists():
    ADDRESSES += [("::", socket.SOCK_STREAM, True), ("::1", socket.SOCK_STREAM, False), ("::", socket.SOCK_DGRAM, True)]


@pytest.mark.parametrize(("address", "kind", "seen"), ADDRESSES)
def test_a_port_is_open_as_this_kernel_has_it(address: str, kind: int, seen: bool) -> None:
    with closing(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)) as opened:
        opened.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            opened.listen()
        name = ("tcp" if kind == socket.SOCK_STREAM else "udp") + ("6" if ":" in address else "")
        assert (f"{name} {opened.getsockname()[1]}" in ports()) is seen


def test_a_connection_is_no_open_port() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server, closing(socket.socket()) as client:
        client.connect(server.getsockname())
        taken, _ = server.accept()
        with closing(taken):
            assert f"tcp {client.getsockname()[1]}" not in ports()


def test_a_pi_says_what_it_is(tmp_path: Path) -> None:
    lay(tmp_path, PI)
    built = tmp_path / "proc/device-tree/chosen/bootloader/build-timestamp"
    built.parent.mkdir(parents=True)
    built.write_bytes((1_714_521_600).to_bytes(4))  # the tree's numbers are big-endian
    revision = tmp_path / "proc/device-tree/system/linux,revision"
    revision.parent.mkdir()
    revision.write_bytes(bytes.fromhex("00b03115"))
    facts = board.facts(tmp_path)
    assert (facts.model, facts.revision) == ("Raspberry Pi 4 Model B Rev 1.5", "b03115")
    assert (facts.kernel, facts.firmware, facts.clock_chip) == ("7.3.4+deb13-arm64", "2024-05-01", "rtc-rv3028 1-0052")
    assert facts.codecs == ["linetap1; rates 48000, 96000; channels 8; format S24_3LE"]
    assert not facts.tpm
    assert board.watchdog(tmp_path) == board.Measured(15, "Broadcom BCM2835 Watchdog timer")


def test_a_machine_that_has_none_of_it(tmp_path: Path) -> None:
    assert board.facts(tmp_path) == BoardFacts()
    assert board.watchdog(tmp_path).value is None
    assert board.open_ports(tmp_path).value is None


def test_a_watchdog_that_nobody_feeds_is_none(tmp_path: Path) -> None:
    lay(tmp_path, PI | {"sys/class/watchdog/watchdog0/state": "inactive\n"})
    assert board.watchdog(tmp_path).value == 0


def test_this_disk_counts_what_is_written() -> None:
    disk = board.disk_of(Path.cwd() / "not yet there", HERE)
    if not disk:
        pytest.skip("no disk: the project lies in RAM")
    before = board.load(HERE, [], disk, 0)
    place = Path.cwd() / f".written-{os.getpid()}"
    try:
        with place.open("wb") as file:
            file.write(os.urandom(4 << 20))
            os.fsync(file.fileno())
    finally:
        place.unlink()
    after = board.load(HERE, [], disk, 3600 * NS_PER_S)
    _, _, written = board.use(before, after)
    assert written.value is not None
    assert written.value >= 4.1, "an hour's worth, in MB"


def test_load_of_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two services that use 3 s of processor time in a minute, and 150 MB."""
    group = "sys/fs/cgroup/linetap.slice/linetap-{}.service/{}"
    files = {
        group.format("recorder", "cpu.stat"): "usage_usec 5000000\nuser_usec 1\n",
        group.format("recorder", "cgroup.procs"): "10\n11\n",
        group.format("panel", "cpu.stat"): "usage_usec 1000000\n",
        group.format("panel", "cgroup.procs"): "12\n",
    }
    files |= {f"proc/{pid}/smaps_rollup": f"55 rollup\nRss: 99 kB\nPss:  {51200} kB\n" for pid in (10, 11, 12)}
    lay(tmp_path, files)
    names = ["linetap-recorder.service", "linetap-panel.service"]
    monkeypatch.setattr(board, "_systemctl", lambda *_: [f"/linetap.slice/{name}" for name in names])
    first = board.load(tmp_path, names, "", 0)
    lay(tmp_path, {group.format("recorder", "cpu.stat"): "usage_usec 8000000\n"})
    cpu, memory, written = board.use(first, board.load(tmp_path, names, "", 60 * NS_PER_S))
    assert (cpu.value, memory.value, written.value) == (5.0, 150.0, None)


def test_without_systemd_the_reason_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    names = board.services()
    assert isinstance(names, str)
    assert board.ready(names) == board.Measured(None, names)
    assert board.failed().value is None
    cpu, memory, _ = board.use(board.load(HERE, names, "", 0), board.load(HERE, names, "", NS_PER_S))
    assert (cpu.value, memory.value) == (None, None)
