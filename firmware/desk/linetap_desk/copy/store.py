# SPDX-License-Identifier: Apache-2.0
"""The protocol of a store of copies, and the store in a folder tree. The other kind is a bucket (s3.py).

A call's folder, `<store>/<unit>/2026/11/24/<call_id>/` as in a vault, contains only the sealed files. Its closing is in
`<store>/<unit>/closing/2026/11/24/`, and the output of `linetap checkpoint --store` in `witnessed/`.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from linetap_core.durable import files
from linetap_core.durable.files import prune, replace_durably
from linetap_core.errors import BadInput
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.calls.amendment import amendment_path
from linetap_core.evidence.merklelog.closing import closing_path
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.witness.tlogproof import witnessed_path


@dataclass(frozen=True, slots=True)
class Stored:
    """The unverified files of a call's copy. `at_ns`: when they were stored."""

    unit: str
    call_id: str
    names: frozenset[str]
    record: bytes
    signature: bytes
    at_ns: int


class Store(Protocol):
    """A store of copies. Every method may raise OSError, and may be repeated."""

    incoming: Path  # incomplete calls, <unit>/<call_id>/

    def put(self, unit: str, call_id: str, folder: Path) -> None:
        """Moves `folder` into the store; durable on return."""

    def put_closing(self, unit: str, call_id: str, data: bytes) -> None:
        """Stores the call's closing beside its copy, replacing an earlier one; does nothing without a copy."""

    def put_amendment(self, unit: str, call_id: str, number: int, data: bytes, signature: str) -> None:
        """Stores an amendment of the call beside the unit's copies; does nothing without a copy."""

    def remove(self, unit: str, call_id: str) -> None:
        """Removes all files of the call from the store."""

    def calls(self) -> Iterator[Stored | str]:
        """Every call in the store, ordered by name; only the name of an unreadable call."""

    def probe(self) -> None:
        """OSError if the store accepts no call at all."""


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def is_of_one_call(store: Store, error: OSError) -> bool:
    """Whether an error concerns one call's files alone: a folder that the medium has lost, or that another process has
    changed. Then only that call waits, and not the store."""
    if error.errno in _NO_ROOM:
        return False
    try:
        store.probe()
    except OSError:
        return False
    return True


_INCOMING, _PROBE = ".incoming", ".probe"
_A_DAY = "[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]"


class Tree:
    def __init__(self, root: Path) -> None:
        """OSError if the folder does not exist: an empty mount point is no store."""
        self._root, self.incoming = root, root / _INCOMING
        try:
            self.incoming.mkdir(mode=files.DIRECTORY_MODE, exist_ok=True)
            files.restrict_to_group(self.incoming)  # incomplete calls, whose files have the umask's mode
        except OSError as error:
            raise BadInput(f"copy.store {root}: {error.strerror}; a folder that may be written expected") from None

    def put(self, unit: str, call_id: str, folder: Path) -> None:
        place = self._place(unit, call_id)
        for path in folder.iterdir():
            _sync(path)
        files.sync_directory(folder)
        files.make_directories(self._root, place.parent)
        _clear(place)  # stored and verified before the database was lost; this one is verified too
        files.move_durably(folder, place)

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
        replace_durably(namespaces.signature_path(path), signature.encode("ascii"))
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
            if _clear(place):
                files.sync_directory(place.parent)
        prune(self._place(unit, call_id).parent)

    def calls(self) -> Iterator[Stored | str]:
        """Every call in the tree. Links are not followed, since they could lead anywhere."""
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

    def probe(self) -> None:
        path = self.incoming / _PROBE
        path.write_bytes(b"linetap")
        path.unlink()

    def _place(self, unit: str, call_id: str) -> Path:
        return self._root / unit / sealed.call_path(call_id)


def _clear(place: Path) -> bool:
    """Removes a call's folder, or another object in its place; a link is not followed. Returns whether anything
    existed."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    elif os.path.lexists(place):
        place.unlink()
    else:
        return False
    return True


def _begin_of(path: Path, limit: int) -> bytes:
    """The file's first `limit` bytes and one more, which shows that a file is longer."""
    with path.open("rb") as file:
        return file.read(limit + 1)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
