# SPDX-License-Identifier: Apache-2.0
"""The index of calls by number: time, line and call id of each. Unit and desk share its form.

`index/<epoch>/<day>-<number>.age` in a vault is JSON lines, one a call, sealed to the index key of its epoch, which is
destroyed with the epoch. `day` is the local day on which the calls ended: a search for an afternoon opens no other
file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Self

import msgspec

from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence import sealing
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.sealing import age, grouptar
from linetap_core.evidence.sealing.keylist import DAY, OVERFLOW_NAME
from linetap_core.records import CallRecord, Direction, Disposition

FOLDER = "index"
MOST_ENTRIES = 512  # entries of a segment: 8 busy lines have as many in a day
ENTRY_LIMIT_BYTES = 1024
# A segment sealed to a group is as many times longer as the group has files.
SEGMENT_LIMIT_BYTES = grouptar.MOST_FILES * (MOST_ENTRIES * ENTRY_LIMIT_BYTES + age.SEALED_CHUNK_BYTES)
LEAST_DIGITS = 4  # shorter endings match too many numbers

_EPOCH = re.compile(rf"(?P<overflow>{OVERFLOW_NAME})(?:\.(?P<last>{DAY}))?|(?P<day>{DAY})")
_SEGMENT = re.compile(rf"({DAY})-(\d{{3,6}})\.age")
_KOREA = re.compile(r"(?:\+|00)82\s*(?:\(0\)|0)?")
_FIRST_DAY = date(1970, 1, 1)


class BadIndex(Refusal):
    """A segment's content is no index."""

    code = "index_malformed"


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry for one call. `number`: the other party's, as in the record; `name`: that party's, if it called; `at`:
    the time at which the line first moved.
    """

    call_id: str
    unit: str
    line: int
    at: str
    direction: Direction = "unknown"
    number: str = ""
    extension: str = ""
    internal: bool = False
    disposition: Disposition = "recorded"
    name: str = ""

    @classmethod
    def of(cls, record: CallRecord, extension: str = "", number: str = "") -> Self:
        """The entry of a record. `extension`, and `number` if the record has none, come from other sources."""
        caller = record.caller.number if record.caller is not None else None
        name = record.caller.name if record.caller is not None and record.direction != "out" else None
        known = (caller, record.dialled) if record.direction == "in" else (record.dialled, caller)
        return cls(
            call_id=record.call_id,
            unit=record.unit,
            line=record.line,
            at=rfc3339(sealed.call_ns(record.call_id)),
            direction=record.direction,
            number=(known[0] or number or (known[1] if record.direction == "unknown" else "") or "")[:64],
            extension=extension[:32],
            internal=record.internal,
            disposition=record.disposition,
            name=(name or "")[:64],
        )


_DECODER = msgspec.json.Decoder(Entry)


class SegmentPlace(msgspec.Struct, frozen=True):
    """The place of an entry: `folder` by epoch, `day` by the call's end."""

    folder: str
    day: str


class CallSegment(msgspec.Struct, frozen=True):
    """A sealed segment of one call."""

    place: SegmentPlace
    sealed: bytes


def encode(entries: Iterable[Entry]) -> bytes:
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)


def decode(data: bytes) -> list[Entry]:
    """The entries. BadIndex for other data; fields of a later version are allowed. `began_ns` checks the call id."""
    try:
        entries = _DECODER.decode_lines(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadIndex(str(error)) from None
    if len(entries) > MOST_ENTRIES:
        raise BadIndex(f"more than {MOST_ENTRIES} calls")
    return entries


def began_ns(entry: Entry) -> int:
    """The call's beginning, UTC ns; BadIndex if the call id is invalid."""
    try:
        return sealed.call_ns(entry.call_id)
    except BadInput as error:
        raise BadIndex(str(error)) from None


def folder_name(epoch: str, last_day: date | None) -> str:
    """The folder of an epoch. An overflow epoch's folder ends with the calls' own last day, if they have one."""
    return epoch if last_day is None or epoch == last_day.isoformat() else f"{epoch}.{last_day}"


def parse_folder(name: str) -> tuple[str, date | None] | None:
    """The epoch whose key opens the folder's files, and the day on which it ends; None for any other folder. A day
    beyond the range of the clock counts as none: a unit may sign a list with any folder's name.
    """
    if (match := _EPOCH.fullmatch(name)) is None:
        return None
    text = match["day"] or match["last"]
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        return None
    return None if day is not None and day < _FIRST_DAY else (match["overflow"] or name, day)


def segment_name(day: str, number: int) -> str:
    return f"{day}-{number:03d}{sealing.SUFFIX}"


def parse_segment(name: str) -> tuple[date, int] | None:
    """Day and number of a segment; None for any other file."""
    match = _SEGMENT.fullmatch(name)
    try:
        return (date.fromisoformat(match[1]), int(match[2])) if match else None
    except ValueError:
        return None


def digits_of(number: str) -> str:
    """The digits to compare: `+82 10-1234-5678`, `0082 10...` and `010-1234-5678` are one number."""
    if number.isascii() and number.isdigit() and not number.startswith("00"):  # nearly every number has this form
        return number
    national = _KOREA.sub("0", number.strip(), count=1) if _KOREA.match(number.strip()) else number
    return "".join(sign for sign in national if sign.isascii() and sign.isdigit())


def is_number(entry: Entry, digits: str) -> bool:
    """Whether an entry has this number or ending: `digits` from `digits_of`, at least LEAST_DIGITS. A trunk prefix may
    precede the dialled number, so that a whole number can be an ending too.
    """
    return digits_of(entry.number).endswith(digits)
