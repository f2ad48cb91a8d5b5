# SPDX-License-Identifier: Apache-2.0
"""Shows the signed rules on pages: the purposes and parties that fit a call, and who may approve a request.

For display and choice only: each step checks the request itself (uploadchecks.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from linetap_core.clock import NS_PER_DAY
from linetap_core.evidence.authorization import citizen
from linetap_core.evidence.authorization.release import NotReleased, Request, require_approver, terms_of
from linetap_core.evidence.authorization.releaserules import DEFAULT, LineStaff, Terms
from linetap_core.evidence.authorization.roles import Person, Purpose, Roles
from linetap_core.evidence.calls import sealed

SEPARATOR = "/"  # between purpose and party in a form's value; neither may contain it
MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """A purpose for which a call may be requested. `staff`: the owner of its line, if the rule requires it."""

    purpose: Purpose
    party: str
    terms: Terms
    staff: LineStaff | None = None

    @property
    def value(self) -> str:
        return self.purpose.id + (SEPARATOR + self.party if self.party else "")


def choices(roles: Roles, row: Mapping[str, Any], now_ns: int) -> list[Choice]:
    """The purposes and parties with a rule for the call's age and line; the least strict first."""
    began_ns = sealed.call_ns(row["call_id"])
    found: list[Choice] = []
    for purpose in roles.purposes:
        if purpose.id == citizen.PURPOSE:
            continue  # requested by the register of citizens
        rules = [rule for rule in roles.rules if rule.purpose == purpose.id]
        found += [] if rules else [Choice(purpose, "", DEFAULT)]
        for rule in rules:
            if not 0 <= now_ns - began_ns <= rule.max_age_days * NS_PER_DAY:
                continue
            if rule.party != "own_line":
                found.append(Choice(purpose, rule.party, rule))
                continue
            own = (staff for staff in roles.lines if staff.has(row["unit"], row["line"], began_ns))
            found += [Choice(purpose, rule.party, rule, staff) for staff in own]
    return sorted(found, key=lambda one: len(one.terms.approvals))


def split_value(value: str) -> tuple[str, str]:
    """Purpose and party of a form's value."""
    purpose, _, party = value.partition(SEPARATOR)
    return purpose, party


@dataclass(frozen=True, slots=True)
class Shown:
    """The terms of a request by the roles in force, and the people who may approve it, at most MOST_NAMED."""

    terms: Terms
    people: list[Person]


def shown_terms(request: Request, roles: Roles) -> Shown | None:
    """The terms; None if the request no longer fits its rule."""
    try:
        terms = terms_of(request, roles)
    except NotReleased:
        return None
    return Shown(terms, [person for person in roles.people if _may(person, request, roles)][:MOST_NAMED])


def _may(person: Person, request: Request, roles: Roles) -> bool:
    try:
        require_approver(person, request, roles)
    except NotReleased:
        return False
    return True
