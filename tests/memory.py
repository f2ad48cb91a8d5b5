# SPDX-License-Identifier: Apache-2.0
"""What stands in the memory of another process."""

from __future__ import annotations

from pathlib import Path


def found_in(pid: int, wanted: bytes) -> bool:
    """Whether these bytes stand anywhere that the process can write to."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            where, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            first, end = (int(text, 16) for text in where.split("-"))
            memory.seek(first)
            try:
                held = memory.read(end - first)
            except OSError:  # mapped, and nothing behind it
                continue
            if wanted in held:
                return True
    return False


def peak_from_now(pid: int) -> None:
    """`peak_bytes` begins anew (proc_pid_clear_refs(5))."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_bytes(pid: int) -> int:
    """The most that was resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10
