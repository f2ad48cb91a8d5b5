# SPDX-License-Identifier: Apache-2.0
"""Which calls are not recorded for who is called, and why: the configuration's rules over the two numbers."""

from __future__ import annotations

from linetap.config import narrower
from linetap.config.schema import Recording
from linetap.recorder.calls.evidence.decision import Number
from linetap_core.records import InternalBy

WHOLE_NUMBER = 7  # digits: a Korean local number has 7 or 8


def internal_by(policy: Recording, dialled: str, caller: str | None) -> InternalBy | None:
    """Which of the two numbers says that the call is internal."""
    if _is_internal(policy, dialled):
        return "dialled"
    return "caller" if caller is not None and _is_internal(policy, caller) else None


def is_emergency(policy: Recording, number: str) -> bool:
    """112, 113, 119 or whatever the office says, also behind a trunk prefix."""
    bare = {number, *(number.removeprefix(prefix) for prefix in policy.trunk_prefixes)}
    return not bare.isdisjoint(policy.emergency_numbers)


def kind_of_number(policy: Recording, number: str, dial_tone: bool) -> Number:
    """What the answer to this number may be known by, as it stands while it may still be dialled. `dial_tone`: it was
    heard before."""
    if not number:
        return "unheard" if dial_tone else "hotline"
    bare = {number, *(number.removeprefix(prefix) for prefix in policy.trunk_prefixes)}
    if any(_is_dialled(code, number) for code in policy.pickup_codes):
        return "pickup"
    if any(_is_dialled(plan, each) for plan in policy.numbers_at_once for each in bare):
        return "at_once"
    whole = is_emergency(policy, number) or _is_internal(policy, number)
    if not dial_tone:
        return "at_once"  # these digits may be of a call that was there before them
    return "ordinary" if whole or len(number) >= WHOLE_NUMBER else "unfinished"


def _is_dialled(plan: str, number: str) -> bool:
    return len(plan) == len(number) and all(
        digit.isdecimal() if sign == "X" else sign == digit for sign, digit in zip(plan, number, strict=True)
    )


def reason_to_skip(policy: Recording, dialled: str, internal: bool) -> str | None:
    """`emergency` or `internal`, or None: the call is announced and recorded."""
    if is_emergency(policy, dialled) and not policy.record_emergency:
        return "emergency"
    if internal and not policy.record_internal:
        return "internal"
    return None


def _is_internal(policy: Recording, number: str) -> bool:
    return bool(number) and narrower.matches(policy.internal_pattern, number)
