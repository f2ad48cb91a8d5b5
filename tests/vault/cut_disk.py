# SPDX-License-Identifier: Apache-2.0
"""Power cuts below the file calls: after the n-th change of a disk nothing is written, and unsynced changes may be
undone.

Unlinks, renames and removed folders of a directory are durable when that directory was synced; a cut undoes the last
few of the others, as a journalling file system does, or any few of them, as one without order might.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHANGES = ("unlink", "rmdir", "rename", "fsync", "fdatasync", "pwrite", "write")


class PowerCut(BaseException):
    """Never caught: no later code runs."""


@dataclass
class _Change:
    folder: str
    undo: Callable[[], None]


class CutDisk:
    def __init__(self, disk: Path, monkeypatch: pytest.MonkeyPatch, random_: random.Random) -> None:
        """`disk`: the folder on the disk. Files elsewhere are in RAM, and do not count."""
        self._disk = str(disk.resolve())
        self._random = random_
        self._left: int | None = None
        self._pending: list[_Change] = []
        self.cuts = 0
        for name in CHANGES:
            monkeypatch.setattr(os, name, self._counted(name, getattr(os, name)))

    def cut_after(self, changes: int) -> None:
        self._left = changes

    def spare(self) -> None:
        """No further cut."""
        self._left = None

    def power_back(self) -> None:
        """Restores the power: only some of the unsynced writes are on the disk."""
        self._left = None
        self.cuts += 1
        pending, self._pending = self._pending, []
        if self._random.random() < 0.5:
            pending = pending[self._random.randint(0, len(pending)) :]
        else:
            pending = [change for change in pending if self._random.random() < 0.5]
        for change in reversed(pending):
            try:
                change.undo()
            except OSError:  # into a removed folder
                continue

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        notes: dict[str, Callable[..., _Change | None]] = {
            "unlink": self._note_unlink, "rmdir": self._note_rmdir, "rename": self._note_rename,
        }  # fmt: skip
        note = notes.get(name)

        def call(*args: Any, **more: Any) -> Any:
            if self._left is not None:
                if self._left <= 0:
                    raise PowerCut
                self._left -= 1
            change = note(*args) if note else None
            done = real(*args, **more)
            if change is not None and change.folder.startswith(self._disk):
                self._pending.append(change)
            if name == "fsync":
                folder = os.readlink(f"/proc/self/fd/{args[0]}")
                self._pending = [change for change in self._pending if change.folder != folder]
            return done

        return call

    def _note_unlink(self, path: str | Path) -> _Change | None:
        try:
            data = Path(path).read_bytes()
        except OSError:
            return None
        return _Change(_folder(path), lambda: _put(path, data))

    def _note_rmdir(self, path: str | Path) -> _Change:
        return _Change(_folder(path), lambda: Path(path).mkdir())

    def _note_rename(self, source: str | Path, target: str | Path) -> _Change:
        try:
            before: bytes | None = Path(target).read_bytes()
        except OSError:
            before = None

        def undo() -> None:
            if before is not None:
                _put(target, before)
            else:
                Path(target).unlink()

        del source
        return _Change(_folder(target), undo)


def _folder(path: str | Path) -> str:
    return str(Path(path).parent.resolve())


def _put(path: str | Path, data: bytes) -> None:
    with Path(path).open("wb") as file:
        file.write(data)
