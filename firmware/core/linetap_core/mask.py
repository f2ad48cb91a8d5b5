# SPDX-License-Identifier: Apache-2.0
"""The only form in which a telephone number may appear in a report: `010-****-1234`."""

from __future__ import annotations

SHOWN = 4
LEAST_HIDDEN = 3


def masked(number: str) -> str:
    """Area code and last four digits; less of a number that is too short for both. An empty number stays empty."""
    digits = "".join(sign for sign in number if sign.isascii() and sign.isdigit())
    area = 2 if digits.startswith("02") else 3 if digits.startswith("0") else 0  # Seoul has 02, all else three
    hidden = len(digits) - area - SHOWN
    if hidden < LEAST_HIDDEN:
        area, hidden = 0, len(digits) - SHOWN
    if hidden < LEAST_HIDDEN:  # an extension or a service number
        return digits[:1] + "*" * (len(digits) - 1)
    return "-".join(part for part in (digits[:area], "*" * hidden, digits[-SHOWN:]) if part)
