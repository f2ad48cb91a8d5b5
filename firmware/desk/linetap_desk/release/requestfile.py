# SPDX-License-Identifier: Apache-2.0
"""Reads and writes the files of a request, and checks them before `unwrap`: request.json, its signatures, and the
custodian's one-time key.

The checks decide whether a request opens a call: approved, unexpired, not closed, and not used before.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap_core.clock import NS_PER_S, Clock, parse_rfc3339, rfc3339
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.release import (
    MOST_CALLS,
    NotReleased,
    Request,
    check_approvals,
    parse,
    require_approvals,
    require_began,
    require_copy,
    require_purpose,
    require_time,
)
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.records import ActualTime
from linetap_core.rundir import read_small
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog.access import Entry, LoggedStep
from linetap_desk.accesslog.deskfolder import Desk
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder
from linetap_desk.unsealing import callproof, checkedcall
from linetap_desk.unsealing.checkedcall import CheckedCall, name_calls

_MOST_SIGNATURES = 16
_MARK = "# release: "  # a comment to age
_KEY_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class RequestFile:
    """A request's exact bytes, their content, and the signatures by file name."""

    path: Path
    data: bytes
    request: Request
    signatures: dict[str, bytes]


def load_request(path: Path) -> RequestFile:
    """The request. NotReleased if it is invalid, BadInput if its file cannot be read."""
    data = read_small(path, document.LIMIT_BYTES)
    try:
        request = parse(data)
    except BadInput as error:
        raise NotReleased("request_malformed", f"{path}: {error}") from None
    return RequestFile(path, data, request, signatures(path))


def signatures(path: Path) -> dict[str, bytes]:
    """The signatures of request.json: request.json.sig and request.json.ANYTHING.sig in the same folder."""
    names = sorted(
        p.name for p in path.parent.iterdir() if p.name.startswith(f"{path.name}.") and p.suffix == namespaces.SUFFIX
    )
    if len(names) > _MOST_SIGNATURES:
        raise BadInput(f"{path}: {len(names)} signatures beside it, at most {_MOST_SIGNATURES} expected")
    return {name: read_small(path.with_name(name), sshsig.SIGNATURE_LIMIT_BYTES) for name in names}


def describe(entry: Entry, request: Request) -> None:
    """Enters the request's data into the log entry, before the outcome is known."""
    entry.request, entry.purpose, entry.case = request.id, request.purpose, request.case
    entry.requester, entry.recipient, entry.one_time = request.requester, request.recipient, request.one_time


def verified_calls(args: argparse.Namespace, folders: list[Path], desk: Desk, step: LoggedStep) -> list[CheckedCall]:
    """The verified calls. Nothing is opened yet, so audio may be missing."""
    step.entry.calls = [path.resolve().name for path in folders][:MOST_CALLS]
    basis = callproof.basis(args, desk, desk.roles(step.past))
    found = [checkedcall.require_verified(path, basis, with_audio=False) for path in folders]
    name_calls(step.entry, [(call.record.call_id, call.record.line) for call in found])
    return found


def write_key(path: Path, request_id: str, clock: Clock = KEPT) -> str:
    """Writes a new key for this request only (0600); returns its public key."""
    identity = keys.new_identity()
    text = f"{_MARK}{request_id}\n" + keys.identity_file(identity, rfc3339(clock.utc_ns()))
    privatefile.write(path, text.encode("ascii"))
    return identity.recipient


def key_request(path: Path) -> str:
    """The request for which a private file was made; empty if it is no one-time key."""
    first = read_small(path, _KEY_LIMIT_BYTES).decode("ascii", "replace").partition("\n")[0]
    return first.removeprefix(_MARK).strip() if first.startswith(_MARK) else ""


