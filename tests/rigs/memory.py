# SPDX-License-Identifier: Apache-2.0
"""Reads the memory of another process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path


def found_in(pid: int, *wanted: bytes) -> list[bytes]:
    """The wanted texts that are in writable memory of the process."""
    missing = list(wanted)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            where, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            first, end = (int(text, 16) for text in where.split("-"))
            memory.seek(first)
            try:
                held = memory.read(end - first)
            except OSError:  # mapped, without content
                continue
            missing = [one for one in missing if one not in held]
    return [one for one in wanted if one not in missing]


def spelled(number: str) -> list[bytes]:
    """A mobile number in the forms of people, pages and Python: a text with Korean has two bytes a character, one with
    an emoji four.
    """
    area, first, last = number[:3], number[3:-4], number[-4:]
    typed = [number, f"{area}-{first}-{last}", f"{area} {first} {last}", f"{area}.{first}.{last}"]
    typed += [f"+82{between}{area[1:]}{between}{first}{between}{last}" for between in ("", " ", "-")]
    return [text.encode(encoding) for text in typed for encoding in ("ascii", "utf-16-le", "utf-32-le")]


def referred_to(text: str) -> list[str]:
    """The live objects of this process that contain the text, with their referrers. The caller must have no other
    object with the text than this argument.
    """
    gc.collect()
    wide = text.encode()
    found = []
    for holder in gc.get_objects():
        for held in _held_by(holder):
            is_text = isinstance(held, str) and text in held
            if (is_text or (isinstance(held, bytes) and wide in held)) and held is not text and held is not wide:
                found.append(f"{type(holder).__name__}: {held!r}"[:300])
    return found


def _held_by(holder: object, deep: int = 3) -> Iterator[object]:
    """The texts within an object. gc does not track a dict or tuple of texts alone, so it is searched through its
    holder.
    """
    for held in gc.get_referents(holder):
        yield held
        if deep and isinstance(held, (dict, tuple)) and not gc.is_tracked(held):
            yield from _held_by(held, deep - 1)


def peak_from_now(pid: int) -> None:
    """Resets `peak_bytes` (proc_pid_clear_refs(5))."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_bytes(pid: int) -> int:
    """The peak of resident memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10
