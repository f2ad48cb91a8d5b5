# SPDX-License-Identifier: Apache-2.0
"""Which calls are not recorded for who is called, and why: the configuration's rules over the two numbers."""

from __future__ import annotations

from linetap.config import narrower
from linetap.config.schema import Recording
from linetap.records import InternalBy


def internal_by(policy: Recording, dialled: str, caller: str | None) -> InternalBy | None:
    """Which of the two numbers says that the call is internal."""
    if _is_internal(policy, dialled):
        return "dialled"
    return "caller" if caller is not None and _is_internal(policy, caller) else None


def is_emergency(policy: Recording, number: str) -> bool:
    """112, 113, 119 or whatever the office says, also behind a trunk prefix."""
    bare = {number, *(number.removeprefix(prefix) for prefix in policy.trunk_prefixes)}
    return not bare.isdisjoint(policy.emergency_numbers)


def reason_to_skip(policy: Recording, dialled: str, internal: bool) -> str | None:
    """`emergency` or `internal`, or None: the call is announced and recorded."""
    if is_emergency(policy, dialled) and not policy.record_emergency:
        return "emergency"
    if internal and not policy.record_internal:
        return "internal"
    return None


def _is_internal(policy: Recording, number: str) -> bool:
    return bool(number) and narrower.matches(policy.internal_pattern, number)
