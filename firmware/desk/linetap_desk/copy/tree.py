# SPDX-License-Identifier: Apache-2.0
"""Copies in a tree of folders: `<store>/<unit>/2026/11/24/<call_id>/`, as a vault has it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from linetap_core.durable import files
from linetap_core.durable.files import prune
from linetap_core.durable.replace import replace_durably
from linetap_core.errors import BadInput
from linetap_core.evidence import amendment, namespaces, sealed, sshsig
from linetap_core.evidence.amendment import amendment_path
from linetap_core.evidence.closing import closing_path
from linetap_core.evidence.tlogproof import witnessed_path
from linetap_desk.copy.store import Stored

_INCOMING = ".incoming"
_A_DAY = "[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]"


class Tree:
    def __init__(self, root: Path) -> None:
        """A folder that is there already: an empty place where a disk should be mounted is no store."""
        self._root, self.incoming = root, root / _INCOMING
        try:
            self.incoming.mkdir(exist_ok=True)
        except OSError as error:
            raise BadInput(
                f"copy.store {root}: {error.strerror}; a folder that may be written would be right"
            ) from None

    def put(self, unit: str, call_id: str, folder: Path) -> None:
        place = self._place(unit, call_id)
        for path in folder.iterdir():
            _sync(path)
        files.sync_directory(folder)
        files.make_directories(self._root, place.parent)
        if place.exists():  # from before the database was lost: it was proved then, as this one was now
            shutil.rmtree(place)
        folder.rename(place)
        files.sync_directory(place.parent)

    def put_closing(self, unit: str, call_id: str, data: bytes) -> None:
        if not self._place(unit, call_id).exists():
            return
        path = self._root / unit / closing_path(call_id)
        files.make_directories(self._root, path.parent)
        replace_durably(path, data)

    def put_amendment(self, unit: str, call_id: str, number: int, data: bytes, signature: str) -> None:
        if not self._place(unit, call_id).exists():
            return
        path = self._root / unit / amendment_path(call_id, number)
        files.make_directories(self._root, path.parent)
        replace_durably(namespaces.beside(path), signature.encode("ascii"))
        replace_durably(path, data)

    def remove(self, unit: str, call_id: str) -> None:
        for amended in sorted((self._root / unit / amendment.FOLDER).glob(f"{call_id}.*")):
            amended.unlink()
        for path in (closing_path(call_id), witnessed_path(call_id)):
            proof = self._root / unit / path
            if proof.exists():
                proof.unlink()
                files.sync_directory(proof.parent)
                prune(proof.parent)
        for place in (self._place(unit, call_id), self.incoming / unit / call_id):
            if place.exists():
                shutil.rmtree(place)
                files.sync_directory(place.parent)
        prune(self._place(unit, call_id).parent)

    def calls(self) -> Iterator[Stored | str]:
        """A link is none of ours: it could lead anywhere."""
        for place in sorted(self._root.glob(f"[!.]*/{_A_DAY}/*")):
            name = str(place.relative_to(self._root))
            try:
                unit, call_id = place.relative_to(self._root).parts[0], place.name
                if place.is_symlink() or place != self._place(unit, call_id):
                    yield name
                    continue
                names = frozenset(path.name for path in place.iterdir() if path.is_file() and not path.is_symlink())
                record = _begin_of(place / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
                signature = _begin_of(place / sealed.SIGNATURE, sshsig.SIGNATURE_LIMIT_BYTES)
                yield Stored(unit, call_id, names, record, signature, place.stat().st_mtime_ns)
            except (OSError, BadInput):
                yield name

    def _place(self, unit: str, call_id: str) -> Path:
        return self._root / unit / sealed.call_path(call_id)


def _begin_of(path: Path, most: int) -> bytes:
    """All of it where it is as long as it may be; of a longer one so much that it is seen to be too long."""
    with path.open("rb") as file:
        return file.read(most + 1)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
