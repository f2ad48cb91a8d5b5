# SPDX-License-Identifier: Apache-2.0
"""A disk that does not answer: a real ext4, frozen by the kernel (fsfreeze(8)). A writing process sleeps until it is
thawed, and ignores all signals.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

DISK_MB, COMMAND_S = 128, 30

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts and freezes a file system")


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[None]:
    """A separate ext4 at `folder`."""
    folder.mkdir(parents=True)
    image = folder.parent / "disk.img"
    image.write_bytes(b"")
    os.truncate(image, DISK_MB << 20)
    for command in (["mkfs.ext4", "-q", "-F", str(image)], ["mount", "-o", "loop", str(image), str(folder)]):
        subprocess.run(command, check=True, timeout=COMMAND_S)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=COMMAND_S)


@contextlib.contextmanager
def frozen(folder: Path) -> Iterator[None]:
    subprocess.run(["fsfreeze", "--freeze", str(folder)], check=True, timeout=COMMAND_S)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(folder)], check=True, timeout=COMMAND_S)
