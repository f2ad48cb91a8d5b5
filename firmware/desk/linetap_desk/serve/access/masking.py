# SPDX-License-Identifier: Apache-2.0
"""The last safeguard before the log: masks whatever looks like a telephone number in typed text."""

from __future__ import annotations

import re
import unicodedata

from linetap_core.evidence.calls.sealed import CALL_ID
from linetap_core.mask import masked

_BETWEEN = r"[-. ()/]{0,3}"
_ABROAD = re.compile(r"(?:\+|00)?82[-. ]?(?:\(0\)|0)?")
_MOBILE = rf"1[016-9]{_BETWEEN}\d{{3,4}}{_BETWEEN}\d{{4}}"
_FIXED = rf"(?:2|[3-6]\d|70|80|50\d){_BETWEEN}\d{{3,4}}{_BETWEEN}\d{{4}}"
# By form only: mobile numbers anywhere; others not where digits and a hyphen before them make a longer number.
_KOREAN = (
    rf"(?<!\d)(?:{_ABROAD.pattern}{_BETWEEN}|0){_MOBILE}(?!\d)",
    rf"(?<!\d)(?<!\d-)(?:{_ABROAD.pattern}{_BETWEEN}|0){_FIXED}(?!\d)",
    r"(?<!\d)(?<!\d-)1[568]\d\d[- ]?\d{4}(?!\d|-\d)",
)
_IN_CASE = re.compile("|".join(_KOREAN), re.ASCII)
# Also masked except in case numbers: numbers mistyped or without an area code, and any long run of digits. A date
# (2026-11-24) is not.
_OTHERS = (
    rf"(?<![\d-])0\d{{1,2}}{_BETWEEN}\d{{3,4}}{_BETWEEN}\d{{4,5}}(?!\d)",
    r"(?<![\d-])\d{3,4}[- ]\d{4}(?!\d)",
    r"\d{7,}",
)
_ANYWHERE = re.compile("|".join(_KOREAN + _OTHERS), re.ASCII)


def without_numbers(text: str) -> str:
    return _without(text, _ANYWHERE)


def case_without_numbers(text: str) -> str:
    """A case number stays whole (2026-0042), unless it has the form of a Korean telephone number."""
    return _without(text, _IN_CASE)


def call_without_numbers(call_id: str) -> str:
    """A call id is kept; any other text is masked."""
    return call_id if CALL_ID.fullmatch(call_id) else without_numbers(call_id)


def has_number(text: str) -> bool:
    """Whether it contains one by the narrow rule for case numbers."""
    return _IN_CASE.search(_plain(text)) is not None


def _without(text: str, number: re.Pattern[str]) -> str:
    parts, end = [], 0
    for found in number.finditer(_plain(text)):
        parts += [text[end : found.start()], masked(_at_home(found[0]))]
        end = found.end()
    return "".join([*parts, text[end:]])


def _at_home(number: str) -> str:
    abroad = _ABROAD.match(number)
    return number if abroad is None else f"0{number[abroad.end() :]}"


def _plain(text: str) -> str:
    """As long as the text: digits of any script as ASCII, any dash as a hyphen, any space as a space."""
    return "".join(map(_plain_sign, text))


def _plain_sign(sign: str) -> str:
    if sign.isascii():
        return sign
    if (digit := unicodedata.decimal(sign, None)) is not None:
        return str(digit)
    sign = {"Pd": "-", "Zs": " "}.get(unicodedata.category(sign), sign)
    return "+" if sign == "＋" else sign
