# SPDX-License-Identifier: Apache-2.0
"""The list of the index's segments and its signed head, which the desk requests before it fetches segments.

A segment is listed if its hash is that in the log. The log's leaves are therefore read once, later only new leaves;
each segment is hashed once, and again when it is rewritten. Both are done in small steps from the first request on: the
thread that seals calls must not wait for a year of leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from linetap.config.schema import Config
from linetap.recorder.vault.log.log import UnitLog
from linetap_core import jsontext, rundir
from linetap_core.clock import Clock, rfc3339
from linetap_core.durable import files, folders
from linetap_core.durable.files import replace_in_ram
from linetap_core.errors import LinetapError
from linetap_core.evidence.authorization.command import CommandFault
from linetap_core.evidence.calls import index, indexhead, sealed
from linetap_core.evidence.calls.indexhead import IndexList, ListedSegment, ListHead, SignedListHead, Unlisted, Why
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.zones import end_of_ns

LEAVES_A_TICK = 2000
FILES_A_TICK = 16
_OF_INTEREST = (b'"index"', b'"close"', b'"destruction"')

Stamp = tuple[int, int, int]  # size, mtime, inode


@dataclass(slots=True)
class _Logged:
    """A segment by its newest leaf. The leaf precedes the file: after a power cut the content `before`, or none,
    counts, unless the leaf's call was closed later (`written`). `call_id` None: the file existed before its leaf."""

    sha256: str
    before: str | None
    call_id: str | None
    written: bool


class SegmentList:
    """The list, for the vault's thread. `make` and `tick` may raise OSError, and are then repeated."""

    def __init__(self, config: Config, unit_log: UnitLog, clock: Clock) -> None:
        self._vault, self._root = config.vault_path, config.vault_path / index.FOLDER
        self._unit, self._zone = config.unit, config.retention.zone
        self._log, self._clock = unit_log, clock
        self.path = rundir.index_list(config.run_path)  # the reporter reads it
        self._wanted = False
        self._forget()
        self._hashes: dict[str, tuple[Stamp, str]] = {}
        self._made = ""  # the hash of the list at `path`

    def make(self) -> SignedListHead | str:
        """Returns the head of the list, which is then at `path`, or the progress of the reading.
        CommandFault for an index with more segments than a list may have."""
        self._wanted = True
        if not self._log.is_proved:
            return "the log is being compared with its head"
        self._read_log()
        unread = self._hash_some()
        if unread or self._read < self._log.size:
            return f"the index is being read: {self._read} of {self._log.size} leaves, {unread} segments to go"
        self._wanted = False
        data = indexhead.encode(self._content())
        digest = indexhead.digest(data)
        if digest != self._made or not self.path.exists():
            rundir.make(self.path.parent)
            replace_in_ram(self.path, data)
            self._made = digest
        head = indexhead.encode(ListHead(
            unit=self._unit, log=self._log.name, leaves=self._log.size, at=rfc3339(self._clock.utc_ns()),
            sha256=digest, size=len(data),
        ))  # fmt: skip
        return SignedListHead(head=head.decode("utf-8"), sig=self._log.sign_as_head(head))

    def tick(self) -> None:
        """Continues the reading for a requested list; otherwise does nothing."""
        if self._wanted:
            self._read_log()
            self._hash_some()

    # --- the log's leaves ----------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._of_log, self._read = self._log.name, 0
        self._logged: dict[str, _Logged] = {}
        self._waiting: dict[str, str] = {}  # call -> the segment of its leaf, until its close
        self._destroyed: set[str] = set()  # epochs with a destroyed key

    def _read_log(self) -> None:
        if self._of_log != self._log.name or self._read > self._log.size:  # another log was begun
            self._forget()
        if self._read == self._log.size:
            return
        for line in islice(self._log.leaves(self._read), LEAVES_A_TICK):
            self._read += 1
            if any(kind in line for kind in _OF_INTEREST) and (leaf := _leaf(line)) is not None:
                self._index_leaf(leaf)

    def _index_leaf(self, leaf: Leaf) -> None:
        if leaf.kind == "index" and leaf.file is not None and leaf.sha256 is not None:
            old = self._logged.get(leaf.file)
            before = None if old is None or old.sha256 == leaf.sha256 else old.sha256
            self._logged[leaf.file] = _Logged(leaf.sha256, before, leaf.call_id, written=leaf.call_id is None)
            if leaf.call_id is not None:
                self._waiting[leaf.call_id] = leaf.file
        elif leaf.kind == "close" and leaf.call_id is not None:
            if (logged := self._logged.get(self._waiting.pop(leaf.call_id, ""))) is not None:
                logged.written = True
        elif leaf.kind == "destruction" and leaf.call_id is None and leaf.epoch is not None:
            self._destroyed.add(leaf.epoch)

    # --- the files -----------------------------------------------------------------------------------------------

    def _hash_some(self) -> int:
        """Hashes a few of the new and changed segments; returns how many are left."""
        stamps = dict(self._stamps())
        for gone in self._hashes.keys() - stamps.keys():
            del self._hashes[gone]
        new = [name for name, stamp in stamps.items() if self._hashes.get(name, (None, ""))[0] != stamp]
        for name in new[:FILES_A_TICK]:
            self._hashes[name] = stamps[name], files.sha256(self._root / name)
        return max(0, len(new) - FILES_A_TICK)

    def _stamps(self) -> Iterator[tuple[str, Stamp]]:
        for folder in folders.names(self._root):
            if index.parse_folder(folder) is None:
                continue
            for file in folders.names(self._root / folder):
                if index.parse_segment(file) is not None:
                    found = (self._root / folder / file).lstat()
                    yield f"{folder}/{file}", (found.st_size, found.st_mtime_ns, found.st_ino)

    def _content(self) -> IndexList:
        segments, unlisted = list[ListedSegment](), list[Unlisted]()
        for name in sorted(self._hashes.keys() | self._logged.keys()):
            logged, there = self._logged.get(name), self._hashes.get(name)
            if there is None:
                if logged is not None and self._should_be_there(name, logged):
                    unlisted.append(Unlisted(file=name, why="missing"))
                elif logged is not None:
                    del self._logged[name]  # the segment is over; its leaf stays in the log
                continue
            why: Why | None = None
            if logged is None:
                why = "not_logged"
            elif there[1] not in (logged.sha256, None if logged.written else logged.before):
                why = "changed"
            if why is None:
                segments.append(ListedSegment(file=name, size=there[0][0], sha256=there[1]))
            else:
                unlisted.append(Unlisted(file=name, why=why))
        if len(segments) + len(unlisted) > indexhead.MOST_SEGMENTS:
            raise CommandFault("fetch_index_long", f"the index has more than {indexhead.MOST_SEGMENTS} segments")
        return IndexList(segments=segments, unlisted=unlisted)

    def _should_be_there(self, name: str, logged: _Logged) -> bool:
        """Whether the segment must exist. False if its time is over, its key or its calls are destroyed, or a power cut
        came before its first write."""
        epoch, last_day = index.parse_folder(name.partition("/")[0]) or ("", None)
        if epoch in self._destroyed or not (logged.written or logged.before):
            return False
        if last_day is not None:
            return end_of_ns(last_day, self._zone) > self._clock.utc_ns()
        return logged.call_id is not None and (self._vault / sealed.call_path(logged.call_id)).exists()


def _leaf(line: bytes) -> Leaf | None:
    try:
        found = jsontext.decode(line, type=Leaf)
        if found.call_id is not None:
            sealed.call_ns(found.call_id)  # validates the name, which becomes a path
    except (ValueError, LinetapError):
        return None
    return found
