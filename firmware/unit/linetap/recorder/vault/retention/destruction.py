# SPDX-License-Identifier: Apache-2.0
"""The destruction of an expired call. After a power cut at any point, no call is missing without a record and none is
reported twice. The steps:

1. `destroying.json`: the calls, and the time of leaf and event, by which both are recognised in a repetition.
2. the leaf in the log, before the first byte is removed, so that a missing call is always accounted for.
3. key.age, overwritten and unlinked; then the audio and everything but the record, and the call's files in unopenable/;
   synced.
4. the event in the outbox, while the record still shows that the destruction is incomplete.
5. the record's signature and the record, the folder, empty day folders; synced. Then its amendments: without them a
   record has another end date, or none.

Before the end of 5, a start finds the intent and the record and repeats all steps; afterwards at most an empty folder
is left, which the next scan removes. If the leaf followed the removal, a call could be missing without a leaf after a
power cut; a removal delayed by a power cut is completed within seconds of the next start.

On a full disk the removal of a ballast file makes room for the records of a destruction.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import struct
from collections.abc import Callable
from pathlib import Path

import msgspec

from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.retention import lifetime
from linetap.recorder.vault.retention.holds import Holds
from linetap.recorder.vault.retention.lifetime import Lifetime
from linetap.recorder.vault.retention.time import RetentionTime
from linetap_core.clock import NS_PER_DAY, rfc3339
from linetap_core.durable import files, folders
from linetap_core.durable.smallfile import SmallFile
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.signing import namespaces
from linetap_core.records import CallEvent

NAME = "destroying.json"  # in the vault
FULL = (errno.ENOSPC, errno.EDQUOT)
_LAST = (sealed.SIGNATURE, sealed.RECORD)
_NO_KEY = (errno.ENOENT, errno.ENXIO, errno.EISDIR, errno.ELOOP)  # it is missing, or a FIFO, a folder, a link
_KEY_BYTES = 1 << 20  # overwritten at most: a file of ten gigabytes has no key

log = logging.getLogger("linetap.recorder.vault")


class _Intent(msgspec.Struct):
    at: str
    calls: list[str] = []


_FILE = SmallFile("destroying", _Intent, 1 << 22)


class Destruction:
    """The destruction. `report` puts an event into the outbox, unless it is there already."""

    def __init__(
        self, vault: Path, unit: str, unit_log: UnitLog, report: Callable[[CallEvent], None], holds: Holds,
        time: RetentionTime,
    ) -> None:  # fmt: skip
        self._vault, self._unit, self._log, self._report, self._holds = vault, unit, unit_log, report, holds
        self._time = time
        self._intent = self._load()

    @property
    def unfinished(self) -> bool:
        return bool(self._intent.calls)

    def write_intent(self, calls: list[str], now_ns: int) -> None:
        """Writes the calls to be destroyed. OSError: none was written."""
        intent = _Intent(rfc3339(now_ns), calls)
        _FILE.replace(self._vault / NAME, intent)
        self._intent = intent

    def resume(self, now_ns: int) -> tuple[list[Lifetime], list[str]]:
        """Continues; returns the destroyed calls, and those that could not be removed. OSError on a full disk: the
        destruction continues later.
        """
        gone: list[Lifetime] = []
        failed: list[str] = []
        while self._intent.calls:
            call_id = self._intent.calls[0]
            try:
                found = self._destroy(call_id, self._intent.at, now_ns)
            except OSError as error:
                if error.errno in FULL:
                    raise
                log.error("not_destroyed: %s: %s; it is tried again later", call_id, error)
                failed.append(call_id)
            else:
                gone += [found] if found else []
            self._intent.calls.pop(0)
        return gone, failed

    def _destroy(self, call_id: str, at: str, now_ns: int) -> Lifetime | None:
        """Destroys a call, or completes its destruction; None if it is gone or must not be destroyed."""
        folder = self._vault / sealed.call_path(call_id)
        try:
            found, record = lifetime.read(folder)
            if found.until_ns is None or found.until_ns > now_ns or self._holds.until(call_id) is not None:
                return None
            if self._time.age_ns(found.sealed, found.at_ns) < found.period_ns:
                return None
            lifetime.require_signature(folder, record)
        except FileNotFoundError:
            remove_remnant(folder)
            if not folder.exists():
                remove_amendments(folder)
            return None
        except ValueError as error:
            log.error("vault_damaged: %s: %s; it is not destroyed", folder, error)
            return None
        digest = hashlib.sha256(record).hexdigest()
        self._log.append("destruction", at=at, call_id=call_id, record_sha256=digest, until=rfc3339(found.until_ns))
        _overwrite(folder / sealed.KEY)
        for name in [sealed.KEY, *folders.names(folder)]:
            if name not in _LAST:
                files.remove(folder / name)
        files.sync_directory(folder)
        self._remove_unopenable(call_id)
        event = CallEvent(seq=0, event="destroyed", at=at, unit=self._unit, call_id=call_id, line=found.line)
        self._report(msgspec.structs.replace(event, why="retention", record_sha256=digest))
        for name in _LAST:
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
        files.sync_directory(folder.parent)
        files.prune(folder.parent)
        remove_amendments(folder)
        return found

    def _remove_unopenable(self, call_id: str) -> None:
        """Removes audio of this call that was moved away because its key was lost."""
        folder = self._vault / sealed.UNOPENABLE / call_id
        if folder.is_dir():
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
            files.sync_directory(folder.parent)

    def _load(self) -> _Intent:
        """Loads the intent; if it is broken, the scan finds its calls again."""
        return _FILE.load(self._vault / NAME) or _Intent("")


def remove_remnant(folder: Path) -> None:
    """Removes remains of a call without a record, after a power cut. A call in progress has a key.age."""
    if folder.is_dir() and set(folders.names(folder)) <= {sealed.SIGNATURE}:
        (folder / sealed.SIGNATURE).unlink(missing_ok=True)
        folder.rmdir()


def remove_amendments(folder: Path) -> None:
    """Removes the amendments of a destroyed call, which gave its end date. The last is removed first, so that every
    amendment left by a power cut can be found.
    """
    for path in reversed(lifetime.amendments_of(folder)):
        namespaces.signature_path(path).unlink(missing_ok=True)
        path.unlink()


def _overwrite(path: Path) -> None:
    """Overwrites a key in place. On flash the old bytes may remain: there only the epoch's key counts. A foreign object
    of its name has no key.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NO_KEY:
            return
        raise
    with os.fdopen(fd, "wb", buffering=0) as file:
        file.write(bytes(min(os.fstat(fd).st_size, _KEY_BYTES)))
        os.fdatasync(fd)


