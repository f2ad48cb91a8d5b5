# SPDX-License-Identifier: Apache-2.0
"""The roles of those who sign in to the pages. What each may see stands in the routes."""

from __future__ import annotations

from typing import Literal, get_args

Role = Literal["watch", "officer", "approver-legal", "approver-manager", "vault", "custodian", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)
SIGNED_IN = frozenset[str](ROLES)  # whoever has any role
EVERYBODY = frozenset({"everybody"})  # before it is known who somebody is: the login, the style sheet
