# SPDX-License-Identifier: Apache-2.0
"""A data partition with the flags and owners that only somebody with the card can give: the image's own script over
the kernel's ext4 on a loop device, in a mount namespace with folders of its own in place of this machine's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "blockcuts"))

from disk import make_file_system, require, run

from linetap_core.clock import SYSTEM

SCRIPT = Path(__file__).resolve().parents[2] / "image/root/usr/lib/linetap/data"
LIMIT_S, MIB = 120, 64
RECORDER, GROUP, STRANGER = 990, 991, 4242
LOOK = """
set -eu
mount -t tmpfs none /run; mount -t tmpfs none /var/lib
mkdir -p /dev/disk; mount -t tmpfs none /dev/disk; mkdir /dev/disk/by-partlabel
ln -s "$1" /dev/disk/by-partlabel/linetap-data
echo "linetap-recorder:x:990:991::/:/bin/false" >/run/passwd; echo linetap:x:991: >/run/group
mount --bind /run/passwd /etc/passwd; mount --bind /run/group /etc/group
sh "$2" >/run/said
sh -euc "$3"
"""


class Partition:
    def __init__(self, folder: Path) -> None:
        self.image, self.files = folder / "data.img", folder / "files"
        self.files.mkdir()
        self.image.touch()
        os.truncate(self.image, MIB << 20)
        make_file_system(str(self.image), MIB)

    def write(self, *commands: str) -> None:
        """Changes the partition as somebody with the card does: as root, in its top folder."""
        run("mount", "-o", "loop", self.image, self.files)
        try:
            for command in ("mkdir -p vault/log vault/2026/12/02/call config", *commands):
                run("sh", "-euc", f"cd {self.files}; {command}")
        finally:
            run("umount", self.files)

    def edit(self, *commands: str) -> None:
        subprocess.run(
            ["debugfs", "-w", "-f", "-", self.image], input="\n".join(commands), text=True, capture_output=True,
            timeout=LIMIT_S, check=True,
        )  # fmt: skip

    def start(self, then: str) -> list[str]:
        """The output of `then` after the script of a start, in a shell in its namespace."""
        device = run("losetup", "--find", "--show", self.image)
        try:
            words = ["unshare", "-m", "sh", "-c", LOOK, "sh", device, SCRIPT, f"cd /var/lib/linetap; {then}"]
            done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=LIMIT_S, check=False)
        finally:
            run("losetup", "--detach", device)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@pytest.fixture
def partition(tmp_path: Path) -> Partition:
    require()
    return Partition(tmp_path)


def test_flags_that_forbid_writing_are_taken_away(partition: Partition) -> None:
    """No service could write: an immutable `leaves.jsonl` or folder of today was enough."""
    partition.write(
        "echo 1 >vault/log/leaves.jsonl; chattr +a vault/log/leaves.jsonl; echo 1 >vault/clock.json",
        "chattr +i vault/clock.json vault/log vault/2026/12/02 vault/2026; chattr +a vault config; chattr +i .",
    )
    tried = "for place in . vault config vault/log vault/2026/12/02; do touch $place/new; rm $place/new; done"
    assert partition.start(f"{tried}; rm vault/clock.json; : >vault/log/leaves.jsonl; echo written") == ["written"]


def test_an_immutable_object_in_place_of_a_folder_is_moved_away(partition: Partition) -> None:
    partition.write("echo x >learned; chattr +i learned")
    assert partition.start("mkdir learned; cat left/*/learned") == ["x"]


def test_where_a_folder_cannot_be_made_calls_are_kept_in_ram(partition: Partition) -> None:
    """Of a FIFO no program can take the flag away; systemd would not start the service whose folder it is."""
    partition.write("rm -r vault; mkfifo vault other")
    partition.edit("sif /vault flags 0x10", "sif /other flags 0x10")
    assert partition.start("findmnt -no SOURCE . | tail -n 1; ls /run/linetap-data-lost") == [
        "linetap-lost", "/run/linetap-data-lost",
    ]  # fmt: skip


def test_where_nothing_can_be_written_calls_are_kept_in_ram(partition: Partition) -> None:
    """At an immutable link the kernel mounts the file system read-only: no call was recorded until a next start."""
    partition.write("ln -s /etc vault/log/x")
    partition.edit("sif /vault/log/x flags 0x10")
    assert partition.start("findmnt -no SOURCE . | tail -n 1; touch new") == ["linetap-lost"]


def test_a_foreign_object_that_nobody_needs_stays(partition: Partition) -> None:
    """Each start made an empty folder for it in left/."""
    partition.write("mkfifo other left; mkdir -p learned")
    partition.edit("sif /other flags 0x10", "sif /left flags 0x10")
    state = "findmnt -no FSTYPE . | tail -n 1; [ ! -e /run/linetap-data-lost ]; ls -A"
    assert partition.start(state) == ["ext4", "config", "learned", "left", "lost+found", "other", "vault"]


@pytest.mark.parametrize("place", ["vault", "vault/log", "vault/2026/12/02", "config"])
def test_a_folder_of_another_user_is_given_back(partition: Partition, place: str) -> None:
    """With every file below it: systemd would end at the first one that is immutable, and not start the recorder."""
    partition.write(
        f"chown -R {RECORDER}:{GROUP} vault config; echo x >vault/2026/12/02/call/key.age",
        f"chown {STRANGER}:{STRANGER} {place} vault/2026/12/02/call/key.age; chattr +i vault/2026/12/02/call/key.age",
        f"mkdir -p {place}; echo x >{place}/file; chown {STRANGER} {place}/file",
    )
    assert partition.start(f"find {place.partition('/')[0]} -printf '%U:%G\\n' | sort -u") == [f"{RECORDER}:{GROUP}"]


def test_a_partition_of_the_recorder_is_left_as_it_is(partition: Partition) -> None:
    """Each change would be a write at every start, and a new time of files that were set aside."""
    partition.write(f"echo x >vault/log/head.json; chown -R {RECORDER}:{GROUP} vault config")
    times = "find vault config -printf '%P %C@\\n' | sort"
    before = partition.start(times)
    SYSTEM.sleep(0.01)
    assert partition.start(times) == before