# --- Ballast ----------------------------------------------------------------------------------------------------------


BALLAST = "ballast"  # in the vault
BALLAST_BYTES = 256 << 10


def drop_ballast(vault: Path) -> bool:
    """Removes the ballast; returns whether there was any."""
    try:
        (vault / BALLAST).unlink()
    except OSError:
        return False
    files.sync_directory(vault)
    return True


def make_ballast(vault: Path) -> None:
    """Creates the ballast, when there is room. OSError if there is too little room: no file is left."""
    path = vault / BALLAST
    if path.exists():
        return
    try:
        fd = files.create(path)
        try:
            os.posix_fallocate(fd, 0, BALLAST_BYTES)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    files.sync_directory(vault)


# --- FITRIM: reports free blocks to the disk, so that flash may erase destroyed calls. Best effort --------------------
# An unlinked file is still on the medium. Overwriting its key.age helps on a disk that writes in place; after a trim,
# flash erases the file at some time; only the destruction of the epoch's key makes every remnant unreadable. FITRIM
# needs CAP_SYS_ADMIN, which the recorder does not have everywhere, and a file system that supports it: a refusal is
# logged once, and systemd's fstrim.timer or the mount option `discard` has the same effect.


FITRIM = 0xC0185879  # linux/fs.h: _IOWR('X', 121, struct fstrim_range)
PIECE_BYTES = 256 << 20  # per call: the vault's thread must not be busy for long
EVERY_NS = NS_PER_DAY


class Trim:
    def __init__(self, vault: Path) -> None:
        self._vault = vault
        self._is_requested = False
        self._at: int | None = None
        self._next_ns = 0
        self._refused = False

    def request(self) -> None:
        """Requests a trim, after a destruction."""
        self._is_requested = True

    def tick(self, mono_ns: int, size: int) -> None:
        """Trims one piece of the file system of `size` bytes: all of it once a day, but not while a call is being
        written.
        """
        if self._refused:
            return
        if self._at is None:
            if not self._is_requested or mono_ns < self._next_ns:
                return
            self._is_requested, self._at, self._next_ns = False, 0, mono_ns + EVERY_NS
        try:
            _fitrim(self._vault, self._at, PIECE_BYTES)
        except OSError as error:
            if error.errno != errno.EINVAL or not self._at:  # EINVAL: behind the end
                self._refused = True
                log.info("trim: %s: %s; fstrim.timer may do it", self._vault, error.strerror)
            self._at = None
            return
        self._at += PIECE_BYTES
        if self._at >= size:
            self._at = None


def _fitrim(folder: Path, start: int, length: int) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, FITRIM, struct.pack("QQQ", start, length, 0))
    finally:
        os.close(fd)
