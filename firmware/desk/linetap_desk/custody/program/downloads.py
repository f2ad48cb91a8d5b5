# SPDX-License-Identifier: Apache-2.0
"""Unpacks a download from the desk for a person's step: of an approver, a vault officer (release or hold) or a
custodian. The download is treated as hostile: known names, bounded sizes, and each step verifies the files that it
uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence import sealing
from linetap_core.evidence.authorization.release import Request
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.custody.package import CALL, DOCUMENT, NAMES, Package, complete, members
from linetap_desk.inputs.ustar import BadPackage, Source
from linetap_desk.proofs.callfolder import KEY_LIMIT_BYTES
from linetap_desk.release import holdrequest, requestfile
from linetap_desk.release.holdrequest import HoldRequest
from linetap_desk.unsealing.wrapped import CHECK_SUFFIX

_AGAIN = rf"held/{CALL}"  # the re-wrapped key as an earlier hold has it
_NAMES = [
    *NAMES,
    *(
        (re.compile(pattern, re.ASCII), limit)
        for pattern, limit in (
            (r"partial/(?:wrapped-)?[1-7](?:-[1-7]){0,6}\.age", KEY_LIMIT_BYTES),
            (rf"{_AGAIN}/{re.escape(sealed.KEY)}", KEY_LIMIT_BYTES),
            (rf"{_AGAIN}/{DOCUMENT}", hold.LIMIT_BYTES),
            (rf"{_AGAIN}/{DOCUMENT}\{namespaces.SUFFIX}", sshsig.SIGNATURE_LIMIT_BYTES),
            (rf"holds/{CALL}/{DOCUMENT}{re.escape(CHECK_SUFFIX)}", sshsig.SIGNATURE_LIMIT_BYTES),
            (re.escape(holdrequest.NAME), holdrequest.LIMIT_BYTES),
        )
    ),
]


@dataclass(frozen=True, slots=True)
class CallPapers:
    """One call with a request or a requested hold. Its statements are unverified until a step verifies them."""

    folder: Path
    call_id: str
    request: Request | None
    signatures: list[str]  # names of the approvals
    asked: HoldRequest | None

    @property
    def request_file(self) -> Path:
        return self.folder / "request.json"

    @property
    def call(self) -> Path:
        return self.folder / "calls" / self.call_id

    @property
    def wrapped(self) -> Path | None:
        """The call's re-wrapped key."""
        found = self.folder / "holds" / self.call_id
        return found if found.is_dir() else None

    @property
    def held(self) -> Path | None:
        """The call's key as an earlier hold has it."""
        found = self.folder / "held" / self.call_id
        return found if found.is_dir() else None

    @property
    def partials(self) -> list[str]:
        """Names of the files of earlier officers of a group."""
        return sorted(path.name for path in (self.folder / "partial").glob(f"*{sealing.SUFFIX}"))

    @property
    def id(self) -> str:
        return self.request.id if self.request else self.asked.id if self.asked else ""


@dataclass(frozen=True, slots=True)
class OverflowCalls:
    """Calls sealed to an overflow epoch, and the papers of the re-wrapped ones."""

    folder: Path
    calls: list[str]
    id: str = "overflow"
    request: None = None
    asked: None = None

    def place(self, call_id: str) -> Path:
        return self.folder / "holds" / call_id

    @property
    def waiting(self) -> list[str]:
        return [each for each in self.calls if not (self.place(each) / hold.REWRAP).exists()]

    @property
    def unchecked(self) -> list[str]:
        there = [each for each in self.calls if each not in self.waiting]
        return [each for each in there if not (self.place(each) / f"{hold.REWRAP}{CHECK_SUFFIX}").exists()]


def unpack(source: Source, folder: Path) -> CallPapers | OverflowCalls | Package:
    """Unpacks the download. A Package if it contains the vault officer's file: then the next step is the custodian's.
    BadPackage, NotReleased, or OSError if it cannot be read or written."""
    for name, content in members(source, _NAMES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with privatefile.create(path) as file:
            file.writelines(content)
    if (folder / "inner").is_dir():
        return complete(folder)
    calls = sorted((folder / "calls").iterdir()) if (folder / "calls").is_dir() else []
    asked = _hold_request(folder)
    if calls and asked is None and not (folder / "request.json").exists():
        return OverflowCalls(folder, [path.name for path in calls])
    if len(calls) != 1:
        raise BadPackage("one call expected")
    call_id = calls[0].name
    if (folder / "request.json").exists():
        found = requestfile.load_request(folder / "request.json")
        if found.request.call(call_id) is None:
            raise BadPackage(f"{call_id}: the request does not name it")
        return CallPapers(folder, call_id, found.request, sorted(found.signatures), None)
    if asked is None or asked.call_id != call_id:
        raise BadPackage(f"{holdrequest.NAME} names another call")
    return CallPapers(folder, call_id, None, [], asked)


def _hold_request(folder: Path) -> HoldRequest | None:
    path = folder / holdrequest.NAME
    try:
        return holdrequest.decode(path.read_bytes()) if path.exists() else None
    except BadInput as error:
        raise BadPackage(f"{holdrequest.NAME}: {error}") from None
