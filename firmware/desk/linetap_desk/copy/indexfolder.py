# SPDX-License-Identifier: Apache-2.0
"""The copy of one unit's index at the desk, `<folder>/<unit>/index/`: the sealed segments as in a vault, and for each
log of the unit its newest list with the signed head.

Files are not synced: a segment that a power cut damaged differs from the list in size or hash, and is fetched again.

A segment is removed with the calls of its day. The day must be over by the desk's clock and by that of a unit, as for a
copy of a call (`worklist.expired_copies`), and the unit must have no copy left that ends with that day; a held call
does not keep its segment, as in a vault. Segments of an overflow epoch without a day are removed when their unit no
longer lists them and no copy without an end is left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, func, select

from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.durable import files
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import index, indexhead
from linetap_core.evidence.calls.indexhead import IndexList, ListedSegment, ListHead, SignedListHead
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_core.zones import end_of_ns
from linetap_desk.ingest.tables import calls, copies
from linetap_desk.proofs import callfolder

MOST_LOGS = 8  # logs of a unit; a new disk begins a new one


class IndexFolder:
    """The folder of one unit. Every method may raise OSError."""

    def __init__(self, root: Path, unit: str) -> None:
        self.unit, self.folder = unit, root / unit / index.FOLDER
        self._hashes: dict[str, str] = {}  # segment -> its SHA-256, as written or read here

    def has(self, segment: ListedSegment) -> bool:
        """Whether the copy has exactly these bytes. An unknown file of that size is read once."""
        path = self.folder / segment.file
        try:
            if path.stat(follow_symlinks=False).st_size != segment.size:
                return False
        except (FileNotFoundError, NotADirectoryError):
            return False
        if segment.file not in self._hashes:
            try:
                self._hashes[segment.file] = files.sha256(path)
            except OSError:  # a file that the medium has lost is replaced
                return False
        return self._hashes[segment.file] == segment.sha256

    def put(self, name: str, data: bytes) -> None:
        """Stores a verified segment."""
        path = self.folder / name
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        files.replace_in_ram(path, data)  # a rename without a sync
        self._hashes[name] = indexhead.digest(data)

    def put_list(self, head: ListHead, signed: SignedListHead, data: bytes | None) -> None:
        """Stores a list with its signed head. `data` None: the list is stored already."""
        self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        path = self.folder / indexhead.head_file(head.log)
        if data is not None:
            path.unlink(missing_ok=True)  # it would belong to another list
            files.replace_in_ram(self.folder / indexhead.list_file(head.log), data)
        files.replace_in_ram(namespaces.signature_path(path), signed.sig.encode("ascii", "replace"))
        files.replace_in_ram(path, signed.head.encode("utf-8"))
        for old in self._logs()[:-MOST_LOGS]:
            head_path = self.folder / indexhead.head_file(old)
            for each in (self.folder / indexhead.list_file(old), head_path, namespaces.signature_path(head_path)):
                each.unlink(missing_ok=True)

    def lists(self, signers: list[Signer]) -> list[tuple[ListHead, SignedListHead, IndexList, bytes]]:
        """The valid lists of this unit, the newest last."""
        lists = []
        for log in self._logs():
            with contextlib.suppress(Refusal, BadInput, OSError, ValueError):
                path = self.folder / indexhead.head_file(log)
                signed = SignedListHead(
                    head=callfolder.read(path, indexhead.HEAD_LIMIT_BYTES).decode("utf-8"),
                    sig=callfolder.read(namespaces.signature_path(path), sshsig.SIGNATURE_LIMIT_BYTES).decode("ascii"),
                )
                head = indexhead.check_head(signed, self.unit, signers)
                data = callfolder.read(self.folder / indexhead.list_file(log), indexhead.LIST_LIMIT_BYTES)
                lists.append((head, signed, indexhead.read(data, head), data))
        return sorted(lists, key=lambda one: one[0].at)

    def segments(self) -> Iterator[str]:
        """The names of all stored segments."""
        for folder in _names(self.folder):
            if index.parse_folder(folder) is not None:
                yield from (f"{folder}/{name}" for name in _names(self.folder / folder) if index.parse_segment(name))

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        self._hashes.pop(name, None)
        with contextlib.suppress(OSError):
            (self.folder / name).parent.rmdir()

    def _logs(self) -> list[str]:
        """The logs, ordered by time."""
        found = []
        for name in _names(self.folder):
            if match := indexhead.HEAD_FILE.fullmatch(name):
                with contextlib.suppress(FileNotFoundError):
                    found.append(((self.folder / name).stat().st_mtime_ns, match[1]))
        return [log for _, log in sorted(found)]


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def units_with_index(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.glob(f"[!.]*/{index.FOLDER}") if not path.is_symlink())


def over(db: Connection, folder: IndexFolder, signers: list[Signer], now_ns: int, zone: str) -> Iterator[str]:
    """The expired segments of one unit. OSError: the folder cannot be read."""
    witnessed = db.execute(select(func.max(calls.c.began_at))).scalar()
    if witnessed is None:
        return
    sure_ns = min(now_ns, parse_rfc3339(witnessed))
    by_folder: dict[str, list[str]] = {}
    for name in folder.segments():
        by_folder.setdefault(name.partition("/")[0], []).append(name)
    for named, segments in by_folder.items():
        _, last_day = index.parse_folder(named) or ("", None)
        if last_day is None:
            yield from _of_no_day(db, folder, signers, segments)
            continue
        ends_ns = end_of_ns(last_day, zone)
        if ends_ns <= sure_ns and not _has_copies(db, folder.unit, rfc3339(ends_ns)):
            yield from segments


def _of_no_day(db: Connection, folder: IndexFolder, signers: list[Signer], segments: list[str]) -> Iterator[str]:
    lists = folder.lists(signers)
    if not lists or _has_copies(db, folder.unit, None):
        return
    newest = lists[-1][2]
    named = {each.file for each in newest.segments} | {each.file for each in newest.unlisted}
    yield from (name for name in segments if name not in named)


def _has_copies(db: Connection, unit: str, until: str | None) -> bool:
    """Whether copies of calls with that end, or without an end, remain. Copies kept only by a hold do not count."""
    remaining = select(copies.c.call_id).where(copies.c.unit == unit, copies.c.removed_at.is_(None))
    if until is None:
        remaining = remaining.where(copies.c.until.is_(None))
    else:
        remaining = remaining.where(copies.c.until == until, copies.c.look_at <= copies.c.until)
    return db.execute(remaining.limit(1)).first() is not None
