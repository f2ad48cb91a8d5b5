# SPDX-License-Identifier: Apache-2.0
"""The check digit behind a new unit's six digits: a person counts CALL's blinks once, and a mistake is seen.

ISO/IEC 7064, MOD 11,10. It detects each single wrong digit, such as one blink too many, and nine of ten other mistakes.
It is computed from the six digits, so an attacker has to guess neither more nor less.
"""

from __future__ import annotations

_FIRST, _EMPTY = 5, 10


def with_check(digits: str) -> str:
    """The digits and their check digit."""
    doubled = _doubled(_sum(digits))
    return f"{digits}{(1 - doubled) % 10}"


def without_check(digits: str) -> str | None:
    """The digits without their check digit; None if that is not theirs."""
    return digits[:-1] if digits and _sum(digits) == 1 else None


def _sum(digits: str) -> int:
    found = _FIRST
    for digit in digits:
        found = (_doubled(found) + int(digit)) % 10
    return found


def _doubled(found: int) -> int:
    return (found or _EMPTY) * 2 % 11
