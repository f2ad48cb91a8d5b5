# SPDX-License-Identifier: Apache-2.0
"""A full file system: a small tmpfs in a separate mount namespace, for a child process; and files that take no more."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

TIMEOUT_S = 120
RIGS = Path(__file__).parent


def run_on_small_disk(child: Path, folder: Path, size_kb: int, most_files: int = 0) -> dict[str, Any]:
    """The JSON printed by `child FOLDER`, with `folder` a tmpfs of `size_kb`, and of so many files unless 0. Skips if
    mounts are impossible."""
    command = unshare()
    if command is None:
        pytest.skip("neither root nor a user namespace: no file system can be mounted to be filled")
    mount = f'mount -t tmpfs -o size={size_kb}k,nr_inodes={most_files} full "$1" && exec "$2" "$3" "$1"'
    done = subprocess.run(
        [*command, "sh", "-c", mount, "sh", str(folder), sys.executable, str(child)],
        capture_output=True, timeout=TIMEOUT_S, check=False, text=True,
        env={"PYTHONPATH": f"{RIGS}:{child.parent}", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def unshare() -> list[str] | None:
    """The command for a namespace in which tmpfs can be mounted, as root or not; None if neither works."""
    for command in (["unshare", "-m"], ["unshare", "-rm"]):
        probe = [*command, "mount", "-t", "tmpfs", "probe", "/mnt"]
        if subprocess.run(probe, capture_output=True, timeout=TIMEOUT_S, check=False).returncode == 0:
            return command
    return None


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Writes beyond `size` are truncated and then fail with EFBIG: a real disk error at an exact byte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
