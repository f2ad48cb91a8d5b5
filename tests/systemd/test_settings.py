# SPDX-License-Identifier: Apache-2.0
"""Settings of the whole machine, which no guest may have: every name is a known one."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
CORES = [*Path("/usr/lib").glob("*/systemd/libsystemd-core-*.so"), Path("/usr/lib/systemd/systemd")]
WATCHDOG_S = 15  # longest time-out of the Pi's


def test_the_kernel_has_every_switch_that_is_set() -> None:
    lines = (SYSTEMD / "sysctl.d" / "linetap.conf").read_text().splitlines()
    switches = dict(line.split(" = ") for line in lines if line and not line.startswith("#"))
    assert int(switches["kernel.panic"]) > 0, "0 would hang for ever"
    for name, value in switches.items():
        assert (Path("/proc/sys") / name.replace(".", "/")).exists(), name
        assert value.isdecimal(), name


@pytest.mark.skipif(not CORES[-1].exists(), reason="there is no systemd here")
def test_systemd_knows_the_watchdogs_words() -> None:
    found = configparser.ConfigParser()
    found.optionxform = str  # type: ignore[method-assign,assignment]
    found.read(SYSTEMD / "system.conf.d" / "linetap.conf")
    assert found.sections() == ["Manager"]
    words = b"".join(path.read_bytes() for path in CORES if path.exists())
    for name in found["Manager"]:
        assert b"\0Manager\0" in words
        assert f"\0{name}\0".encode() in words, name
    assert 0 < int(found["Manager"]["RuntimeWatchdogSec"]) < WATCHDOG_S


@pytest.mark.skipif(shutil.which("udevadm") is None, reason="there is no udevadm here")
def test_udev_takes_the_rules() -> None:
    words = ["udevadm", "verify", "--resolve-names=never", str(SYSTEMD / "udev" / "70-linetap.rules")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
