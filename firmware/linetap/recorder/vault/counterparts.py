# SPDX-License-Identifier: Apache-2.0
"""Who counts as the second person of another role where something weakens."""

from __future__ import annotations

from linetap.evidence.command import VAULT, Holder, Signed
from linetap.evidence.roles import OFFICES

COUNTERPARTS = "somebody of role vault or of an approver's"


def counterparts(signed: Signed) -> list[Holder]:
    """Of those who cosigned. Never the desk's key, which is online; nor the authority's, which says who the others are;
    nor another one of the same role."""
    others = [each for each in signed.cosigners if each.role != signed.command.role]
    return [each for each in others if each.role == VAULT or each.role not in OFFICES]
