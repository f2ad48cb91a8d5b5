# SPDX-License-Identifier: Apache-2.0
"""The approvals of a release by purpose and requesting party: the rules in the signed roles.json.

A rule belongs to one purpose and one party. For a purpose without rules any two people of different roles approve, as
without this table. Under every rule, no one person can release a call: a vault officer and a custodian must act too,
and a request of another office or of a court needs at least two approvals.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import permutations
from typing import Literal, get_args

import msgspec

from linetap_core.clock import parse_rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.keys.publickeys import decode_recipient, encode_recipient
from linetap_core.evidence.signing import document, unitnames

# The requesting party: staff about a call on their own line, another office, the citizen on the call, or a court.
Party = Literal["own_line", "other_office", "citizen", "court"]
May = Literal["listen", "copy"]  # how the recording is given out: with `listen` no copy leaves the desk
PARTIES: tuple[Party, ...] = get_args(Party)
LEAST_APPROVALS: dict[Party, int] = {"own_line": 1, "other_office": 2, "citizen": 1, "court": 2}
OUTSIDE: tuple[Party, ...] = ("citizen", "court")  # no member of staff
MOST_APPROVALS = 4
MOST_RULES, MOST_LINES = 200, 3000  # with 3,000 lines roles.json is at its size limit
_MOST_AGE_DAYS = 3660
_MOST_EXPIRES_DAYS = 31
_MOST_SUPERVISORS = 4
_MOST_ROLES = 16  # for one approval
_MOST_LINE = 999
_NAME_LIMIT = 64
_ROLE = re.compile(r"[a-z][a-z0-9-]{0,31}")


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The conditions of a release. `approvals`: for each approval the roles from which one person gives it, an empty
    list for any approver's role; no two approvals are of one role. `max_age_days`: of the call at the request; 0: any.
    """

    approvals: list[list[str]]
    max_age_days: int = 0
    may: May = "copy"
    expires_days: int = _MOST_EXPIRES_DAYS

    def missing(self, roles: Iterable[str]) -> list[list[str]]:
        """The approvals that people of these roles leave open, by the assignment that leaves fewest.

        In each order of the approvals, each gets the first role that fits; one of the orders fills the greatest number.
        """
        given = sorted(set(roles))
        best = list(self.approvals)
        for order in permutations(self.approvals):
            left = _empty_slots(order, given)
            if len(left) < len(best):
                best = left
        return best

    def takes(self, role: str) -> bool:
        return any(not slot or role in slot for slot in self.approvals)


def _empty_slots(slots: Sequence[list[str]], roles: Sequence[str]) -> list[list[str]]:
    """The slots that stay empty if each in turn gets the first role that fits."""
    free, left = list(roles), []
    for slot in slots:
        found = next((role for role in free if not slot or role in slot), None)
        if found is None:
            left.append(slot)
        else:
            free.remove(found)
    return left


def slots(approvals: Iterable[Sequence[str]]) -> str:
    """The approvals in words: "privacy, legal or manager"."""
    return ", ".join(" or ".join(slot) or "any role" for slot in approvals) or "none"


DEFAULT = Terms(approvals=[[], []])


