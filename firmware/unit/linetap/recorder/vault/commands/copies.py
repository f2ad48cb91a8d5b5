# SPDX-License-Identifier: Apache-2.0
"""`fetch`: the desk requests a window of a sealed call, its close in the log, the signed list of the index's segments,
or a window of a segment; or it reports that it has a copy.

A window is only permitted here: the reporter finds the permission in the answer and sends the bytes from the vault to
the broker. A close is in the answer itself.
"""

from __future__ import annotations

import hashlib
import logging
import stat
from collections.abc import Callable
from pathlib import Path

from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.recordings.segmentlist import SegmentList
from linetap.recorder.vault.retention import lifetime
from linetap.recorder.vault.retention.lifetime import Lifetime
from linetap_core.durable.unreadable import Unreadable, reading
from linetap_core.evidence.authorization import fetch
from linetap_core.evidence.authorization.command import Command, CommandFault, Outcome
from linetap_core.evidence.authorization.fetch import LIST, Close, Copied, IndexWindow, ListSegments
from linetap_core.evidence.calls import index, indexhead, sealed
from linetap_core.evidence.merklelog import closing
from linetap_core.records import CallEvent

log = logging.getLogger("linetap.recorder.vault")


class Copies:
    """The verb `fetch`. `report` puts an event into the outbox, unless it is there already."""

    def __init__(
        self, vault: Path, unit: str, unit_log: UnitLog, report: Callable[[CallEvent], None], segments: SegmentList
    ) -> None:
        self._vault, self._unit, self._log, self._report = vault, unit, unit_log, report
        self._segments = segments

    def apply(self, command: Command, at: str) -> str | Outcome:
        """Returns the permission or the record's text. CommandFault if the call is not sealed, not in this vault, or
        lost by the disk.
        """
        try:
            return self._apply(command, at)
        except Unreadable as error:
            raise CommandFault("fetch_unreadable", str(error)) from None

    def _apply(self, command: Command, at: str) -> str | Outcome:
        wanted = fetch.parse(command.body)
        if isinstance(wanted, ListSegments):
            made = self._segments.make()
            return made if isinstance(made, str) else Outcome("the list of the index", listed=made)
        if isinstance(wanted, IndexWindow):
            return self._of_index(wanted)
        folder = self._vault / sealed.call_path(wanted.call_id)
        with reading(folder):
            is_sealed = (folder / sealed.RECORD).is_file() and (folder / sealed.SIGNATURE).is_file()
        if not is_sealed:
            raise CommandFault("fetch_no_call", f"{wanted.call_id} is not in this vault, or is not sealed")
        if isinstance(wanted, Copied):
            return self._copied(wanted, folder, at)
        if isinstance(wanted, Close):
            return self._close(wanted, folder)
        _require_byte(folder / wanted.file, wanted.first, f"{wanted.file} of {wanted.call_id}")
        if wanted.file == sealed.RECORD and not wanted.first:
            log.info("fetched: the desk fetches %s", wanted.call_id)
        return f"{wanted.most} bytes at most from byte {wanted.first} of {wanted.file}"

    def _of_index(self, wanted: IndexWindow) -> str:
        if wanted.file == LIST:
            path = self._segments.path
        elif indexhead.is_segment(wanted.file):
            path = self._vault / index.FOLDER / wanted.file
        else:
            raise CommandFault("command_malformed", f"index: {wanted.file} is no segment")
        _require_byte(path, wanted.first, f"{wanted.file} of the index")
        return f"{wanted.most} bytes at most from byte {wanted.first} of {wanted.file} of the index"

    def _copied(self, wanted: Copied, folder: Path, at: str) -> str:
        """Logs the copy if the desk has our own record, with which the desk checks the other files."""
        found = self._require_own(wanted, folder)
        self._log.append("copy", at=at, call_id=wanted.call_id, record_sha256=wanted.record_sha256)
        event = CallEvent(seq=0, event="copied", at=at, unit=self._unit, call_id=wanted.call_id, line=found.line)
        event.record_sha256 = wanted.record_sha256
        self._report(event)
        return f"there is a copy of {wanted.call_id} at the desk"

    def _close(self, wanted: Close, folder: Path) -> Outcome:
        self._require_own(wanted, folder)
        try:
            found = self._log.closing(wanted.call_id)
        except ValueError as error:  # changed nodes or a changed head: `linetap verify` gives details
            raise CommandFault("fetch_not_logged", f"{wanted.call_id}: the log is not in order: {error}") from None
        if found is None or len(closing.encode(found)) > closing.LIMIT_BYTES:
            raise CommandFault("fetch_not_logged", f"{wanted.call_id}: the log does not have its close")
        return Outcome(f"the close of {wanted.call_id} in the log", closing=found)

    def _require_own(self, wanted: Copied | Close, folder: Path) -> Lifetime:
        """Returns the call's lifetime. CommandFault unless the desk names its present record."""
        try:
            with reading(folder):
                found, record = lifetime.read(folder)
        except ValueError as error:
            raise CommandFault("fetch_record", f"the record of {wanted.call_id}: {error}") from None
        if hashlib.sha256(record).hexdigest() != wanted.record_sha256:
            raise CommandFault("fetch_record", f"{wanted.call_id} has another record than the desk has a copy of")
        return found


def _require_byte(path: Path, first: int, name: str) -> None:
    """CommandFault unless `path` is a regular file that has byte `first`."""
    try:
        with reading(path):
            found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        raise CommandFault("fetch_no_file", f"{name}: there is no such file") from None
    if not stat.S_ISREG(found.st_mode) or first >= found.st_size:
        raise CommandFault("fetch_no_file", f"{name} has no byte {first}")
