# SPDX-License-Identifier: Apache-2.0
"""A state partition with damage that only a file system has, a lost inode, immutable files, a folder in many others:
the image's own scripts over the kernel's ext4 on a loop device."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "blockcuts"))

from disk import make_file_system, require, run

IMAGE = Path(__file__).resolve().parents[2] / "image"
STATE, KEEP, WATCH = IMAGE / "root/usr/lib/linetap/state", IMAGE / "initramfs/keep.sh", IMAGE / "initramfs/watch.sh"
LIMIT_S, MIB = 120, 64
CSUM_OFFSET = 8  # i_atime: a flipped bit of it does not match the checksum
IMMUTABLE = 0x80010  # with the flag of an extent tree
FILES = ("unit.key", "ca.pem")
DEPTH = 30  # folders, each twice in the one above: 2 ** DEPTH paths


class Partition:
    def __init__(self, folder: Path) -> None:
        self.place, self.run, self._image = folder / "state", folder / "run", folder / "state.img"
        for path in (self.place, self.run):
            path.mkdir()
        self._image.touch()
        os.truncate(self._image, MIB << 20)
        make_file_system(str(self._image), MIB)
        self.edit("mkdir /etc", "mkdir /etc/linetap", "mkdir /config", "mkdir /.work")
        for name in FILES:
            (folder / name).write_text(f"{name}\n")
            self.edit(f"write {folder / name} /etc/linetap/{name}")
        self.device = ""

    def edit(self, *commands: str) -> None:
        subprocess.run(
            ["debugfs", "-w", "-f", "-", self._image], input="\n".join(commands), text=True, capture_output=True,
            timeout=LIMIT_S, check=True,
        )  # fmt: skip

    def flip_inode(self, path: str) -> None:
        found = re.search(r"block (\d+), offset (0x[0-9a-f]+)", run("debugfs", "-R", f"imap {path}", self._image))
        assert found is not None
        with self._image.open("r+b") as file:
            file.seek(int(found[1]) * 4096 + int(found[2], 16) + CSUM_OFFSET)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))

    def mount(self) -> None:
        options = re.search(r'-o "\$KEEP,(\S+)"', KEEP.read_text())
        assert options is not None
        self.device = run("losetup", "--find", "--show", self._image)
        run("mount", "-t", "ext4", "-o", options[1], self.device, self.place)

    def unmount(self) -> None:
        subprocess.run(["umount", self.place], check=False, capture_output=True)
        if self.device:
            run("losetup", "--detach", self.device)
            self.device = ""

    def repair(self) -> str:
        """The initramfs's own step before the mount, whose root is this machine's."""
        script = f'NEW={self.run}; say() {{ echo "$*"; }}; mount() {{ :; }}; umount() {{ :; }}\n'
        script += f'chroot() {{ shift; "$@"; }}\n. {WATCH}\n. {KEEP}\nrepair {self._image}'
        return run("busybox", "sh", "-uc", script)

    def start(self) -> list[str]:
        """Mounts it and runs the script; returns its messages."""
        self.mount()
        assert self.run_script() == 0
        return (self.run / "linetap-left").read_text().splitlines()

    def run_script(self, *words: str) -> int:
        names = {"LINETAP_STATE": self.place, "LINETAP_RUN": self.run, "LINETAP_LOG": self.run / "kmsg"}
        environment = os.environ | {name: str(path) for name, path in names.items()} | {"LINETAP_LOOK_S": "1"}
        done = subprocess.run([STATE, *words], env=environment, capture_output=True, timeout=LIMIT_S, check=False)
        assert done.stderr == b""
        return done.returncode

    @property
    def files(self) -> Path:
        return self.place / "etc/linetap"


@pytest.fixture
def partition(tmp_path: Path) -> Iterator[Partition]:
    require()
    made = Partition(tmp_path)
    yield made
    made.unmount()


def test_one_lost_inode_costs_one_file(partition: Partition) -> None:
    """The whole partition was once replaced by a RAM disk: a unit without its key, for one bit of a certificate."""
    partition.flip_inode("/etc/linetap/ca.pem")
    partition.start()
    assert (partition.files / "unit.key").read_text() == "unit.key\n"
    with pytest.raises(OSError, match="Bad message"):
        (partition.files / "ca.pem").read_bytes()


def test_what_a_start_has_found_damaged_the_next_one_repairs(partition: Partition) -> None:
    partition.flip_inode("/etc/linetap/ca.pem")
    partition.start()
    partition.unmount()
    assert partition.repair() == "the state partition was repaired"
    assert partition.start() == []
    assert (partition.files / "ca.pem").read_text() == "ca.pem\n"
    (partition.files / "new").write_text("it is written again")
    partition.unmount()
    assert partition.repair() == "", "nothing to say of a whole one"


def test_an_immutable_folder_is_moved_away(partition: Partition) -> None:
    partition.edit("mkdir /etc/linetap/notices", f"sif /etc/linetap/notices flags {IMMUTABLE:#x}")
    partition.edit("symlink /etc/linetap/x.pem /etc/shadow", "mkdir /state")
    assert [line for line in partition.start() if "moved" in line] == [
        "moved to left/0: etc/linetap/notices", "moved to left/1: etc/linetap/x.pem",
    ]  # fmt: skip
    assert {path.name for path in partition.files.iterdir()} == {"unit.key", "ca.pem"}


@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_beside_an_immutable_object_the_units_own_files_are_copied(partition: Partition, kind: str) -> None:
    """No program can move it away, or take the flag from it. At such a link the kernel mounts all of it read-only."""
    make = "cd /etc/linetap\nmknod x p" if kind == "fifo" else "symlink /etc/linetap/x /etc/shadow"
    partition.edit(make, "sif /etc/linetap/x flags 0x10")
    partition.mount()
    assert (partition.run_script(), partition.run_script("rescue")) == (1, 0)
    copies = partition.run / "linetap-rescued/etc/linetap"
    assert {path.name: path.read_text() for path in copies.iterdir()} == {name: f"{name}\n" for name in FILES}


@pytest.mark.parametrize("above", ["/etc/dracut", "/etc/linetap/.new", "/etc/machine-id"])
def test_a_tree_without_an_end_holds_up_no_start(partition: Partition, above: str) -> None:
    """The script read it until the watchdog reset the machine, at each start."""
    folders = [f"{above}/d{number}" for number in range(DEPTH)]
    partition.edit(f"mkdir {above}", *(f"mkdir {folder}" for folder in folders))
    for folder, below in itertools.pairwise(folders):
        partition.edit(f"cd {folder}", f"ln {below} a", f"ln {below} b")
    said = partition.start()
    named = "not a unit's: folders without an end" if above == "/etc/dracut" else f"moved to left/0: {above[1:]}"
    assert named in said
    assert (partition.files / "unit.key").read_text() == "unit.key\n"