class Rule(Terms, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The terms of one purpose for one party."""

    purpose: str
    party: Party


class LineStaff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The member of staff of a line, for requests of the party `own_line`. `since`, `until`: earlier and later calls
    are another person's; without `until` the line is still theirs.
    """

    name: str
    unit: str
    line: int
    since: str
    until: str = ""
    recipient: str  # age1... of this person, the only recipient of a recording opened with one approval
    supervisors: list[str]  # names in `people` who may approve for this person

    def has(self, unit: str, line: int, at_ns: int) -> bool:
        """Whether a call on that line at that time is this person's."""
        if (self.unit, self.line) != (unit, line) or at_ns < parse_rfc3339(self.since):
            return False
        return not self.until or at_ns < parse_rfc3339(self.until)


def _of_nobody(phrase: str) -> str:
    return encode_recipient(hashlib.sha256(phrase.encode("ascii")).digest())


# Used in place of a missing requester's key (citizen.py): public keys without a private half.
BY_LISTENING = _of_nobody("linetap: nobody's key; the recording is listened to, and no copy is made")
BY_PASSPHRASE = _of_nobody("linetap: nobody's key; the copy is closed by a passphrase")
GIVEN_OUT = (BY_LISTENING, BY_PASSPHRASE)


def only_party(rules: Iterable[Rule], purpose: str) -> str:
    """The only party for which a purpose has rules; empty if it has none or several."""
    parties = [rule.party for rule in rules if rule.purpose == purpose]
    return parties[0] if len(parties) == 1 else ""


def rule_for(rules: Iterable[Rule], purpose: str, party: str) -> Rule | None:
    return next((rule for rule in rules if (rule.purpose, rule.party) == (purpose, party)), None)


def check_rules(rules: Sequence[Rule], purposes: Collection[str], offices: Collection[str]) -> None:
    """Checks all rules. BadInput names an invalid one. `offices`: the roles that never approve."""
    if len(rules) > MOST_RULES:
        raise BadInput(f"more than {MOST_RULES} rules")
    seen: set[tuple[str, str]] = set()
    for number, rule in enumerate(rules, 1):
        where = f"rules[{number}]"
        if rule.purpose not in purposes:
            raise BadInput(f"{where}.purpose: {rule.purpose!r} is not in the list of purposes")
        if (rule.purpose, rule.party) in seen:
            raise BadInput(f"{where}: there is a rule of {rule.purpose} for {rule.party} already")
        seen.add((rule.purpose, rule.party))
        _check_approvals(rule, where, offices)
        if not 1 <= rule.max_age_days <= _MOST_AGE_DAYS:
            raise BadInput(f"{where}.max_age_days {rule.max_age_days}: 1 to {_MOST_AGE_DAYS} expected")
        if not 1 <= rule.expires_days <= _MOST_EXPIRES_DAYS:
            raise BadInput(f"{where}.expires_days {rule.expires_days}: 1 to {_MOST_EXPIRES_DAYS} expected")


def _check_approvals(rule: Rule, where: str, offices: Collection[str]) -> None:
    least = LEAST_APPROVALS[rule.party]
    if not least <= len(rule.approvals) <= MOST_APPROVALS:
        text = f"{least} to {MOST_APPROVALS} expected for {rule.party}"
        raise BadInput(f"{where}.approvals: {len(rule.approvals)}; {text}")
    for slot in rule.approvals:
        if not 0 < len(slot) <= _MOST_ROLES or any(_ROLE.fullmatch(role) is None for role in slot):
            raise BadInput(f"{where}.approvals: the names of 1 to {_MOST_ROLES} roles expected for each approval")
        if found := sorted(set(slot) & set(offices)):
            raise BadInput(f"{where}.approvals: role {found[0]} never approves")
    if rule.missing(role for slot in rule.approvals for role in slot):
        raise BadInput(f"{where}.approvals: each approval is of another role, and these roles are too few for that")


RequireText = Callable[[str, str, int], None]  # a text, where it stands, and its most characters; or BadInput


def check_lines(
    lines: Sequence[LineStaff], approvers: Collection[str], require: RequireText = document.require_name
) -> None:
    """Checks all lines. BadInput names an invalid one. `approvers`: `document.name_key` of all who may approve."""
    if len(lines) > MOST_LINES:
        raise BadInput(f"more than {MOST_LINES} lines")
    seen: set[tuple[str, str, int, str]] = set()
    for number, staff in enumerate(lines, 1):
        where = f"lines[{number}]"
        require(staff.name, f"{where}.name", _NAME_LIMIT)
        require(staff.unit, f"{where}.unit", _NAME_LIMIT)
        if unitnames.is_reserved(staff.unit) or not 1 <= staff.line <= _MOST_LINE:
            raise BadInput(f"{where}: a unit's name and a line from 1 expected")
        try:
            decode_recipient(staff.recipient)
            since = parse_rfc3339(staff.since)
            until = parse_rfc3339(staff.until) if staff.until else since + 1
        except ValueError as error:
            raise BadInput(f"{where}: {error}") from None
        if until <= since:
            raise BadInput(f"{where}.until: after since expected")
        _check_supervisors(staff, where, approvers)
        key = (document.name_key(staff.name), staff.unit, staff.line, staff.since)
        if key in seen:
            raise BadInput(f"{where}: {staff.name} is named twice for line {staff.line} of {staff.unit}")
        seen.add(key)


def _check_supervisors(staff: LineStaff, where: str, approvers: Collection[str]) -> None:
    if not 0 < len(staff.supervisors) <= _MOST_SUPERVISORS:
        raise BadInput(f"{where}.supervisors: 1 to {_MOST_SUPERVISORS} names expected")
    for name in staff.supervisors:
        if document.name_key(name) not in approvers:
            raise BadInput(f"{where}.supervisors: {name!r} is nobody of the list of people who may approve")
        if document.name_key(name) == document.name_key(staff.name):
            raise BadInput(f"{where}.supervisors: {staff.name} cannot approve for themselves")
