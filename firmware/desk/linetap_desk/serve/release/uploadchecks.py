# SPDX-License-Identifier: Apache-2.0
"""Checks people's uploads by the same code as at the keys. Pure; raises NotReleased or BadInput.

An officer's partial must belong to the verified key.age, which names each part by its hash. A custodian's partial,
whose layers are inside the one-time key's, names its call in its header (evidence/calls/callkey.py); for a call of
version 0.1 the next member's own machine checks that it opens this call's record.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from linetap_core.clock import NS_PER_DAY, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.release import (
    CASE_LIMIT,
    MOST_DAYS,
    NamedCall,
    NotReleased,
    Request,
    check_approvals,
    parse,
    require_approvals,
    require_purpose,
    require_time,
)
from linetap_core.evidence.authorization.releaserules import only_party, rule_for
from linetap_core.evidence.authorization.roles import NAME_LIMIT, Person, Roles
from linetap_core.evidence.calls import callkey
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys.publickeys import decode_recipient
from linetap_core.evidence.sealing import age, group, members
from linetap_core.evidence.sealing.group import MemberProgress, OtherLayer
from linetap_core.evidence.signing import document
from linetap_desk.proofs.callfolder import KEY_LIMIT_BYTES
from linetap_desk.serve.release.steps import RequestState, StepFault
from linetap_desk.unsealing.layers import require_of_call


def judged_partial(data: bytes, keys: Sequence[bytes]) -> tuple[bytes, MemberProgress]:
    """The key to which an officer's partial belongs, and its place. StepFault if it is no partial of a group."""
    if all(group.needed(key) < 2 for key in keys):
        raise StepFault("partial_not_needed", "one officer can open this call's key: upload the half itself")
    _require_sealed(data)
    first_error: Refusal | None = None
    for key in keys:
        try:
            return key, group.progress_of(key, data)
        except Refusal as error:
            first_error = first_error or error
    raise first_error if isinstance(first_error, OtherLayer) else StepFault("partial_malformed", str(first_error))


def is_partial(data: bytes, keys: Sequence[bytes]) -> bool:
    """Whether the file uploaded as the half is a partial."""
    try:
        judged_partial(data, keys)
    except Refusal:
        return False
    return True


def custodians_left(data: bytes, call: OfCall, named: bool) -> int:
    """The number of custodians still needed after this partial. StepFault unless it has the form of a custodian's
    partial, NotReleased if it is of another call. `named`: keys of the call's version name their call; an earlier key
    does not show its call from outside."""
    _require_sealed(data)
    try:
        left = group.needed(data)
    except Refusal as error:
        raise StepFault("partial_malformed", str(error)) from None
    if left >= members.MOST_NEEDED:
        raise StepFault("partial_malformed", f"it still needs {left} people: no layer has been removed")
    require_of_call(data, call)
    if named and callkey.read(data) is None:
        raise NotReleased("key_of_another_call", f"it names no call; a partial of {call} names it")
    return left


def _require_sealed(data: bytes) -> None:
    if len(data) > KEY_LIMIT_BYTES or not group.is_sealed(data):
        raise StepFault("partial_malformed", "not what `linetap unwrap` or `linetap custody` writes for the next one")


_B64 = rb"[A-Za-z0-9+/]{43}"
_HEADER = re.compile(rb"age-encryption\.org/v1\n-> X25519 (?:%b)\n(?:%b)\n--- (?:%b)\n" % (_B64, _B64, _B64))
_PRIVATE = ("AGE-SECRET-KEY-", "PRIVATE KEY-----")


def typed_field(found: object) -> str:
    """A form's field, normalised for a document. StepFault if it contains a private key."""
    text = unicodedata.normalize("NFC", found.strip()) if isinstance(found, str) else ""
    require_public(text.encode("utf-8", "replace"))
    return text


def require_public(data: bytes) -> None:
    if any(word.encode() in data.upper() for word in _PRIVATE):
        raise StepFault("private_key", "this is a private key: it stays with its owner, and was not kept here")


