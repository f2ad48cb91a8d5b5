# SPDX-License-Identifier: Apache-2.0
"""Reports of walk tests: signed, in the vault's folder `walks`, in the log, and sent to the desk.

Used by the vault's thread alone. Each act may be repeated with the same result.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from linetap.recorder.vault.callfolder.folder import Sign
from linetap.recorder.vault.log.log import UnitLog
from linetap_core.clock import compact, parse_rfc3339
from linetap_core.durable import files, folders
from linetap_core.durable.files import replace_durably
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.signing import namespaces
from linetap_core.records import CallEvent, Colour, WalkedLine
from linetap_core.vaultformat import walkreport
from linetap_core.vaultformat.walkreport import WalkReport

MOST_REPORTS = 1000  # older ones are removed; leaf and event stay

log = logging.getLogger("linetap.recorder.vault")


class Walks:
    def __init__(self, vault: Path, sign: Sign, unit_log: UnitLog, report: Callable[[CallEvent], None]) -> None:
        """`report` puts an event into the outbox, unless it is there already."""
        self._vault, self._sign, self._log, self._report = vault, sign, unit_log, report

    def store(self, report: WalkReport) -> None:
        """Stores, logs and sends a report. OSError: nothing is lost; call it again with the same report."""
        report = msgspec.structs.replace(report, lines=[self._with_record(line) for line in report.lines])
        data = walkreport.encode(report)
        sha256 = hashlib.sha256(data).hexdigest()
        folder = self._vault / walkreport.WALKS_FOLDER
        folders.make(self._vault, folder)
        path = folder / f"{compact(parse_rfc3339(report.began_at))}.json"
        replace_durably(namespaces.signature_path(path), self._sign(data).encode("ascii"))
        replace_durably(path, data)
        self._log.append("walk", at=report.ended_at, sha256=sha256)
        for line in report.lines:
            if line.call_id is not None:
                self._report(_tested(report, line))
        self._report(_walked(report, sha256))
        self._trim(folder)
        log.info("walk_over: %s, %s", path.name, "passed" if report.passed else "not passed")

    def _with_record(self, line: WalkedLine) -> WalkedLine:
        """Adds the hash of the test call's record once it is sealed."""
        if line.call_id is None:
            return line
        folder = self._vault / sealed.call_path(line.call_id)
        if not (folder / sealed.SIGNATURE).exists():
            return line
        return msgspec.structs.replace(line, record_sha256=files.sha256(folder / sealed.RECORD))

    def _trim(self, folder: Path) -> None:
        for old in sorted(folder.glob("[0-9]*.json"))[:-MOST_REPORTS]:
            old.unlink(missing_ok=True)
            namespaces.signature_path(old).unlink(missing_ok=True)


def _tested(report: WalkReport, line: WalkedLine) -> CallEvent:
    """Returns the event that marks a call as a test call, with its result."""
    return CallEvent(
        seq=0, event="tested", at=report.ended_at, unit="", call_id=line.call_id, line=line.line, colour=line.colour,
        found=line.found,
    )  # fmt: skip


def _walked(report: WalkReport, sha256: str) -> CallEvent:
    def of(colour: Colour) -> list[int]:
        return [line.line for line in report.lines if line.colour == colour]

    return CallEvent(
        seq=0, event="walked", at=report.ended_at, unit="", green=of("green"), yellow=of("yellow"), red=of("red"),
        document_sha256=sha256,
    )  # fmt: skip
