# SPDX-License-Identifier: Apache-2.0
"""The gate before `unwrap`: does this request open this call, now, here, for the first time?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.release import (
    NotReleased,
    Request,
    require_approvals,
    require_purpose,
    require_time,
    standing,
)
from linetap_core.evidence.calls import sealed
from linetap_desk import foreign
from linetap_desk.accesslog.access import Deed
from linetap_desk.accesslog.access_entry import Entry
from linetap_desk.accesslog.deskfolder import Desk
from linetap_desk.proofs import callfolder
from linetap_desk.release import files
from linetap_desk.unsealing.checkedcall import CheckedCall


class _Record(msgspec.Struct):
    call_id: str
    line: int
    files: dict[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundCall:
    """What a call folder says of itself; `sha256` is that of its record.json."""

    call_id: str
    line: int
    sha256: str
    files: dict[str, str]


def found_call(call_dir: Path) -> FoundCall:
    """Refusal if there is no record to read. Whether a unit sealed it so is `linetap verify`'s to say."""
    try:
        data = callfolder.read(call_dir / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
        sealed.require_suite(data)
        record = foreign.decode(data, _Record)
        sealed.call_time(record.call_id)
    except callfolder.Damaged as error:
        raise Refusal(f"{call_dir}: {error}") from None
    except sealed.UnknownSuite as error:
        raise sealed.UnknownSuite(f"{call_dir}: {error}") from None
    except (ValueError, RecursionError, BadInput) as error:
        raise Refusal(f"{call_dir / sealed.RECORD}: not a call record: {error}") from None
    return FoundCall(record.call_id, record.line, hashlib.sha256(data).hexdigest(), record.files)


def require_stands(desk: Desk, step: Deed, path: Path) -> Request:
    """The request, if it is asked for lawfully, approved and in its time; else NotReleased or RolesFault."""
    file = files.load(path)
    request, entry = file.request, step.entry
    files.describe(entry, request)
    entry.request_sha256 = hashlib.sha256(file.data).hexdigest()
    roles = desk.roles(step.past)
    entry.roles = roles.version
    require_time(request, desk.now_ns(step.past))
    require_purpose(request, roles)
    found = standing(file.data, request, file.signatures, roles)
    entry.approvers = sorted({a.person.name for a in found.approvals})
    require_approvals(request, found)
    require_open(request, step.past)
    return request


def require_named(request: Request, call: CheckedCall) -> None:
    """NotReleased unless the request names this very call with this very record."""
    call_id = call.record.call_id
    named = request.call(call_id)
    if named is None:
        raise NotReleased("call_not_named", f"request {request.id} does not name {call_id}")
    if (named.record_sha256, named.line) != (call.record_sha256, call.record.line):
        text = f"{call_id}: its record is not the one that request {request.id} names"
        raise NotReleased("record_differs", text)


def require_open(request: Request, past: list[Entry]) -> None:
    """NotReleased for a request that was closed here."""
    if any(e.verb == "close" and e.outcome == "granted" and e.request == request.id for e in past):
        raise NotReleased("request_closed", f"request {request.id} was closed")


def require_unused(request: Request, sha256: str, call_id: str, past: list[Entry]) -> None:
    """NotReleased if the log says that this call was given out for it, or its id or key served another request."""
    for entry in grants(past):
        if entry.request == request.id and entry.request_sha256 != sha256:
            raise NotReleased("request_id_taken", f"another request of the id {request.id} was used on {entry.at}")
        if entry.one_time == request.one_time and entry.request_sha256 != sha256:
            text = f"the one-time key of request {request.id} served request {entry.request}"
            raise NotReleased("one_time_key_taken", text)
        if entry.request == request.id and call_id in entry.calls and not entry.left:
            raise NotReleased("request_used", f"request {request.id} was used for {call_id} on {entry.at}")


def grants(past: list[Entry]) -> list[Entry]:
    """Every unwrap that was granted and of which something came."""
    taken_back = {entry.grant for entry in past if entry.outcome == "failed"}
    return [
        entry
        for index, entry in enumerate(past)
        if entry.verb == "unwrap" and entry.outcome == "granted" and index not in taken_back
    ]