def new_request(call: NamedCall, fields: dict[str, str], roles: Roles, now_ns: int, unit: str = "") -> Request:
    """A request without its id and one-time key, valid no longer than its rule allows. BadInput or NotReleased if it is
    invalid."""
    days = fields["days"]
    if not (days.isascii() and days.isdigit() and len(days) <= 3 and 1 <= int(days) <= MOST_DAYS):
        raise BadInput(f"days: 1 to {MOST_DAYS} expected")
    document.require_plain(fields["case"], "case", CASE_LIMIT)
    document.require_plain(fields["requester"], "requester", NAME_LIMIT)
    try:
        decode_recipient(fields["recipient"])
    except BadInput as error:
        raise BadInput(f"recipient: {error}") from None
    party = party_of(fields.get("party"), fields["purpose"], roles)
    rule = rule_for(roles.rules, fields["purpose"], party)
    stands = int(days) if rule is None else min(int(days), rule.expires_days)
    expires = rfc3339(now_ns + stands * NS_PER_DAY)
    made = Request("", [call], fields["purpose"], fields["case"], fields["requester"], fields["recipient"], "",
                   rfc3339(now_ns), expires, party=party, unit=unit, policy=roles.version)  # fmt: skip
    require_purpose(made, roles)
    return made


def party_of(stated: str | None, purpose: str, roles: Roles) -> str:
    """The stated party, or the only party for which the purpose has rules."""
    return stated or only_party(roles.rules, purpose)


def with_key(state: RequestState, one_time: str, roles: Roles, now_ns: int, signing_page: str = "") -> bytes:
    """request.json, byte for byte as `linetap release request` writes it. `signing_page`: where passkeys may sign
    it."""
    row = state.row
    party = party_of(row["party"], row["purpose"], roles)
    made = Request(
        id=row["id"],
        calls=[NamedCall(row["call_id"], row["line"], row["record_sha256"])],
        purpose=row["purpose"],
        case=row["case_number"],
        requester=row["requester"],
        recipient=row["recipient"],
        one_time=one_time,
        created=rfc3339(now_ns),
        expires=row["expires_at"],
        signing_page=signing_page,
        party=party,
        unit=row["unit"] if party else "",
        policy=roles.version if party else 0,
    )
    data = document.encode(made)
    parse(data)
    require_purpose(made, roles)
    return data


def checked_approval(state: RequestState, sig: bytes, role: str, asker: str, roles: Roles, now_ns: int) -> Person:
    """The person who signed. `role`: of the uploading account; `asker`: the name of the requester."""
    data = bytes(state.row["request"])
    request = parse(data)
    require_time(request, now_ns)
    require_purpose(request, roles)
    judged = check_approvals(data, request, {"the signature": sig}, roles)
    for fault in judged.faults.values():
        raise fault
    person = judged.approvals[0].person
    if document.name_key(person.name) == document.name_key(asker):
        raise NotReleased("approver_is_requester", f"{person.name} has requested it and cannot approve it")
    if not state.takes_approval(role) or any(person.role == one["signer_role"] for one in state.approvals):
        raise NotReleased("approvers_same_role", f"request {request.id}: there is an approval of this role already")
    return person


def require_approved(state: RequestState, roles: Roles, now_ns: int) -> Request:
    """The request, if the roles in force still approve it."""
    data = bytes(state.row["request"])
    request = parse(data)
    require_time(request, now_ns)
    require_purpose(request, roles)
    require_approvals(request, check_approvals(data, request, state.signatures, roles))
    return request


def require_half(state: RequestState, data: bytes, keys: Sequence[bytes], name: str, *, together: bool) -> None:
    """StepFault unless it has the form of the half, and all earlier officers have uploaded. `together`: the remaining
    officers worked at one machine."""
    require_inner(data)
    if is_partial(data, keys):
        raise StepFault("partial_not_half", "this is a partial: upload it as one, since more officers are needed")
    if together or min(map(group.needed, keys)) < 2 or state.chain.open_to(name, left=1):
        return
    if any(one.here and one.left == 1 for one in state.chain.officers):
        raise StepFault("one_person_two_steps", f"request {state.row['id']}: {name} has taken a layer off before")
    raise StepFault("partial_first", "officers of a group act one after another: the partial of the first is missing")


def require_inner(data: bytes) -> None:
    """StepFault unless it is an age file for one X25519 recipient; which recipient is not visible."""
    require_public(data)
    head = _HEADER.match(data)
    if head is None or not age.TAG_BYTES < len(data) - head.end() - age.NONCE_BYTES <= age.SEALED_CHUNK_BYTES:
        raise StepFault("inner_malformed", "not an age file for one recipient: what `linetap unwrap` writes is")


def is_over(moment: str, now_ns: int) -> bool:
    return parse_rfc3339(moment) <= now_ns
