# SPDX-License-Identifier: Apache-2.0
"""The kernel settings in force on a started unit: every one of docs/hardening.md, and the lockdown."""

from __future__ import annotations

from pathlib import Path

import pytest
from machine import Machine

pytestmark = pytest.mark.hil
CONF = [
    Path(__file__).parents[2] / name
    for name in ("image/root/etc/sysctl.d/60-hardening.conf", "systemd/sysctl.d/linetap.conf")
]


def test_kernel_is_closed_as_the_table_has_it(unit: Machine) -> None:
    """every sysctl of docs/hardening.md is in force, the kernel is locked down, and what it never needs is not there"""
    lines = [line for path in CONF for line in path.read_text().splitlines() if line and not line.startswith("#")]
    wanted = dict(line.removeprefix("-").split(" = ", 1) for line in lines)
    found = {name: unit.run("cat", f"/proc/sys/{name.replace('.', '/')}").strip() for name in wanted}
    assert found == wanted
    assert "[integrity]" in unit.run("cat", "/sys/kernel/security/lockdown")
    assert unit.run("systemctl", "show", "-P", "Result", "lockdown-linetap.service") == "success"
    assert unit.run("systemctl", "--failed", "--no-legend", "--plain") == ""
    for name in ("sctp", "tipc", "rds", "nfs", "usbhid", "rndis_host"):
        assert unit.run("find", "/usr/lib/modules", "-name", f"{name}.ko*") == "", name
    assert unit.run("find", "/usr/lib/modules", "-name", "overlay.ko*") != "", "as it is looked for"
