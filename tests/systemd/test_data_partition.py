# SPDX-License-Identifier: Apache-2.0
"""The mount of the data partition under systemd, if its check does not end by itself: by the time limit, as on a card
that answers each read after seconds, or killed. The partition is a device node without a driver; e2fsck is replaced.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from guest import Guest, guest, skip_reason

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))
IMAGE = Path(__file__).resolve().parents[2] / "image/root"
UNIT, PLACE = "data-linetap.service", "/var/lib/linetap"
SOON = "[Service]\nTimeoutStartSec=2\nTimeoutStopSec=2\n"
HANGS, IS_KILLED, IS_WHOLE = "exec sleep 600", "kill -9 $PPID", "exit 0"
USERS = "echo linetap-recorder:x:990:991::/:/bin/false >>/etc/passwd; echo linetap:x:991: >>/etc/group"
RECORDER = ("User=linetap-recorder", "Group=linetap", "StateDirectory=linetap/vault linetap/config")
MOUNTS = """#!/bin/sh
case "$*" in
  *ext4*)
    echo "$4" >/run/data-options
    /usr/bin/mount -t tmpfs data /var/lib/linetap || exit
    [ ! -d /run/card ] || cp -a /run/card/. /var/lib/linetap
    exit
    ;;
esac
exec /usr/bin/mount "$@"
"""


@pytest.fixture
def unit() -> Iterator[Guest]:
    with guest(installed=False) as made:
        shutil.copytree(IMAGE / "usr/lib/linetap", made.root / "usr/lib/linetap")
        lines = (IMAGE / "etc/systemd/system" / UNIT).read_text().splitlines(keepends=True)
        without_udev = "".join(line for line in lines if "by\\x2dpartlabel" not in line)  # which would make the device
        made.write(f"/etc/systemd/system/{UNIT}", without_udev)
        made.write(f"/etc/systemd/system/{UNIT}.d/99-test.conf", SOON)
        made.write("/usr/local/sbin/mount", MOUNTS, 0o755)
        made.write("/usr/local/sbin/resize2fs", "#!/bin/sh\n", 0o755)
        made.boot()
        made.run("sh", "-c", USERS)
        made.run("sh", "-c", "mkdir -p /dev/disk/by-partlabel && mknod /dev/card b 240 0")
        made.run("ln", "-s", "/dev/card", "/dev/disk/by-partlabel/linetap-data")
        yield made


def mounted(unit: Guest) -> str:
    return unit.run("findmnt", "-n", "-o", "SOURCE", PLACE, check=False)


def start(unit: Guest, check: str) -> None:
    unit.run("sh", "-c", f"printf '#!/bin/sh\\n{check}\\n' >/run/e2fsck && chmod 755 /run/e2fsck")
    unit.run("ln", "-sf", "/run/e2fsck", "/usr/local/sbin/e2fsck")
    unit.run("systemctl", "start", UNIT, check=False)


@pytest.mark.parametrize("check", [HANGS, IS_KILLED])
def test_calls_are_kept_in_ram_when_the_check_does_not_end(unit: Guest, check: str) -> None:
    start(unit, check)
    assert unit.property(UNIT, "ActiveState") == "failed"
    assert mounted(unit) == "linetap-lost", "room for calls, and the alert data_lost"
    unit.run("test", "-e", "/run/linetap-data-lost")


def test_a_partition_that_is_mounted_stays_so_until_the_shutdown(unit: Guest) -> None:
    start(unit, IS_WHOLE)
    assert (unit.property(UNIT, "ActiveState"), mounted(unit)) == ("active", "data")
    unit.run("systemctl", "stop", UNIT)
    assert mounted(unit) == "data", "unmounted by systemd, and not replaced"


def test_foreign_objects_at_the_top_of_the_partition_are_moved_away(unit: Guest) -> None:
    """systemd follows a link there and changes owners behind it; in place of a FIFO no folder could be made."""
    unit.run("mkdir", "-p", "/run/card/vault/log", "/run/card/lost+found", "/run/linetap")
    unit.run("sh", "-c", "echo kept >/run/card/vault/log/head.json; echo 1 >/run/card/boots.json")
    unit.run("sh", "-c", "cd /run/card && mkfifo learned journal && ln -s /run/linetap config && echo x >reporter")
    unit.run("ln", "-s", "/etc", "/run/card/a\nb\x1b[2J")
    unit.run("ln", "-s", "/run/linetap", "/run/card/left")
    unit.run("sh", "-c", "seq -f /run/card/f%g 300 | xargs mkfifo")
    start(unit, IS_WHOLE)
    assert (unit.property(UNIT, "ActiveState"), mounted(unit)) == ("active", "data")
    there = set(unit.run("ls", "-A", PLACE).split())
    assert there == {"vault", "lost+found", "boots.json", "left"}
    assert unit.run("cat", f"{PLACE}/vault/log/head.json") == "kept"
    assert len(unit.run("sh", "-c", f"ls {PLACE}/left/*/").splitlines()) >= 305
    assert unit.run("ls", "/run/linetap") == "", "no link is followed"
    said = unit.run("cat", "/run/linetap-left").splitlines()
    assert len(said) == 20
    assert all(line.isprintable() for line in said)
    assert {"nosymfollow", "nodev", "errors=remount-ro"} <= set(unit.run("cat", "/run/data-options").split(","))


def test_a_partition_as_a_unit_writes_it_is_left_as_it_is(unit: Guest) -> None:
    unit.run("mkdir", "-p", "/run/card/vault", "/run/card/learned", "/run/card/journal")
    unit.run("sh", "-c", "echo 1 >/run/card/boots.json")
    start(unit, IS_WHOLE)
    assert set(unit.run("ls", "-A", PLACE).split()) == {"vault", "learned", "journal", "boots.json"}
    unit.run("test", "!", "-e", "/run/linetap-left")


def test_a_vault_that_was_copied_as_root_is_the_recorder_s_again(unit: Guest) -> None:
    """systemd left it, because the folder at the top was the recorder's already."""
    unit.run("mkdir", "-p", "/run/card/vault/log", "/run/card/vault/2026/12/02/call", "/run/card/config")
    unit.run("sh", "-c", "echo x >/run/card/vault/log/leaves.jsonl; chmod 0 /run/card/vault/log/leaves.jsonl")
    unit.run("chmod", "0500", "/run/card/vault/2026")
    unit.run("chown", "linetap-recorder:linetap", "/run/card/vault", "/run/card/config")
    start(unit, IS_WHOLE)
    unit.run("systemd-run", "--wait", *(f"--property={each}" for each in RECORDER), "/bin/true")
    names = ("vault", "vault/log", "vault/log/leaves.jsonl", "vault/2026", "vault/2026/12/02/call", "config")
    found = unit.run("stat", "-c", "%U:%G %a", *(f"{PLACE}/{name}" for name in names)).splitlines()
    assert {line.split()[0] for line in found} == {"linetap-recorder:linetap"}
    assert [line.split()[1][0] for line in found] == ["7", "7", "6", "7", "7", "7"]
