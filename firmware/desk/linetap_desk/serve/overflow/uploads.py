# SPDX-License-Identifier: Apache-2.0
"""Checks and stores vault officers' uploads for calls of an overflow epoch: re-wrapped keys, and the signatures of
those who checked them. The upload is an archive `holds/CALL_ID/...`, as `linetap overflow rewrap` and `hold check`
write it.

The whole upload is checked before it is stored: the second copy is verified, a vault officer has signed for this
record, and the day is the one that the call's unit stated. The document is the last file written.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linetap_core.durable.files import replace_durably
from linetap_core.errors import Refusal
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.calls.hold import Rewrap
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.inputs.ustar import BadPackage, members
from linetap_desk.proofs.callfolder import KEY_LIMIT_BYTES
from linetap_desk.serve.handling.site import Site
from linetap_desk.serve.overflow import overflowcalls
from linetap_desk.serve.overflow.overflowcalls import OverflowCall
from linetap_desk.serve.release import checking
from linetap_desk.serve.release.steps import StepFault
from linetap_desk.unsealing import wrapped
from linetap_desk.unsealing.wrapped import CHECK_SUFFIX, Wrapped, verify_wrapped

_SIG = f"{hold.REWRAP}{namespaces.SUFFIX}"
_CHECK = f"{hold.REWRAP}{CHECK_SUFFIX}"
_LIMITS = {sealed.KEY: KEY_LIMIT_BYTES, hold.REWRAP: hold.LIMIT_BYTES, _SIG: sshsig.SIGNATURE_LIMIT_BYTES,
           _CHECK: sshsig.SIGNATURE_LIMIT_BYTES}  # fmt: skip
_CALL = sealed.CALL_ID.pattern.replace("(", "(?:", 1)
_NAMES = [(re.compile(rf"holds/{_CALL}/{re.escape(name)}", re.ASCII), limit) for name, limit in _LIMITS.items()]
MOST_BYTES = 8 << 20
_MODE = 0o644  # the officers of the ceremony are other users


@dataclass(frozen=True, slots=True)
class UploadedCall:
    """The files of one call to be stored. `row`: of the OverflowCall. `papers`: None if the re-wrapping is stored
    already. `check`: the signature of a second officer; empty without one. `before`: the stored re-wrapping at the time
    of the check."""

    row: Mapping[str, Any]
    papers: Wrapped | None
    check: bytes
    before: Wrapped | None

    @property
    def call_id(self) -> str:
        return str(self.row["call_id"])


def unpack(data: bytes) -> dict[str, dict[str, bytes]]:
    """Call id -> name -> content. StepFault for another kind of archive."""
    found: dict[str, dict[str, bytes]] = {}
    try:
        for name, content in members(io.BytesIO(data), _NAMES, len(_LIMITS) * overflowcalls.MOST + overflowcalls.MOST):
            call_id, file = name.split("/")[1:]
            found.setdefault(call_id, {})[file] = b"".join(content)
    except BadPackage as error:
        raise StepFault("rewrap_malformed", str(error)) from None
    if not found:
        raise StepFault("rewrap_malformed", "nothing in it: holds/CALL_ID/rewrap.json and its files expected")
    return found


def checked_files(site: Site, data: bytes, calls: Sequence[OverflowCall], roles: Roles) -> list[UploadedCall]:
    """The checked files. StepFault or NotReleased names the first faulty call; then nothing is stored."""
    found = list[UploadedCall]()
    for call_id, files in sorted(unpack(data).items()):
        brought = _papers(call_id, files)
        found.append(_judge(site, files, brought, _call_of_files(site, call_id, files, brought, calls, roles), roles))
    return found


def _call_of_files(
    site: Site, call_id: str, files: Mapping[str, bytes], brought: Wrapped | None, calls: Sequence[OverflowCall],
    roles: Roles,
) -> OverflowCall:  # fmt: skip
    """The call of these files. Two units may have calls of the same id: the files name the record, or check the
    re-wrapping, of one of them."""
    mine = [one for one in calls if one.call_id == call_id]
    if not mine:
        raise StepFault("rewrap_other_call", f"{call_id}: it is not among the calls that wait here")
    for one in mine:
        papers = brought or overflowcalls.stored_rewrap(site, one.row)
        if papers is None or overflowcalls.record_of(papers.document) != one.row["record_sha256"]:
            continue
        if brought is None:
            try:
                _require_check(call_id, papers, files.get(_CHECK, b""), roles)
            except StepFault:
                continue
        return one
    return mine[0]


def _judge(
    site: Site, files: Mapping[str, bytes], brought: Wrapped | None, call: OverflowCall, roles: Roles
) -> UploadedCall:
    call_id, before = call.call_id, overflowcalls.stored_rewrap(site, call.row)
    known = before if call.rewrapped is not None else None
    if known is not None and brought is not None and brought.members() != known.members():
        raise StepFault("step_done", f"{call_id}: it was re-wrapped by {call.signer} already, for another key")
    papers = known or brought
    if papers is None:
        raise StepFault("rewrap_malformed", f"{call_id}: key.age, rewrap.json and its signature expected")
    if known is None:
        _require_of_call(site, papers, call, roles)
    check = files.get(_CHECK, b"")
    if check:
        _require_check(call_id, papers, check, roles)
    elif known is not None:
        raise StepFault("step_done", f"{call_id}: it was re-wrapped by {call.signer} already")
    return UploadedCall(call.row, brought if known is None else None, check, before)


def _papers(call_id: str, files: Mapping[str, bytes]) -> Wrapped | None:
    names = {sealed.KEY, hold.REWRAP, _SIG}
    have = names & files.keys()
    if not have:
        return None
    if have != names:
        raise StepFault("rewrap_malformed", f"{call_id}: {', '.join(sorted(names - have))} missing")
    return Wrapped(hold.REWRAP, files[hold.REWRAP], files[_SIG], files[sealed.KEY])


def _require_of_call(site: Site, papers: Wrapped, call: OverflowCall, roles: Roles) -> None:
    row: Mapping[str, Any] = call.row
    checking.require_call(site, row, roles, opens=False)
    document = verify_wrapped(papers, f"{call.call_id}: {papers.name}", call.call_id, row["record_sha256"], roles)
    if not isinstance(document, Rewrap):
        raise StepFault("rewrap_malformed", f"{call.call_id}: a hold is uploaded on its own page")
    if (document.unit, document.call_id, document.from_epoch) != (row["unit"], call.call_id, call.epoch):
        raise StepFault("rewrap_other_call", f"{call.call_id}: unit, call or epoch are not those of the record")
    if call.day and document.epoch != call.day:
        text = f"{call.call_id}: it is wrapped for {document.epoch}, and its unit stated {call.day}"
        raise StepFault("rewrap_other_day", text)


def _require_check(call_id: str, papers: Wrapped, check: bytes, roles: Roles) -> None:
    try:
        wrapped.require_check_signature(papers.document, check, roles, overflowcalls.signer_of(papers, roles))
    except Refusal as error:
        raise StepFault("rewrap_check", f"{call_id}: {error}") from None


_KEEPING = threading.Lock()


def keep(site: Site, taken: UploadedCall) -> None:
    """Writes the files into the desk's folder of holds, the document last. StepFault if another upload was first, or
    the folder cannot be written."""
    files = {} if taken.papers is None else taken.papers.members()
    if taken.check:
        files[_CHECK] = taken.check
    with _KEEPING:
        folder = overflowcalls.folder_of(site, taken.row)
        if folder is None:
            raise StepFault("holds_missing", f"[copy] holds: no folder for {taken.call_id}, or other papers are in it")
        if overflowcalls.stored_rewrap(site, taken.row) != taken.before:
            raise StepFault("step_done", f"{taken.call_id}: somebody else has uploaded it meanwhile")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in sorted(files, key=lambda name: (name == hold.REWRAP, name)):
                replace_durably(folder / name, files[name], mode=_MODE)
        except OSError as error:
            raise StepFault("holds_missing", f"[copy] holds: {folder.name}: {error.strerror}") from None


def place(site: Site) -> Path | None:
    """The folder of stored papers; None if desk.toml names none."""
    copy = site.settings.desk.copy
    return None if copy is None or copy.holds is None else Path(copy.holds)
