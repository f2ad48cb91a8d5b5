# SPDX-License-Identifier: Apache-2.0
"""Decides by the configuration's rules for the two numbers whether a call stays unrecorded, and for which reason."""

from __future__ import annotations

import re

from linetap.config import patternsubset
from linetap.config.schema import Recording
from linetap.recorder.calls.evidence.decision import Number
from linetap_core.records import InternalBy

WHOLE_NUMBER = 7  # digits: a Korean local number has 7 or 8
# Service codes such as *23# (hides the caller's number), and Korea's area codes.
_SERVICE = tuple(re.compile(rf"[*#]\d{{{digits}}}[*#]?") for digits in (2, 3))
_AREA = re.compile(r"0(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4])")
_MORE_DIGITS = 2  # pressed after the exchange has connected; with three more it could be a local number


def internal_by(policy: Recording, dialled: str, caller: str | None) -> InternalBy | None:
    """The number that makes the call internal; None: neither number does."""
    if _is_internal(policy, dialled):
        return "dialled"
    return "caller" if caller is not None and _is_internal(policy, caller) else None


def is_emergency(policy: Recording, number: str) -> bool:
    """Whether this is an emergency number (112, 113, 119 or as configured).

    The number counts after a trunk prefix, a service code or an area code, and with excess digits: the exchange
    connects each of these. No longer number in Korea begins with these digits; an extension may.
    """
    more = 0 if _is_internal(policy, number) else _MORE_DIGITS
    starts = {number, *(number[found.end() :] for code in _SERVICE if (found := code.match(number)))}
    starts |= {each.removeprefix(prefix) for each in starts for prefix in policy.trunk_prefixes}
    starts |= {each[found.end() :] for each in starts if (found := _AREA.match(each))}
    return any(
        each.startswith(emergency) and len(each) - len(emergency) <= more
        for each in starts
        for emergency in policy.emergency_numbers
    )


def kind_of_number(policy: Recording, number: str, dial_tone: bool) -> Number:
    """The kind of evidence for an answer to this number, as far as it has been dialled.

    `dial_tone`: dial tone was detected before the number.
    """
    if not number:
        return "unheard" if dial_tone else "hotline"
    bare = {number, *(number.removeprefix(prefix) for prefix in policy.trunk_prefixes)}
    if any(_is_dialled(code, number) for code in policy.pickup_codes):
        return "pickup"
    if any(_is_dialled(plan, each) for plan in policy.numbers_at_once for each in bare):
        return "at_once"
    whole = is_emergency(policy, number) or _is_internal(policy, number)
    if not dial_tone:
        return "at_once"  # without dial tone the digits may belong to a call that already exists
    return "ordinary" if whole or len(number) >= WHOLE_NUMBER else "unfinished"


def _is_dialled(plan: str, number: str) -> bool:
    return len(plan) == len(number) and all(
        digit.isdecimal() if sign == "X" else sign == digit for sign, digit in zip(plan, number, strict=True)
    )


def reason_to_skip(policy: Recording, dialled: str, internal: bool) -> str | None:
    """The reason to skip a call, `emergency` or `internal`; None: the call is announced and recorded."""
    if is_emergency(policy, dialled) and not policy.record_emergency:
        return "emergency"
    if internal and not policy.record_internal:
        return "internal"
    return None


def _is_internal(policy: Recording, number: str) -> bool:
    return bool(number) and patternsubset.matches(policy.internal_pattern, number)
