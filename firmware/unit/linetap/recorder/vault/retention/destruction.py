# SPDX-License-Identifier: Apache-2.0
"""How a call that is over is destroyed, so that nothing goes without a trace and nothing is told twice, wherever the
power fails:

1. `destroying.json`: which calls, and the time that leaf and event will bear. Done again, both are known again.
2. the leaf in the log: before the first byte goes, so that a call which is missing has always been accounted for.
3. key.age, overwritten and unlinked, then the audio and all else but the record, and what lies in unopenable/; synced.
4. the event in the outbox, while the record still says that this call is not done with.
5. the record's signature and the record, the folder, day folders that are empty; synced. Then its amendments: a record
   without them has another end, or none.

Until 5 a start finds the intention and the record, and does all of it again; behind it there is nothing left to do but
for an empty folder, which the next scan removes. The leaf after the deed, the other way round, could miss a call that a
cut had taken; a leaf whose deed a cut has delayed is made good within seconds of the next start.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.retention import lifetime
from linetap.recorder.vault.retention.holds import Holds
from linetap.recorder.vault.retention.lifetime import Lifetime
from linetap.recorder.vault.retention.time import RetentionTime
from linetap_core.clock import rfc3339
from linetap_core.durable import files
from linetap_core.durable.smallfile import SmallFile
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.signing import namespaces
from linetap_core.records import CallEvent

NAME = "destroying.json"  # in the vault
FULL = (errno.ENOSPC, errno.EDQUOT)
_LAST = (sealed.SIGNATURE, sealed.RECORD)

log = logging.getLogger("linetap.recorder.vault")


class _Intent(msgspec.Struct):
    at: str
    calls: list[str] = []


_FILE = SmallFile("destroying", _Intent, 1 << 22)


class Destruction:
    """`report` puts an event into the outbox, unless it is there."""

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

    def intend(self, calls: list[str], now_ns: int) -> None:
        """OSError: it is not intended."""
        intent = _Intent(rfc3339(now_ns), calls)
        _FILE.replace(self._vault / NAME, intent)
        self._intent = intent

    def go_on(self, now_ns: int) -> tuple[list[Lifetime], list[str]]:
        """What has gone, and what the disk did not let go. OSError when the disk is full: nothing is forgotten."""
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
        """All of it, or as much as was left to do. None: it is not there, or not to be destroyed."""
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
        for name in [sealed.KEY, *lifetime.names(folder)]:
            if name not in _LAST:
                (folder / name).unlink(missing_ok=True)
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
        """Audio of this call that was put away because its key was lost."""
        folder = self._vault / sealed.UNOPENABLE / call_id
        if folder.is_dir():
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
            files.sync_directory(folder.parent)

    def _load(self) -> _Intent:
        """Where it is broken, the scan finds again what it was about."""
        return _FILE.load(self._vault / NAME) or _Intent("")


def remove_remnant(folder: Path) -> None:
    """Of a call whose record has gone nothing can be there but what a power cut brought back. One that is being
    written has its key.age."""
    if folder.is_dir() and set(lifetime.names(folder)) <= {sealed.SIGNATURE}:
        (folder / sealed.SIGNATURE).unlink(missing_ok=True)
        folder.rmdir()


def remove_amendments(folder: Path) -> None:
    """Of a call that has gone: before that they say when it was over. The last one first, so that a cut leaves none
    behind that is not found."""
    for path in reversed(lifetime.amendments_of(folder)):
        namespaces.beside(path).unlink(missing_ok=True)
        path.unlink()


def _overwrite(path: Path) -> None:
    """In place: enough where a disk writes in place; on flash the epoch's key is what counts."""
    with contextlib.suppress(FileNotFoundError), path.open("r+b", buffering=0) as file:
        file.write(bytes(os.fstat(file.fileno()).st_size))
        os.fdatasync(file.fileno())


# --- A file that is there to be given up: on a disk without a free byte it makes room for the word about a destruction.


BALLAST = "ballast"  # in the vault
BALLAST_BYTES = 256 << 10


def drop_ballast(vault: Path) -> bool:
    """Whether there was one."""
    try:
        (vault / BALLAST).unlink()
    except OSError:
        return False
    files.sync_directory(vault)
    return True


def make_ballast(vault: Path) -> None:
    """When there is room. OSError when there was none after all: then nothing is left of it."""
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
