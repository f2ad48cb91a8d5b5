# SPDX-License-Identifier: Apache-2.0
"""A package in a folder of its own in RAM (0700), gone at the end. All that lies there is encrypted or public."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from linetap_core.durable import privatefile
from linetap_core.evidence import closing
from linetap_core.evidence.release import Request
from linetap_desk.custody.tar import BadPackage, Source, members
from linetap_desk.release import files

RAM = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Package:
    folder: Path
    request: Request  # as it says of itself: the gate judges it before each step

    @property
    def request_file(self) -> Path:
        return self.folder / "request.json"

    def call(self, call_id: str) -> Path:
        return self.folder / "calls" / call_id

    def inner(self, call_id: str) -> Path:
        return self.folder / "inner" / f"{call_id}.age"

    def handed(self, call_id: str) -> Path | None:
        """What a custodian of a group, who came before, has left of it."""
        path = self.folder / "handed" / f"{call_id}.age"
        return path if path.exists() else None

    def closings(self) -> list[Path]:
        """One of each call that the desk has one of."""
        found = (self.folder / closing.FOLDER / f"{call.call_id}{closing.SUFFIX}" for call in self.request.calls)
        return [path for path in found if path.exists()]


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Gone by SIGTERM as well, while a ticket is asked for or a package fetched: nobody else has a handler by then."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        with tempfile.TemporaryDirectory(prefix="linetap-custody-", dir=RAM) as made:
            yield Path(made)
    finally:
        signal.signal(signal.SIGTERM, before)


def unpack(source: Source, folder: Path) -> Package:
    """BadPackage, NotReleased where its request is none, OSError where it cannot be read or written."""
    for name, content in members(source):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with privatefile.create(path) as file:
            file.writelines(content)
    return _complete(folder)


def _complete(folder: Path) -> Package:
    if not (folder / "request.json").exists():
        raise BadPackage("there is no request.json in it")
    package = Package(folder, files.load(folder / "request.json").request)
    for call in package.request.calls:
        if not package.call(call.call_id).is_dir():
            raise BadPackage(f"{call.call_id}: the request names it, and it is not in the package")
        if not package.inner(call.call_id).exists():
            raise BadPackage(f"{call.call_id}: the vault officer's half is not in the package")
    return package
