# SPDX-License-Identifier: Apache-2.0
"""The watchdog from the first module to systemd: the initramfs's own script, which feeds a terminal.
tests/hil/test_hanging_start.py tests a machine that is no longer fed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

INITRAMFS = Path(__file__).resolve().parents[2] / "image/initramfs"
LIMIT_S = 60


class Device:
    """A character device: the terminal's far end receives the feeding, and ends when no process holds it open."""

    def __init__(self, folder: Path) -> None:
        self.far, self._near = os.openpty()
        tty.setraw(self._near)
        self.folder, self.path = folder, Path(os.ttyname(self._near))
        self._running: list[subprocess.Popen[str]] = []

    def start(self, then: str, told: str = "", device: Path | None = None) -> subprocess.Popen[str]:
        (self.folder / "cmdline").write_text(f"linetap.slot=a {told}\n")
        names = {"FEED": "feed", "CMDLINE": "cmdline", "SYSRQ": "sysrq"}
        environment = {name: str(self.folder / file) for name, file in names.items()}
        script = f'say() {{ echo "$*"; }}; slot=a; . {INITRAMFS}/watch.sh; {then}'
        running = subprocess.Popen(
            ["busybox", "sh", "-uc", script], env=os.environ | environment | {"WATCHDOG": str(device or self.path)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self._running.append(running)
        return running

    def first(self) -> bytes:
        """The first feeding. From here on the device ends when its feeder closes it."""
        found = self._read()
        os.close(self._near)
        self._near = -1
        return found

    def rest(self) -> bytes:
        """All that is fed until the device is closed."""
        return b"".join(iter(self._read, b""))

    def _read(self) -> bytes:
        ready, _, _ = select.select([self.far], [], [], LIMIT_S)
        assert ready, "nothing is fed, and nothing is closed"
        try:
            return os.read(self.far, 100)
        except OSError:  # the kernel's error for a terminal without a holder
            return b""

    def close(self) -> None:
        for running in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)  # the feeder too
            if running.stdin is not None and not running.stdin.closed:
                running.communicate(timeout=LIMIT_S)
        for number in (self.far, self._near):
            if number >= 0:
                os.close(number)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path)
    yield made
    made.close()


def ends(running: subprocess.Popen[str], say: str = "") -> str:
    out, err = running.communicate(say, timeout=LIMIT_S)
    assert not err, err
    assert running.returncode == 0
    return out


def test_the_watchdog_is_fed_and_given_to_systemd_running(device: Device) -> None:
    """A V would stop it, and systemd cannot open a device that is still held."""
    running = device.start("watch; read -r wait; unwatch; [ -e /proc/$$/fd/3 ] || echo over")
    fed = device.first() + device._read()
    assert ends(running, "go on\n") == "over\n"
    fed += device.rest()
    assert fed
    assert b"V" not in fed
    assert not (device.folder / "feed").exists()


def test_a_step_that_takes_too_long_is_named_and_feeds_nothing(device: Device) -> None:
    running = device.start('watch; within 2 "reading the root"; read -r hangs')
    device.first()
    device.rest()  # ends although the start still hangs
    assert running.poll() is None
    said = "slot a: reading the root takes longer than 2 s: the watchdog is not fed any more\n"
    assert ends(running, "\n") == said
    assert not (device.folder / "sysrq").exists(), "the watchdog ends it"


def test_each_step_has_its_own_time(device: Device) -> None:
    """The last limit counts, even if an earlier step had a longer one."""
    running = device.start('watch; within 3000 "mending"; within 1 "opening"; read -r hangs')
    device.first()
    device.rest()
    assert ends(running, "\n").startswith("slot a: opening takes longer than 1 s")


def test_without_a_watchdog_a_hanging_start_panics(device: Device) -> None:
    running = device.start('watch; within 1 "opening"; wait $feeder', device=device.folder / "none")
    assert ends(running).startswith("slot a: opening takes longer than 1 s")
    assert (device.folder / "sysrq").read_text() == "c\n"


def test_a_device_that_comes_later_is_fed(device: Device) -> None:
    """Its driver is a module, and the loading of modules may hang as well."""
    late = device.folder / "late"
    running = device.start(
        f'watch; within 1000 "loading"; ln -s {device.path} {late}; read -r wait; unwatch', device=late
    )
    assert device.first()
    assert ends(running, "\n") == ""


def test_nothing_waits_for_a_feeder_that_is_gone(device: Device) -> None:
    running = device.start('watch; { kill -9 $feeder; wait $feeder; } 2>&-; within 5 "on"; unwatch; echo over')
    assert ends(running) == "over\n"


def test_where_systemds_is_off_nothing_is_started(device: Device) -> None:
    running = device.start('watch; within 5 "on"; unwatch; echo over', told="systemd.watchdog_sec=0")
    assert ends(running) == "over\n"
    assert not (device.folder / "feed").exists()


def test_the_watchdog_begins_before_the_modules_and_ends_at_systemd() -> None:
    lines = (INITRAMFS / "init").read_text().splitlines()
    begins, modules = lines.index("watch"), next(n for n, line in enumerate(lines) if "insmod" in line)
    assert begins < modules
    assert lines[-2] == "unwatch"
    assert lines[-1].startswith("exec switch_root")
