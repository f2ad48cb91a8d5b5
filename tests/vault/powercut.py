# SPDX-License-Identifier: Apache-2.0
"""A disk after a power cut: synced data are there, and unsynced data in any state.

`powercut.c` records a process's file calls; `Disk` repeats them up to any point, and writes the result into a folder.
Each unsynced write is present, missing, or torn at any byte, independent of later ones; of the changes of names in a
folder the first ones are present, as with a file system's own journal.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_RECORD = struct.Struct("=cQqII")
SHIM = Path(__file__).with_name("powercut.c")


@dataclass(frozen=True, slots=True)
class Deed:
    """A recorded call. `kind`: Create, Write, Truncate, Sync, sync of the File system, Rename, Unlink, Make a
    directory.
    """

    kind: str
    inode: int
    offset: int
    one: bytes
    two: bytes


@dataclass(slots=True, eq=False)
class _File:
    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # data at an offset; None: cut to that size

    def sync(self) -> None:
        for offset, data in self.pending:
            _change(self.synced, offset, data)
        self.pending.clear()

    def after_cut(self, chance: random.Random) -> bytes:
        content = bytearray(self.synced)
        for offset, data in self.pending:
            fate = chance.choice(("there", "torn", "not there"))
            if fate == "torn" and data is not None:
                _change(content, offset, data[: chance.randrange(len(data) + 1)])
            elif fate == "there":
                _change(content, offset, data)
        return bytes(content)


@dataclass(slots=True)
class _Folder:
    """`names`: as seen by the process. `pending`: the atomic changes since the last sync."""

    names: dict[str, _File | None] = field(default_factory=dict)  # None is a folder
    synced: dict[str, _File | None] = field(default_factory=dict)
    pending: list[tuple[str, str | None, _File | None]] = field(default_factory=list)  # drop this, put that

    def change(self, drop: str, put: str | None = None, what: _File | None = None) -> None:
        self.pending.append((drop, put, what))
        _rename(self.names, *self.pending[-1])

    def sync(self) -> None:
        self.synced, self.pending = dict(self.names), []

    def after_cut(self, chance: random.Random) -> dict[str, _File | None]:
        found = dict(self.synced)
        for change in self.pending[: chance.randrange(len(self.pending) + 1)]:
            _rename(found, *change)
        return found


def _rename(names: dict[str, _File | None], drop: str, put: str | None, what: _File | None) -> None:
    names.pop(drop, None)
    if put is not None:
        names[put] = what


class Disk:
    """`root` and all below it, in the state at the process's start: empty, or as `root` is now."""

    def __init__(self, root: Path, *, as_it_is: bool = False) -> None:
        self._root = str(root)
        self._folders: dict[str, _Folder] = {self._root: _Folder()}
        self._inodes: dict[int, _File] = {}
        if as_it_is:
            self._load(root)

    @property
    def inodes(self) -> set[int]:
        return set(self._inodes)

    def do(self, deed: Deed) -> None:
        path = deed.one.decode() if deed.kind in "CRUMSF" else ""
        if path and path != self._root and not path.startswith(f"{self._root}/"):
            return
        above, name = os.path.split(path)
        match deed.kind:
            case "C":
                file = self._inodes[deed.inode] = _File()
                self._folders[above].change("", name, file)
            case "M":
                self._folders[above].change("", name)
                self._folders[path] = _Folder()
            case "U":
                self._folders[above].change(name)
            case "R":
                target, new = os.path.split(deed.two.decode())
                assert target == above, "the vault renames within a folder only"
                self._folders[above].change(name, new, self._folders[above].names[name])
            case "W" if deed.inode in self._inodes:
                self._inodes[deed.inode].pending.append((deed.offset, deed.one))
            case "T" if deed.inode in self._inodes:
                self._inodes[deed.inode].pending.append((deed.offset, None))
            case "S" if path in self._folders:
                self._folders[path].sync()
            case "S":
                self._inodes[deed.inode].sync()
            case "F":
                for folder in self._folders.values():
                    folder.sync()
                for file in self._inodes.values():
                    file.sync()

    def after_cut(self, chance: random.Random, target: Path) -> None:
        """Writes the state after the cut into a new folder `target`."""
        self._lay(self._root, target, chance)

    def _lay(self, path: str, target: Path, chance: random.Random) -> None:
        target.mkdir()
        for name, file in self._folders[path].after_cut(chance).items():
            if file is None:
                self._lay(f"{path}/{name}", target / name, chance)
            else:
                (target / name).write_bytes(file.after_cut(chance))

    def _load(self, folder: Path) -> None:
        here = self._folders[str(folder)]
        for entry in folder.iterdir():
            if entry.is_dir():
                here.change("", entry.name)
                self._folders[str(entry)] = _Folder()
                self._load(entry)
            else:
                file = self._inodes[entry.stat().st_ino] = _File(bytearray(entry.read_bytes()))
                here.change("", entry.name, file)
        here.sync()


def _change(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        content[offset:] = bytes(max(0, offset - len(content)))
        return
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def deeds(log: Path) -> Iterator[Deed]:
    with log.open("rb") as file:
        while head := file.read(_RECORD.size):
            kind, inode, offset, one, two = _RECORD.unpack(head)
            yield Deed(kind.decode(), inode, offset, file.read(one), file.read(two))


def build_shim(folder: Path) -> Path:
    """Builds the shared library; skips without a C compiler."""
    library = folder / "powercut.so"
    command = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SHIM)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    except FileNotFoundError:
        pytest.skip("no gcc: file calls cannot be written down")
    return library


def watched(shim: Path, root: Path, log: Path) -> dict[str, str]:
    """The environment of a process that is to be recorded."""
    return {**os.environ, "LD_PRELOAD": str(shim), "POWERCUT_ROOT": f"{root}/", "POWERCUT_LOG": str(log)}
