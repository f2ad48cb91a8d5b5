# SPDX-License-Identifier: Apache-2.0
"""A disk whose power can be cut at any moment: the image's ext4 on a loop device on `forgetful.c`.

The options of mkfs and mount come from the scripts that make the image and mount its data partition.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from linetap_core.clock import NS_PER_S, SYSTEM

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CARD, DATA = ROOT / "image/steps/card.sh", ROOT / "image/root/usr/lib/linetap/data"
MIB = 192
READY_S = 60
UUID = "3b0d7f52-3b8e-4a53-9e0f-5a1c6a1f0c11"


def run(*words: object) -> str:
    return subprocess.run([*map(str, words)], check=True, capture_output=True, text=True, timeout=120).stdout.strip()


def require() -> None:
    """Skips the test without the necessary devices or root's rights."""
    for name in ("/dev/fuse", "/dev/loop-control"):
        if not Path(name).exists():
            pytest.skip(f"no {name}: this machine cannot cut the power of a block device")
    if run("id", "-u") != "0":
        pytest.skip("mounting a file system takes root")


def build(folder: Path) -> Path:
    program = folder / "forgetful"
    flags = run("pkg-config", "--cflags", "--libs", "fuse3").split()
    run("gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, HERE / "forgetful.c", *flags)
    return program


def mount_options() -> str:
    found = re.search(r"^readonly OPTIONS=(\S+)$", DATA.read_text(), re.MULTILINE)
    assert found, f"{DATA}: no mount options"
    return found[1]


def make_file_system(device: str, mib: int) -> None:
    function = run("sed", "-n", "/^extended()/,/^}/p", CARD)
    assert "mke2fs" in function, f"{CARD}: no function that makes the file system"
    run("bash", "-euc", f'{function}\nextended "$@"', "-", device, mib, "linetap-data", UUID)


class Disk:
    """An empty file system, mounted on `place` within the block: `with Disk(folder, place) as disk:`."""

    def __init__(self, folder: Path, place: Path, mib: int = MIB) -> None:
        self._fuse, self._place, self._mib = folder / "fuse", place, mib
        self._program = build(folder)
        self._stack = contextlib.ExitStack()
        self.cuts = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._fuse.mkdir()
            command = [str(self._program), str(self._fuse), str(self._mib << 20)]
            daemon = subprocess.Popen(command, start_new_session=True)
            stack.callback(_ended, daemon, self._fuse)
            deadline = SYSTEM.monotonic_ns() + READY_S * NS_PER_S
            while not (self._fuse / "disk").exists():
                assert daemon.poll() is None, "forgetful has ended"
                assert SYSTEM.monotonic_ns() < deadline, "forgetful does not come up"
                SYSTEM.sleep(0.01)
            device = run("losetup", "--find", "--show", self._fuse / "disk")
            stack.callback(run, "losetup", "--detach", device)
            make_file_system(device, self._mib)
            self._place.mkdir(exist_ok=True)
            stack.enter_context(_mounted(device, self._place))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def cut(self, image: Path, seed: int, unit: int) -> None:
        """Writes the disk's content after a power cut at this moment to `image`; the disk continues to work.

        A write can be torn at multiples of `unit` bytes.
        """
        (self._fuse / "control").write_text(f"cut {seed} {unit} {image}\n")
        self.cuts += 1

    def counts(self) -> tuple[int, int, int]:
        """Writes, flushes, and writes since the last flush."""
        writes, flushes, open_ = (self._fuse / "control").read_text().split()
        return int(writes), int(flushes), int(open_)


def _ended(daemon: subprocess.Popen[bytes], fuse: Path) -> None:
    daemon.terminate()  # FUSE unmounts at its end
    daemon.wait(READY_S)
    subprocess.run(["umount", "--lazy", str(fuse)], check=False, capture_output=True)
    shutil.rmtree(fuse, ignore_errors=True)


@contextlib.contextmanager
def _mounted(device: str, place: Path) -> Iterator[None]:
    run("mount", "-t", "ext4", "-o", mount_options(), device, place)
    try:
        yield
    finally:
        if subprocess.run(["umount", str(place)], check=False, capture_output=True).returncode:
            run("umount", "--lazy", place)  # a file is still open: the original error is more useful


@contextlib.contextmanager
def after_cut(image: Path, place: Path) -> Iterator[str]:
    """Mounts the image as the next boot does: e2fsck -p, which must succeed unattended, then mount."""
    device = run("losetup", "--find", "--show", image)
    try:
        checked = subprocess.run(["e2fsck", "-p", device], capture_output=True, text=True, timeout=120, check=False)
        assert checked.returncode < 4, f"e2fsck: {checked.stdout}{checked.stderr}"
        place.mkdir(exist_ok=True)
        with _mounted(device, place):
            yield checked.stdout
    finally:
        run("losetup", "--detach", device)