class _Record(msgspec.Struct):
    call_id: str
    line: int
    files: dict[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundCall:
    """A call folder's unverified statements; `sha256` is that of its record.json."""

    call_id: str
    line: int
    sha256: str
    files: dict[str, str]


def found_call(call_dir: Path) -> FoundCall:
    """The call, unverified (`linetap verify`). A Refusal if there is no readable record."""
    try:
        data = callfolder.read(call_dir / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
        sealed.require_suite(data)
        record = strict.decode(data, _Record)
        sealed.call_time(record.call_id)
    except callfolder.Damaged as error:
        raise Refusal(f"{call_dir}: {error}") from None
    except sealed.UnknownSuite as error:
        raise sealed.UnknownSuite(f"{call_dir}: {error}") from None
    except (ValueError, RecursionError, BadInput) as error:
        raise Refusal(f"{call_dir / sealed.RECORD}: not a call record: {error}") from None
    return FoundCall(record.call_id, record.line, hashlib.sha256(data).hexdigest(), record.files)


def require_stands(desk: Desk, step: LoggedStep, path: Path, *, gives: bool) -> Request:
    """The request, if its purpose, rule, approvals and time are valid; else NotReleased or RolesFault. `gives`: the
    requester gets a copy, which a request for listening alone does not allow."""
    file = load_request(path)
    request, entry = file.request, step.entry
    describe(entry, request)
    entry.request_sha256 = hashlib.sha256(file.data).hexdigest()
    roles = desk.roles(step.past)
    entry.roles = roles.version
    require_time(request, desk.now_ns(step.past))
    require_purpose(request, roles)
    found = check_approvals(file.data, request, file.signatures, roles)
    entry.approvers = sorted({a.person.name for a in found.approvals})
    require_approvals(request, found)
    require_open(request, step.past)
    if gives:
        require_copy(request, roles)
    return request


def require_named(request: Request, call: CheckedCall, roles: Roles) -> None:
    """NotReleased unless the request names this call with this record, and its claims about the call are true."""
    call_id = call.record.call_id
    named = request.call(call_id)
    if named is None:
        raise NotReleased("call_not_named", f"request {request.id} does not name {call_id}")
    if (named.record_sha256, named.line) != (call.record_sha256, call.record.line):
        text = f"{call_id}: its record is not the one that request {request.id} names"
        raise NotReleased("record_differs", text)
    if request.party and call.record.unit != request.unit:
        text = f"{call_id}: it is of {call.record.unit}, and request {request.id} says {request.unit}"
        raise NotReleased("party_differs", text)
    for began_ns in _began(call):
        require_began(request, roles, named, began_ns)


def _began(call: CheckedCall) -> list[int]:
    """The call's begin by its id; if a wrong clock gave that, the earliest and latest time stated by its unit since. 0:
    no bound."""
    actual = call.record.actual if isinstance(call.record.actual, ActualTime) else None
    stated = [one for one in (actual, call.amended) if one is not None]
    if not stated:
        return [sealed.call_ns(call.record.call_id)]
    latest = [parse_rfc3339(one.began_at) for one in stated]
    spans = [one.uncertainty_s for one in stated]
    earliest = [0 if span is None else at - span * NS_PER_S for at, span in zip(latest, spans, strict=True)]
    return [min(earliest), max(latest)]


def require_open(request: Request, past: list[Entry]) -> None:
    """NotReleased if the request was closed here."""
    if any(e.verb == "close" and e.outcome == "granted" and e.request == request.id for e in past):
        raise NotReleased("request_closed", f"request {request.id} was closed")


def require_unused(request: Request, sha256: str, call_id: str, past: list[Entry]) -> None:
    """NotReleased if this call was given out for the request before, or if the request's id or key served another
    request."""
    for entry in grants(past):
        if entry.request == request.id and entry.request_sha256 != sha256:
            raise NotReleased("request_id_taken", f"another request of the id {request.id} was used on {entry.at}")
        if entry.one_time == request.one_time and entry.request_sha256 != sha256:
            text = f"the one-time key of request {request.id} served request {entry.request}"
            raise NotReleased("one_time_key_taken", text)
        if entry.request == request.id and call_id in entry.calls and not entry.left:
            raise NotReleased("request_used", f"request {request.id} was used for {call_id} on {entry.at}")


def grants(past: list[Entry]) -> list[Entry]:
    """Every granted unwrap that took effect."""
    taken_back = {entry.grant for entry in past if entry.outcome == "failed"}
    return [
        entry
        for index, entry in enumerate(past)
        if entry.verb == "unwrap" and entry.outcome == "granted" and index not in taken_back
    ]
