# SPDX-License-Identifier: Apache-2.0
"""Runs in a small file system filled to its last byte when calls are to be destroyed; prints the result."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path

from keeping_rig import Keeper
from linetap.recorder.vault.retention import destruction


def main(root: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as run_dir:
        unit = Keeper(root, Path(run_dir))
        calls = [unit.call(suffix=f"-{n}", samples=60_000) for n in range(4)]
        unit.ticks()
        seen: dict[str, object] = {"ballast": (unit.vault / destruction.BALLAST).exists()}
        fill(root / "other")
        unit.room = 0
        unit.passes(62)
        seen["destroyed"] = unit.destroyed() == unit.events("destroyed") == [call.call_id for call in calls]
        seen["gone"] = not any(unit.folder(call.call_id).exists() for call in calls)
        sys.stdout.write(json.dumps(seen))


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))
