# SPDX-License-Identifier: Apache-2.0
"""The build writes the same root from every clone, independent of its umask and its files' times. image/confirm.sh
compares whole images.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from contents_rig import IMAGE

LIMIT_S = 120
TAKEN = ("image", "systemd", "hardware/pins.toml")
LAY = r"""
set -euo pipefail
eval "$(sed -n '/^umask /p' image/build.sh)"
ROOT=root VERSION=0.1.0 COMMIT=0f3a4bb30ad9
mkdir -p root/etc/systemd/system root/usr/lib
. image/steps/root.sh
lay_files
find root -printf '%P %y %m %l\n' | sort
"""


def laid(folder: Path, umask: int, stamp: float) -> str:
    """The tree from a clone made under this umask, by name, kind and mode."""
    clone = folder / f"{umask:03o}"
    for name in TAKEN:
        source, target = IMAGE.parent / name, clone / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (clone / "build" / "notices").mkdir(parents=True)
    (clone / "build" / "notices" / "ko.txt").write_text("이 통화는 녹음됩니다.\n")
    for path in [clone, *clone.rglob("*")]:
        if not path.is_symlink():
            path.chmod((0o777 if path.is_dir() or path.stat().st_mode & 0o100 else 0o666) & ~umask)
            os.utime(path, (stamp, stamp))
    done = subprocess.run(
        ["bash", "-c", f"umask {umask:03o}; {LAY}"], cwd=clone, capture_output=True, text=True, timeout=LIMIT_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("umask", [0o002, 0o027, 0o077, 0o000])
def test_another_umask_lays_the_same_modes(umask: int, tmp_path: Path) -> None:
    usual = laid(tmp_path, 0o022, 1_800_000_000)
    assert "usr/lib/linetap/slots f 755 " in usual.splitlines()
    assert {"etc/rauc/system.conf f 644 ", "etc/fstab f 644 "} <= {*usual.splitlines()}
    assert laid(tmp_path, umask, 1_800_000_000) == usual


SEAL = r"""
set -euo pipefail
fail() { echo "$*" >&2; exit 1; }
say() { :; }
BIN=.venv/bin UPDATE_KEY= OUT=out WORK=work ROOT=root KIT=kit SOURCE_DATE_EPOCH=1800000000
export SOURCE_DATE_EPOCH
mkdir -p work
. image/layout.sh
. image/steps/boot.sh
seal_slot 1
sha256sum <work/slot.img
cat work/cmdline.txt
"""


@pytest.mark.skipif(
    not (shutil.which("mksquashfs") and shutil.which("veritysetup")), reason="no mksquashfs or no veritysetup here"
)
def test_a_clock_before_the_commits_gives_the_same_slot(tmp_path: Path) -> None:
    """A root made a day before, in 2001, and at two times."""
    sealed = set[str]()
    for number, stamp in enumerate((1_799_913_600, 981_173_100, 1_800_100_000)):
        clone = tmp_path / str(number)
        shutil.copytree(IMAGE, clone / "image", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        (clone / "root" / "etc").mkdir(parents=True)
        (clone / "root" / "etc" / "hostname").write_text("linetap\n" * 1000)
        for path in (clone / "root" / "etc" / "hostname", clone / "root" / "etc", clone / "root"):
            os.utime(path, (stamp, stamp + number))
        done = subprocess.run(
            ["bash", "-c", SEAL], cwd=clone, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        assert done.returncode == 0, done.stderr
        sealed.add(done.stdout)
    assert len(sealed) == 1


def test_a_file_that_is_older_than_the_commit_gets_no_time_of_its_own(tmp_path: Path) -> None:
    """mksquashfs applies SOURCE_DATE_EPOCH to newer times, and leaves older ones unchanged."""
    laid(tmp_path, 0o077, 981_173_100)
    root = tmp_path / "077" / "root"
    old = [path for path in root.rglob("*") if path.lstat().st_mtime < 1_000_000_000]
    assert old == []
