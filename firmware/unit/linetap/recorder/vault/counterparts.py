# SPDX-License-Identifier: Apache-2.0
"""Who counts as the second person of another role where something weakens."""

from __future__ import annotations

from linetap_core.evidence.command import OPERATOR, VAULT, Holder, Signed
from linetap_core.evidence.roles import OFFICES, Roles

COUNTERPARTS = "somebody of role vault or of an approver's"


def counterparts(signed: Signed) -> list[Holder]:
    """Of those who cosigned. Never the desk's key, which is online; nor the authority's, which says who the others are;
    nor another one of the same role."""
    others = [each for each in signed.cosigners if each.role != signed.command.role]
    return [each for each in others if each.role == VAULT or each.role not in OFFICES]


def could_cosign(roles: Roles) -> bool:
    """Whether there is somebody who asks for a weakening, and somebody else who counts."""
    names = {person.role for person in roles.people}
    return OPERATOR in names and any(name == VAULT or name not in OFFICES for name in names)
