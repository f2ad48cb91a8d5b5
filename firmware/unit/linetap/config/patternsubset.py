# SPDX-License-Identifier: Apache-2.0
r"""Decides whether a pattern of numbers matches only numbers that another matches too; True only if that is certain.

Sampling cannot decide the inclusion of patterns. Enumeration can, if the new pattern is a sequence of digits, `\d` and
digit classes, each with a bounded count, such as `^[2-8]\d{3}$`: every matching number is tried on the old pattern. For
any other pattern, or with too many numbers, the answer is no.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

MOST_DIGITS = 20  # of an internal number; ITU-T E.164 has 15, and prefixes come before them
MOST_NUMBERS = 100_000  # most numbers tried for a pattern: five digits
_DIGITS = "0123456789"
_ATOM = re.compile(
    r"(?:(?P<digit>[0-9])|(?P<any>\\d)|\[(?P<set>[0-9-]+)\])(?:\{(?P<low>\d{1,2})(?:,(?P<high>\d{1,2}))?\})?", re.ASCII
)


def compiled(pattern: str) -> re.Pattern[str]:
    r"""The pattern of a whole number: `^` and `$` are optional. re.error for an invalid one, also where only the `$`
    makes it valid, as in `21\$`.
    """
    return re.compile(_body(pattern))


def _body(pattern: str) -> str:
    return pattern.removeprefix("^").removesuffix("$")


def matches(pattern: str, number: str) -> bool:
    r"""Whether the whole number matches, as in the judgement of calls. A number of more than MOST_DIGITS never does:
    by a pattern such as `([2-8]\d*)*` each further digit could double the time.
    """
    return len(number) <= MOST_DIGITS and compiled(pattern).fullmatch(number) is not None


def is_narrower(new: str, old: str) -> bool:
    """True only if `new` certainly matches no number that `old` does not. The empty number does not count."""
    if new == old:
        return True
    numbers = _numbers(new)
    return numbers is not None and all(matches(old, number) for number in numbers if number)


def _numbers(pattern: str) -> Iterator[str] | None:
    """Every number that the pattern matches; None if that cannot be determined."""
    runs = _runs(_body(pattern))
    if runs is None:
        return None
    count = 1
    for digits, low, high in runs:
        count *= sum(len(digits) ** times for times in range(low, high + 1))
        if count > MOST_NUMBERS:
            return None
    each = [
        ["".join(found) for times in range(low, high + 1) for found in itertools.product(digits, repeat=times)]
        for digits, low, high in runs
    ]
    return ("".join(parts) for parts in itertools.product(*each))


def _runs(text: str) -> list[tuple[str, int, int]] | None:
    """The digits of each place, with the minimum and maximum count."""
    found, at = [], 0
    while at < len(text):
        match = _ATOM.match(text, at)
        digits = None if match is None else match["digit"] or (_DIGITS if match["any"] else _of_set(match["set"]))
        if match is None or digits is None:
            return None
        low = int(match["low"]) if match["low"] else 1
        high = int(match["high"]) if match["high"] else low
        if high < low or high > len(str(MOST_NUMBERS)):
            return None
        found.append((digits, low, high))
        at = match.end()
    return found


def _of_set(text: str) -> str | None:
    """The digits of a set such as `2-8`, `19`, `2-57`; None for others. A literal dash is not supported."""
    if re.fullmatch(r"(?:[0-9]-[0-9]|[0-9])+", text) is None:
        return None
    digits = set()
    for first, last in re.findall(r"([0-9])(?:-([0-9]))?", text):
        digits |= set(_DIGITS[int(first) : int(last or first) + 1])
    return "".join(sorted(digits)) or None
