# SPDX-License-Identifier: Apache-2.0
"""OpenSSH's pattern lists (match.c): comma-separated, `*` and `?`, `!` refuses whatever else matches.

Compared byte by byte as there: `?` is one byte, so that a Korean syllable in UTF-8 takes three.
"""

from __future__ import annotations

PATTERN_LIMIT_BYTES = 1022  # one longer than match_pattern_list's buffer ends its list without a match


def in_list(text: str, patterns: str) -> bool:
    """match_pattern_list() == 1."""
    wanted, found = text.encode("utf-8"), False
    for pattern in _patterns(patterns.encode("utf-8")):
        negated, pattern = pattern.startswith(b"!"), pattern.removeprefix(b"!")
        if len(pattern) > PATTERN_LIMIT_BYTES:
            return False
        if matches(wanted, pattern):
            if negated:
                return False
            found = True
    return found


def matches(text: bytes, pattern: bytes) -> bool:
    """match_pattern(): in time linear in their product, whatever the pattern is."""
    at = place = 0
    star, resume = -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == ord("*"):
            star, resume = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in (ord("?"), text[at]):
            at, place = at + 1, place + 1
        elif star >= 0:
            resume += 1
            at, place = resume, star + 1
        else:
            return False
    return not pattern[place:].strip(b"*")


def _patterns(text: bytes) -> list[bytes]:
    """A comma at the end begins no further pattern."""
    return text.removesuffix(b",").split(b",") if text else []
