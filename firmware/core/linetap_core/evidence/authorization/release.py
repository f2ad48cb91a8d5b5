# SPDX-License-Identifier: Apache-2.0
"""A request to open calls, and its approval by two people of different roles, neither of them the requester; or by the
signed rules for its purpose and party (releaserules.py). `terms_of` returns the conditions for everybody.

The approved bytes contain every fact that decides the release: the calls with the hashes of their records, the purpose,
the requester's own key, and the one-time key to which `unwrap` encrypts. A request that passkeys may approve names the
page that shows it to the approver, by the SHA-256 of that page. A request under a rule states the requesting party, the
calls' unit, and the version of its roles: it is refused where older roles are in force.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from linetap_core.clock import NS_PER_DAY, parse_rfc3339
from linetap_core.errors import BadInput, ShownRefusal
from linetap_core.evidence.authorization.releaserules import (
    DEFAULT,
    GIVEN_OUT,
    OUTSIDE,
    PARTIES,
    LineStaff,
    Terms,
    rule_for,
    slots,
)
from linetap_core.evidence.authorization.roles import NAME_LIMIT, Person, Roles
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.digest import is_sha256
from linetap_core.evidence.keys.passkey import PasskeyKey
from linetap_core.evidence.keys.publickeys import decode_recipient
from linetap_core.evidence.signing import document, namespaces, sshsig

APPROVERS = 2  # without a rule that says otherwise
# The versions of the signing page (linetap_desk/release/signingpage.html) whose approvals count, the newest last. A
# version that shows something wrong is removed here; tools/signingpage.py adds a changed one.
SIGNING_PAGES: tuple[str, ...] = (
    "6586ec73e701122586de2aa80ac864867107c9ac9ff90b668744c8f9a7e5173c",
    "987b477f73e3f6030897e6c81531dd5c103c002c4a93382030ba0ae2edcd8c8e",
    "e84a79c23678e850f4947ed50dc98a6267cb96fbaa0cd34c22a8370cde269956",
)
DEFAULT_DAYS = 7
MOST_DAYS = 31
MOST_CALLS = 20  # one leaf of the access log names them all
CASE_LIMIT = 120
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


class NotReleased(ShownRefusal):
    """The request is refused; `code` is stable and ends the message."""


class NamedCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    call_id: str
    line: int
    record_sha256: str


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    id: str
    calls: list[NamedCall]
    purpose: str
    case: str  # a file number; never a caller's name
    requester: str
    recipient: str  # the requester's own age1...: the recipient of the recording
    one_time: str  # age1... of the key that the custodian made only for this request
    created: str
    expires: str
    signing_page: str = ""  # SHA-256 of the page on which passkeys sign; without it none may
    party: str = ""  # requesting party, if a rule is claimed; then the next two fields are set too
    unit: str = ""  # of all its calls
    policy: int = 0  # the version of roles.json with the rule

    def call(self, call_id: str) -> NamedCall | None:
        return next((call for call in self.calls if call.call_id == call_id), None)


@dataclass(frozen=True, slots=True)
class Approval:
    file: str
    person: Person


@dataclass(slots=True)
class Approvals:
    """The approvers, and the faults of the signatures that do not count."""

    terms: Terms = DEFAULT
    approvals: list[Approval] = field(default_factory=list)
    faults: dict[str, NotReleased] = field(default_factory=dict)  # by file

    @property
    def missing(self) -> list[list[str]]:
        """The missing approvals, each as the roles that may give it."""
        return self.terms.missing(approval.person.role for approval in self.approvals)


def require_id(text: str) -> str:
    if _ID.fullmatch(text) is None:
        raise BadInput(f"{text!r} is no id of a request: 1 to 64 letters, digits and ._- expected")
    return text


def parse(data: bytes) -> Request:
    """The request in `data`; BadInput names an invalid field."""
    request = document.decode(data, Request)
    require_id(request.id)
    document.require_plain(request.purpose, "purpose", NAME_LIMIT)
    document.require_plain(request.case, "case", CASE_LIMIT)
    document.require_plain(request.requester, "requester", NAME_LIMIT)
    for name in ("recipient", "one_time"):
        try:
            decode_recipient(getattr(request, name))
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from None
    if request.signing_page and not is_sha256(request.signing_page):
        raise BadInput("signing_page: what `sha256sum` prints of the signing page expected")
    if request.one_time == request.recipient:
        raise BadInput("one_time: it is the requester's own key; the custodian makes one with `linetap release key`")
    _check_party(request)
    if not 0 < len(request.calls) <= MOST_CALLS:
        raise BadInput(f"calls: 1 to {MOST_CALLS} expected")
    for call in request.calls:
        sealed.call_time(call.call_id)
        if not is_sha256(call.record_sha256):
            raise BadInput(f"calls: {call.call_id}: record_sha256 is no SHA-256 in small hexadecimal digits")
    if len({call.call_id for call in request.calls}) != len(request.calls):
        raise BadInput("calls: one is named twice")
    try:
        span_ns = parse_rfc3339(request.expires) - parse_rfc3339(request.created)
    except ValueError as error:
        raise BadInput(f"created, expires: {error}") from None
    if not 0 < span_ns <= MOST_DAYS * NS_PER_DAY:
        raise BadInput(f"expires: at most {MOST_DAYS} days after created expected")
    return request


def _check_party(request: Request) -> None:
    stated = (bool(request.party), bool(request.unit), request.policy > 0)
    if any(stated) and not all(stated):
        raise BadInput("party, unit, policy: all three expected, or none")
    if request.party and request.party not in PARTIES:
        raise BadInput(f"party {request.party!r}: {', '.join(PARTIES)} expected")
    if request.unit:
        document.require_plain(request.unit, "unit", NAME_LIMIT)


def check_approvals(data: bytes, request: Request, signatures: Mapping[str, bytes], roles: Roles) -> Approvals:
    """Checks each signature separately; `signatures` by the names of their files. NotReleased if the request claims a
    rule that does not apply.
    """
    found = Approvals(terms_of(request, roles))
    for name in sorted(signatures):
        try:
            person = _approver(data, signatures[name], request, roles)
        except NotReleased as error:
            found.faults[name] = error
        else:
            found.approvals.append(Approval(name, person))
    return found


def require_time(request: Request, now_ns: int) -> None:
    """Raises NotReleased outside of created..expires."""
    if now_ns < parse_rfc3339(request.created):
        raise NotReleased("request_not_yet", f"request {request.id} was created at {request.created}, which is to come")
    if now_ns >= parse_rfc3339(request.expires):
        raise NotReleased("request_expired", f"request {request.id} expired at {request.expires}")


def require_purpose(request: Request, roles: Roles) -> None:
    """Raises NotReleased unless the purpose is in the list, and the claimed rule applies."""
    if roles.purpose(request.purpose) is None:
        have = ", ".join(purpose.id for purpose in roles.purposes) or "none"
        raise NotReleased("purpose_unknown", f"purpose {request.purpose!r} is not in the signed list: {have}")
    terms_of(request, roles)


def terms_of(request: Request, roles: Roles) -> Terms:
    """The required approvals: by the rule of purpose and party, otherwise two people of different roles.

    NotReleased if the claimed rule is not in force, or contradicts the request's own statements.
    """
    name = f"request {request.id}"
    if not request.party:
        if any(rule.purpose == request.purpose for rule in roles.rules):
            raise NotReleased("party_needed", f"{name}: purpose {request.purpose} has rules; who asks is not stated")
        return DEFAULT
    if roles.version < request.policy:
        text = f"{name}: made by version {request.policy} of the roles, and version {roles.version} is in force here"
        raise NotReleased("policy_older", text)
    rule = rule_for(roles.rules, request.purpose, request.party)
    if rule is None:
        raise NotReleased("rule_unknown", f"{name}: no rule of purpose {request.purpose} for {request.party}")
    if parse_rfc3339(request.expires) - parse_rfc3339(request.created) > rule.expires_days * NS_PER_DAY:
        raise NotReleased("expires_too_late", f"{name}: its rule lets it stand for {rule.expires_days} days at most")
    for call in request.calls:
        _require_began(rule, request, roles, call, sealed.call_ns(call.call_id))
    _require_asker(request, roles)
    return rule


def require_began(request: Request, roles: Roles, call: NamedCall, began_ns: int) -> None:
    """Raises NotReleased unless the rule applies to a call of this beginning, which is the record's if it differs from
    the call id's.
    """
    _require_began(terms_of(request, roles), request, roles, call, began_ns)


def require_copy(request: Request, roles: Roles) -> None:
    """Raises NotReleased if the request is only for listening."""
    if terms_of(request, roles).may != "copy":
        raise NotReleased("copy_not_allowed", f"request {request.id}: it is for listening; nothing is given out")


def _require_began(terms: Terms, request: Request, roles: Roles, call: NamedCall, began_ns: int) -> None:
    age_ns = parse_rfc3339(request.created) - began_ns
    if terms.max_age_days and not 0 <= age_ns <= terms.max_age_days * NS_PER_DAY:
        text = f"request {request.id}: {call.call_id}: its rule is for calls of the {terms.max_age_days} days before it"
        raise NotReleased("call_too_old", text)
    if request.party == "own_line":
        _own_line(request, roles, call, began_ns)


def _require_asker(request: Request, roles: Roles) -> None:
    if request.party == "own_line":
        person = roles.person(request.requester)
        if person is not None and not person.approves:
            text = f"{person.name} is of role {person.role}, and cannot ask for a release that one person approves"
            raise NotReleased("party_differs", text)
    elif request.party in OUTSIDE and request.recipient not in GIVEN_OUT:  # the desk's officer requests
        asker = document.name_key(request.requester)
        staff = [person.name for person in roles.people] + [line.name for line in roles.lines]
        if asker in map(document.name_key, staff):
            raise NotReleased("party_differs", f"{request.requester} is of the staff, and no {request.party}")
        if any(each.recipient == request.recipient for each in roles.lines):
            raise NotReleased("party_differs", f"request {request.id}: its recipient is a key of the staff")


def _own_line(request: Request, roles: Roles, call: NamedCall, began_ns: int) -> LineStaff:
    """The requester's line. NotReleased unless the call is on that line, and for the requester's own key."""
    asker = document.name_key(request.requester)
    for staff in roles.lines:
        own = document.name_key(staff.name) == asker and staff.recipient == request.recipient
        if own and staff.has(request.unit, call.line, began_ns):
            return staff
    where = f"line {call.line} of {request.unit}"
    text = f"{call.call_id}: {where} was not {request.requester}'s at that time, or it is for another key"
    raise NotReleased("party_differs", text)


def require_approvals(request: Request, found: Approvals) -> None:
    """Raises NotReleased with the most important reason if a required approval is missing."""
    if not found.missing:
        return
    if found.faults:
        name, fault = next(iter(found.faults.items()))
        raise NotReleased(fault.code, f"{name}: {str(fault).removesuffix(f' [{fault.code}]')}")
    who = ", ".join(f"{a.person.name} ({a.person.role})" for a in found.approvals) or "no one"
    if len(found.approvals) >= len(found.terms.approvals) and len({a.person.role for a in found.approvals}) == 1:
        raise NotReleased("approvers_same_role", f"request {request.id}: all approvers are of one role: {who}")
    takes = "it takes two people of different roles"
    if found.terms != DEFAULT:
        takes = f"still needed: {slots(found.missing)}"
    raise NotReleased("approvals_missing", f"request {request.id}: approved by {who}; {takes}")


def require_approver(person: Person, request: Request, roles: Roles) -> None:
    """Raises NotReleased if this person may not approve this request."""
    if document.name_key(person.name) == document.name_key(request.requester):
        raise NotReleased("approver_is_requester", f"{person.name} has requested it and cannot approve it")
    if not person.approves:
        raise NotReleased("approver_role", f"{person.name} is of role {person.role}, which approves nothing")
    if not terms_of(request, roles).takes(person.role):
        raise NotReleased("approver_rule", f"{person.name} is of role {person.role}, which its rule does not name")
    if request.party == "own_line":
        name = document.name_key(person.name)
        for call in request.calls:
            staff = _own_line(request, roles, call, sealed.call_ns(call.call_id))
            if name not in map(document.name_key, staff.supervisors):
                text = f"{person.name} does not supervise {request.requester} on line {call.line} of {request.unit}"
                raise NotReleased("approver_rule", text)


def require_page(request: Request) -> None:
    """Raises NotReleased unless the request names a known signing page."""
    if not request.signing_page:
        raise NotReleased("signing_page_unknown", f"request {request.id} names no page for passkeys to sign on")
    if request.signing_page not in SIGNING_PAGES:
        text = f"request {request.id} names a signing page that this version of linetap does not know"
        raise NotReleased("signing_page_unknown", text)


def _approver(data: bytes, armored: bytes, request: Request, roles: Roles) -> Person:
    try:
        key = sshsig.check(data, armored, namespaces.RELEASE)
    except sshsig.DoesNotFit:
        text = "the signature does not fit: the request was changed after it was approved"
        raise NotReleased("approval_does_not_fit", text) from None
    except sshsig.PasskeyRefused as error:
        raise NotReleased("approval_passkey", f"the passkey's signature does not count: {error}") from None
    except sshsig.SignatureFault as error:
        raise NotReleased("approval_malformed", str(error)) from None
    person = roles.holder(key)
    if person is None:
        raise NotReleased("approver_unknown", "the key that signed belongs to no one in the roles file")
    require_approver(person, request, roles)
    if isinstance(key, PasskeyKey):
        require_page(request)
    return person
