# SPDX-License-Identifier: Apache-2.0
"""Verifies a whole call before a layer of its key is removed, and keeps the verified bytes for opening.

Verified are the record, its signature by a named unit, the hash of every file, and the close in the unit's log. Only
this module constructs a `SealedKey`, and the functions of layers.py accept nothing else: a key.age beside a record that
merely names a call opens nothing.
"""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.release import MOST_CALLS, NotReleased
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.merklelog.closing import Closing
from linetap_core.evidence.merklelog.unitlog import Head
from linetap_core.evidence.signing import namespaces, sshsig, unitnames
from linetap_core.records import CallRecord
from linetap_desk.accesslog.access import Entry, LoggedStep
from linetap_desk.proofs import amendments, callfolder
from linetap_desk.proofs.callfolder import KEY_LIMIT_BYTES
from linetap_desk.proofs.verifycall import verify_call
from linetap_desk.unsealing import callproof
from linetap_desk.unsealing.callproof import Basis
from linetap_desk.unsealing.wrapped import require_wrapped
from linetap_desk.witnessing import judge
from linetap_desk.witnessing.judge import NO_POLICY, NOBODY

_ACCESS_LOG = re.compile(r"access-[0-9a-f]{8}")
_CHECKED = object()


class SealedKey:
    """The verified bytes of a key.age that a signed record names, or a vault officer for that record."""

    __slots__ = ("call", "data", "inner_sha256", "sha256")

    def __init__(self, data: bytes, inner_sha256: str, call: OfCall, made_by: object) -> None:
        if made_by is not _CHECKED:
            raise TypeError("a SealedKey is what checkedcall.require_verified returns")
        self.data, self.inner_sha256, self.call = data, inner_sha256, call
        self.sha256 = hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class CheckedCall:
    """A verified call. `head`: the signed head that covers its close. `doubts`: what could not be checked without
    roles. `amended`: the unit's later statement of the record's times and end; `unamended`: why a stored amendment is
    invalid."""

    folder: Path
    record: CallRecord
    record_sha256: str
    key: SealedKey
    head: Head | None
    doubts: tuple[str, ...]
    witnessed: str  # the witnesses' verdict
    amended: Amendment | None
    unamended: str

    def wrapped(self, folder: Path, roles: Roles | None) -> SealedKey:
        """The key of a hold or of a re-wrapping, if a vault officer signed that it belongs to this call."""
        key_age = _bytes(folder, sealed.KEY)
        require_wrapped(folder, self.record, self.record_sha256, key_age, roles)
        return SealedKey(key_age, self.key.inner_sha256, self.key.call, _CHECKED)


def require_verified(call_dir: Path, basis: Basis, *, with_audio: bool = True) -> CheckedCall:
    """The verified call. NotReleased unless a named unit sealed it, closed it in its log, and it is unchanged.
    `with_audio` False: missing parts are no fault, since removing the epoch's layer needs no audio and the signed
    record has the hashes."""
    if not call_dir.is_dir():
        raise BadInput(f"{call_dir}: not a folder; a call folder expected")
    call_dir = call_dir.resolve()
    verdict = verify_call(call_dir, basis.signers, with_audio=with_audio)
    if verdict.problems:
        more = f" (and {len(verdict.problems) - 1} more)" if len(verdict.problems) > 1 else ""
        raise _not_as_sealed(call_dir, verdict.problems[0].text + more)
    record, sha256 = verdict.record, verdict.record_sha256
    if record is None or sha256 is None or (basis.signers is not None and not verdict.trusted):
        raise _not_as_sealed(call_dir, "the signer is not trusted")
    if not record.files:
        raise _not_as_sealed(call_dir, f"nothing was recorded of this call ({record.disposition})")
    _require_unit(call_dir, record, sha256, basis.roles)
    key_age = _bytes(call_dir, sealed.KEY)
    if hashlib.sha256(key_age).hexdigest() != record.files[sealed.KEY]:
        raise _not_as_sealed(call_dir, f"{sealed.KEY} changed while it was being checked")
    close, head = _find_closing(call_dir, record, sha256, basis)
    witnessed = _require_witnessed(call_dir, record, close, basis)
    doubts = [] if basis.signers is not None else [f"{record.call_id}: whose signature it bears was not checked"]
    doubts += [] if head is not None else [f"{record.call_id}: nothing here shows that its unit's log has closed it"]
    key = SealedKey(key_age, record.inner_sha256 or "", OfCall(record.unit, record.call_id), _CHECKED)
    later, unamended = amendments.read_amendment(call_dir, record.unit, sha256, basis.signers)
    return CheckedCall(call_dir, record, sha256, key, head, tuple(doubts), witnessed, later, unamended)


