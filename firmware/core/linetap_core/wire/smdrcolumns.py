# SPDX-License-Identifier: Apache-2.0
"""The values of [smdr], a PBX's port and lines, for the unit's configuration and for the desk's form that writes them.

Columns are given as in the PBX's manual: name and width, or name and positions.

`date:8 time:7 ext:5 trunk:2 number:25` are columns separated by one space; `ext:17-21` counts from 1. Formats of dates
and times are letters for digits: `YY/MM/DD`, `HH:MMAM`, `HH:MM'SS`. They become patterns without alternatives and of
bounded length, so that every line is parsed fast.
"""

from __future__ import annotations

import re
from typing import Literal

from linetap_core.errors import BadInput

PORT = "/dev/linetap/smdr"  # udev's name for a serial port of no line card
Baud = Literal[1200, 2400, 4800, 9600]
Format = Literal["panasonic", "columns"]
COLUMNS: Format = "columns"  # any PBX, by the columns in the configuration
MAKERS: dict[Format, str] = {"panasonic": "Panasonic"}  # each other format has its own layout, under its maker's name
TimeIs = Literal["start", "end"]
# Field -> the letters that its format requires, and the letters that it may have.
PICTURES = {"date": ("MD", "YMD"), "time": ("HM", "HMS"), "duration": ("", "HMS")}
NAMES = ("kind", "date", "time", "duration", "ext", "trunk", "number", "skip")
KINDS = ("in", "out", "internal", "connected")


class Standard:
    """The defaults of [smdr], and of the desk's form."""

    baud: Baud = 9600
    date = "MM/DD"
    time = "HH:MM:SS"
    duration = "HH:MM:SS"
    time_is: TimeIs = "start"
    kinds = "I=in O=out"


MOST_COLUMNS = 32
MOST_WIDTH = 256

_COLUMN = re.compile(r"([a-z]+):(\d{1,4})(?:-(\d{1,4}))?")
_RUN = re.compile(r"([YMDHS])\1*")


def columns(text: str) -> dict[str, slice]:
    """Name -> its position in a line. BadInput names the wrong column and the expected form."""
    places: dict[str, slice] = {}
    end = -1
    words = text.split()
    if len(words) > MOST_COLUMNS:
        raise BadInput(f"{len(words)} columns; at most {MOST_COLUMNS}")
    for word in words:
        match = _COLUMN.fullmatch(word)
        if match is None or match[1] not in NAMES:
            raise BadInput(f"{word!r}: a name of {', '.join(NAMES)} with a width, ext:4, or with its places, ext:17-20")
        if match[1] in places:
            raise BadInput(f"{word!r}: {match[1]} is there twice")
        start = end + 1 if match[3] is None else int(match[2]) - 1
        end = start + int(match[2]) if match[3] is None else int(match[3])
        if not 0 <= start < end <= MOST_WIDTH:
            raise BadInput(f"{word!r}: ends before it begins, or beyond {MOST_WIDTH}")
        if match[1] != "skip":
            places[match[1]] = slice(start, end)
    if "time" not in places or not {"ext", "trunk"} & places.keys():
        raise BadInput("time is wanted, and ext or trunk: without them no line can be joined to a call")
    return places


def picture(text: str, needed: str, allowed: str) -> re.Pattern[str]:
    """The pattern of a date or time, with a group for each letter, `half` for AM and PM. BadInput if invalid."""
    half = text.endswith("AM") and "H" in allowed
    body = text.removesuffix("AM") if half else text
    runs = [match[1] for match in _RUN.finditer(body)]
    strange = [letter for letter in body if letter.isalnum() and letter not in allowed]
    if strange or not runs or len(set(runs)) != len(runs) or not set(needed) <= set(runs) or len(body) > MOST_COLUMNS:
        raise BadInput(f"{text!r}: each of {', '.join(allowed)} once, {' and '.join(needed)} at least")
    pattern = ""
    at = 0
    for match in _RUN.finditer(body):
        pattern += r"\D" * (match.start() - at)
        alone = match.end() == len(body) or body[match.end()] not in allowed
        pattern += rf"(?P<{match[1]}>\d{{{1 if alone else len(match[0])},{len(match[0])}}})"
        at = match.end()
    pattern += r"\D" * (len(body) - at)
    return re.compile(pattern + (r" ?(?P<half>[AaPp])[Mm]?" if half else ""), re.ASCII)


def kinds(text: str) -> dict[str, str]:
    """Value of column `kind` -> its meaning, from `I=in O=out X=internal C=connected`. `connected`: printed at the
    answer, during the call.
    """
    found = {}
    for word in text.split():
        sign, _, kind = word.partition("=")
        if not sign or kind not in KINDS:
            raise BadInput(f"{word!r}: I=in, O=out, X=internal or C=connected expected")
        found[sign] = kind
    return found
