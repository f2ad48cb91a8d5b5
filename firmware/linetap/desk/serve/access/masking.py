# SPDX-License-Identifier: Apache-2.0
"""The last net before the log: whatever looks like a telephone number in what somebody typed stands there masked."""

from __future__ import annotations

import re

from linetap.mask import masked

# Korean numbers with or without signs between; service numbers; any long run of digits. A day (2026-11-24) is none.
_NUMBER = re.compile(
    r"(?<![\d-])(?:"
    r"\+82[- ]?\d{1,2}[- ]?\d{3,4}[- ]?\d{4}"
    r"|0\d{1,2}[-. ()]{0,3}\d{3,4}[-. ()]{0,3}\d{4,5}"
    r"|\d{3,4}[- ]\d{4}"
    r"|\d{7,}"
    r")(?!\d)"
)


def without_numbers(text: str) -> str:
    return _NUMBER.sub(lambda found: masked(found[0].replace("+82", "0")), text)
