# SPDX-License-Identifier: Apache-2.0
"""An attacker with access to the card for a minute writes files onto its state partition with stock debugfs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from machine import Machine, partition
from rig import BOOT, PROVISION_S, Office, checked, state_of

from linetap_core.records import CaptureState

pytestmark = pytest.mark.hil
RAN = "/run/evil"  # an executed file creates a file with this prefix
TOUCH = f"/bin/touch {RAN}"
SERVICE = f"[Service]\nType=oneshot\nExecStart={TOUCH}-{{}}\n"
FILES = {
    "etc/systemd/system/evil.service": SERVICE.format("unit"),
    "etc/systemd/system/multi-user.target.d/evil.conf": "[Unit]\nWants=evil.service\n",
    "etc/systemd/system/systemd-networkd.service.d/evil.conf": f"[Service]\nExecStartPre={TOUCH}-dropin\n",
    "etc/systemd/system-generators/evil": f"#!/bin/sh\n{TOUCH}-generator\n",
    "etc/systemd/network/10-linetap.network": "[Match]\nName=en*\n[Network]\nDHCPServer=yes\n",
    "etc/udev/rules.d/99-evil.rules": f'SUBSYSTEM=="mem", RUN+="{TOUCH}-rule"\n',
    "etc/udev/rules.d/69-linetap.rules": f'SUBSYSTEM=="mem", RUN+="{TOUCH}-listed-rule"\n',
    "etc/tmpfiles.d/evil.conf": f"f {RAN}-tmpfiles\n",
    "etc/sysusers.d/evil.conf": "u evil 0\n",
    "etc/modprobe.d/evil.conf": f"install vfat {TOUCH}-modprobe\n",
    "etc/ld.so.preload": "/state/evil.so\n",
    "etc/sudoers.d/evil": "ALL ALL=(ALL) NOPASSWD: ALL\n",
    "etc/pam.d/other": "auth sufficient pam_permit.so\n",
    "etc/passwd": "root::0:0::/root:/bin/sh\n",
    "etc/shadow": "root::19000::::::\n",
    "etc/rauc/keyring.pem": "mine\n",
    "etc/hostname": "\x1b[2J$(touch /run/evil-hostname)\n",
    "etc/chrony/sources.d/linetap.sources": "include /state/evil.conf\n",
    "etc/wpa_supplicant/wpa_supplicant-wlan0.conf": "load_dynamic_eap=/state/evil.so\n",
    "etc/machine-id": "../../../etc/shadow\n",
    "etc/python3.13/sitecustomize.py": f"open('{RAN}-python', 'w')\n",
    "etc/linetap/notices/ko.wav": "silence",
    "evil.so": "ELF",
}
LINKS = {
    "etc/systemd/system/multi-user.target.wants/evil.service": "../evil.service",
    "etc/linetap/ca.pem": "/run/systemd/system/evil-order.service",  # the order contains a file of this name
    "etc/linetap/pins.toml": "/etc/shadow",
    "config/unit.toml": "/run/evil-config",
}
HUGE = "etc/linetap/huge"
MOST_TOLD = 20


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office.new(tmp_path / "office")


def test_files_laid_onto_the_state_partition(machine: Machine, office: Office, tmp_path: Path) -> None:
    """files laid onto the state partition with debugfs: none runs or is read, the unit starts and says so"""
    lay(machine, tmp_path)
    machine.put("linetap.toml", office.card())
    machine.boot()
    assert machine.run("sh", "-c", f"ls -d {RAN}* 2>/dev/null; true") == ""
    machine.until(lambda: b"floor-03" in machine.read(f"{BOOT}/linetap-done.txt"), "provisioning goes on", PROVISION_S)
    assert machine.run("sh", "-c", "ls /run/systemd/system/evil* 2>/dev/null; true") == "", "by no link either"
    mounts = {line.split()[1]: line.split() for line in machine.read("/proc/self/mounts").decode().splitlines()}
    assert "/etc" not in mounts
    assert mounts["/"][2:4] == ["squashfs", mounts["/"][3]]
    assert mounts["/"][3].startswith("ro")
    kept = [line for line in mounts.values() if line[2] in ("ext4", "vfat", "overlay")]
    assert {line[1] for line in kept} == {"/state", "/var/lib/linetap", "/boot/firmware", "/etc/linetap"}
    for line in kept:
        assert {"nosuid", "nodev", "noexec"} <= set(line[3].split(",")), line
    assert "nosymfollow" in mounts["/state"][3]
    for path in ("passwd", "shadow", "hostname", "rauc/keyring.pem", "pam.d/other"):
        assert machine.read(f"/etc/{path}").decode() != FILES[f"etc/{path}"]
    for path in ("ld.so.preload", "sudoers.d/evil", "modprobe.d/evil.conf", "udev/rules.d/99-evil.rules"):
        assert machine.run("sh", "-c", f"ls /etc/{path} 2>/dev/null; true") == ""
    assert machine.run("hostname") == "linetap"
    assert len(machine.read("/etc/machine-id")) == 33
    assert machine.read("/etc/linetap/notices/ko.wav")[:4] == b"RIFF", "the image's notices, not the card's"
    assert b"[arm]" in machine.read("/etc/linetap/pins.toml")
    assert b"DHCP=yes" in machine.read("/etc/systemd/network/10-linetap.network"), "as the order says"
    told = machine.read("/run/linetap-left").decode().splitlines()
    assert len(told) >= MOST_TOLD
    machine.until(lambda: "card_changed" in checked(machine), "the check says so")
    machine.until(lambda: state_of(machine, "capture@1", CaptureState).fault is None, "capture works")
    machine.until(lambda: machine.run("systemctl", "is-active", "linetap-recorder") == "active", "it records")
    number = machine.read("/etc/machine-id")
    machine.off()

    machine.boot()
    assert machine.run("sh", "-c", f"ls -d {RAN}* 2>/dev/null; true") == ""
    assert machine.read("/etc/machine-id") == number
    assert "floor-03" in machine.run("cat", "/etc/linetap/unit.toml"), "the unit knows who it is"
    assert b"DHCP=yes" in machine.read("/run/linetap-etc/systemd/network/10-linetap.network")


def lay(machine: Machine, tmp_path: Path) -> None:
    """Writes the files; the machine is off."""
    (tmp_path / "huge").write_bytes(bytes(8 << 20))
    words, folders = [], set()
    for path in (*FILES, *LINKS, HUGE, "etc/linetap/unit.key"):
        for parent in reversed(Path(path).parents[:-1]):
            if parent not in folders:
                words.append(f"mkdir {parent}")
                folders.add(parent)
        if path in FILES:
            source = tmp_path / path.replace("/", "_")
            source.write_text(FILES[path])
            words += [f"write {source} {path}", f"set_inode_field {path} mode 0100755"]
        elif path in LINKS:
            words.append(f"symlink {path} {LINKS[path]}")
    words += [f"write {tmp_path / 'huge'} {HUGE}", "cd etc/linetap", "mknod unit.key p", "mknod tls.key c 1 3"]
    device = f"{machine.card}?offset={partition(machine.card, 'linetap-state')[0]}"
    done = subprocess.run(
        ["debugfs", "-w", "-f", "-", device],
        input="\n".join(words).encode(),
        capture_output=True,
        timeout=120,
        check=True,
    )
    listed = subprocess.run(
        ["debugfs", "-R", "stat etc/linetap/unit.key", device], capture_output=True, timeout=60, check=True
    )
    assert b"FIFO" in listed.stdout, done.stdout + done.stderr
