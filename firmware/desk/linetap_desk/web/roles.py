# SPDX-License-Identifier: Apache-2.0
"""The roles of the people who sign in at the desk, and the sets of roles for the pages."""

from __future__ import annotations

from typing import Literal, get_args

Role = Literal["watch", "officer", "approver-legal", "approver-manager", "vault", "custodian", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)
SIGNED_IN = frozenset[str](ROLES)  # any role
EVERYBODY = frozenset({"everybody"})  # without a login: the login page, the style sheet

ALONE = "auditor"  # an account with this role has no other
SUPERVISOR = "approver-manager"

WATCH = frozenset({"watch"})
OFFICER = frozenset({"officer"})
SUPERVISORS = frozenset({SUPERVISOR})
APPROVERS = SUPERVISORS | {"approver-legal"}
VAULT = frozenset({"vault"})
CUSTODIAN = frozenset({"custodian"})
AUDITOR = frozenset({ALONE})

RELEASES = OFFICER | APPROVERS | VAULT | CUSTODIAN  # take part in a release
READS_CALLS = RELEASES | AUDITOR  # the list of calls, and each release
READS_REPORTS = OFFICER | APPROVERS | AUDITOR  # of ended calls, of protection, and for an accusation

# Roles that no account may combine: request and approve, both approvals, both halves of opening.
APART = (OFFICER | APPROVERS, APPROVERS, VAULT | CUSTODIAN)