def warn(call: CheckedCall) -> None:
    """Prints a verified call's doubts and its amendment."""
    for doubt in call.doubts:
        sys.stderr.write(f"warning: {doubt}\n")
    if call.unamended:
        sys.stderr.write(f"warning: not counted: amended/{call.unamended}\n")
    if (later := call.amended) is not None:
        times = f"it ended {later.ended_at} at the latest, and is kept until {later.until}"
        sys.stderr.write(f"{call.record.call_id}: amended by its unit: {times}\n")


def _require_unit(call_dir: Path, record: CallRecord, sha256: str, roles: Roles | None) -> None:
    """Requires that a unit sealed the call, not a person, a witness or a desk, even if the signers' file lets them
    sign."""
    if unitnames.is_reserved(record.unit) or _ACCESS_LOG.fullmatch(record.unit):
        raise _not_as_sealed(call_dir, f"{record.unit!r} is the name of no unit")
    if roles is None:
        return
    data = callfolder.read(call_dir / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
    armored = callfolder.read(call_dir / sealed.SIGNATURE, sshsig.SIGNATURE_LIMIT_BYTES)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise _not_as_sealed(call_dir, f"{sealed.RECORD} changed while it was being checked")
    person = roles.holder(sshsig.check(data, armored, namespaces.RECORD))
    if person is not None:
        raise _not_as_sealed(call_dir, f"signed with the key of {person.name} ({person.role}), which is no unit's")


def _find_closing(
    call_dir: Path, record: CallRecord, sha256: str, basis: Basis
) -> tuple[Closing, Head] | tuple[None, None]:
    try:
        found = callproof.find_closing(call_dir, record.unit, basis)
        if found is not None:
            return found, closing.check(found, record.unit, record.call_id, sha256, basis.signers)
    except (Refusal, OSError, msgspec.MsgspecError) as error:
        raise NotReleased("closing_differs", f"{call_dir}: not opened: {error}") from None
    if basis.roles is None:
        return None, None
    text = "not opened: nothing here shows that its unit's log has closed it: --closing with what the desk keeps"
    raise NotReleased("closing_needed", f"{call_dir}: {text} (closing/{call_dir.name}.json), or --log with the log")


def _require_witnessed(call_dir: Path, record: CallRecord, close: Closing | None, basis: Basis) -> str:
    """The witnesses' result; NotReleased if the policy requires more."""
    if basis.rules.policy is None:
        return NO_POLICY
    seen, problem = callproof.witnessed(call_dir, record, close, basis)
    if problem is not None and basis.rules.required:
        raise NotReleased(problem.code, f"{call_dir}: not opened: {problem.text}")
    if seen is None:
        return NOBODY
    return "; ".join([seen.text, *(judge.late(seen, max(judge.moments(record))) if problem is None else [])])


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return callfolder.read(folder / name, KEY_LIMIT_BYTES)
    except callfolder.Damaged as error:
        raise _not_as_sealed(folder, str(error)) from None


def _not_as_sealed(call_dir: Path, text: str) -> NotReleased:
    return NotReleased("call_not_as_sealed", f"{call_dir}: not opened: {text}")


def name_calls(entry: Entry, calls: list[tuple[str, int]]) -> None:
    """Enters call ids and their lines into the log entry."""
    entry.calls = [call_id for call_id, _ in calls[:MOST_CALLS]]
    entry.lines = sorted({line for _, line in calls[:MOST_CALLS]})


def name_folder(entry: Entry, call_dir: Path) -> None:
    """Enters the folder's name before the call is verified, so that refusals are logged with it."""
    name = call_dir.resolve().name
    entry.calls = [name] if sealed.CALL_ID.fullmatch(name) else []


def name_key(step: LoggedStep, call: CheckedCall, key: SealedKey) -> None:
    """Enters the call of the sealed key. NotReleased if this key was opened earlier for another call: one of the two
    records is forged. A key that names no call cannot be checked further."""
    call_id = call.record.call_id
    name_calls(step.entry, [(call_id, call.record.line)])
    step.entry.key_sha256 = key.sha256
    taken_back = {entry.grant for entry in step.past if entry.outcome == "failed"}
    for index, entry in enumerate(step.past):
        same = entry.outcome == "granted" and entry.key_sha256 == key.sha256 and index not in taken_back
        if same and entry.calls and call_id not in entry.calls:
            text = f"opened on {entry.at} as the key of {entry.calls[0]}, and cannot be {call_id}'s too"
            raise NotReleased("key_of_another_call", f"{sealed.KEY}: it was {text}")
