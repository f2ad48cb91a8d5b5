# SPDX-License-Identifier: Apache-2.0
"""The shape of a sealed call: its names, and the bytes of its record.

The recorder that writes a call and the desk that checks it both take it from here.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import PurePosixPath

import msgspec

from linetap_core import jsontext
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence import sealing
from linetap_core.evidence.signing import namespaces
from linetap_core.records import SUITE, CallRecord

RECORD = "record.json"
SIGNATURE = f"record.json{namespaces.SUFFIX}"
META = f"meta{sealing.SUFFIX}"
KEY = f"key{sealing.SUFFIX}"
UNOPENABLE = "unopenable"  # folder of the vault: by call, audio whose key is gone
OPEN = "open.journal"  # while the call is open: its first state, in the frame that a journal file would hold
NEXT_KEY = "key.age.new"  # for a moment at the end of a call that changes its epoch
MOST_PARTS = 999  # the shell recipe joins the parts in the order of their names, three digits wide
RECORD_LIMIT_BYTES = 1024 * 1024

CALL_ID = re.compile(r"(\d{8}T\d{6}\.\d{3}Z)-L\d{2,3}(?:-[0-9A-Za-z]{1,16})?", re.ASCII)
PART_NAME = re.compile(r"audio\.(\d{3})\.age", re.ASCII)


class UnknownSuite(Refusal):
    """A record made with other algorithms than this version knows: nothing it says may be taken for understood."""

    code = "suite_unknown"


class _Named(msgspec.Struct):
    suite: str = ""


def call_time(call_id: str) -> datetime:
    """The UTC time a call id begins with; BadInput if it is no call id."""
    match = CALL_ID.fullmatch(call_id)
    try:
        if match is None:
            raise ValueError
        return datetime.fromisoformat(match[1])
    except ValueError:
        raise BadInput(f"not a call id: {call_id!r}, 20261124T225600.123Z-L03 would be right") from None


def call_ns(call_id: str) -> int:
    """The same in UTC nanoseconds."""
    return round(call_time(call_id).timestamp() * 1000) * 1_000_000


def call_path(call_id: str) -> PurePosixPath:
    """Where a call lies in a vault: 2026/11/24/<call_id>."""
    return PurePosixPath(f"{call_time(call_id):%Y/%m/%d}") / call_id


def part_name(number: int) -> str:
    """`number` from 1 to MOST_PARTS."""
    return f"audio.{number:03d}{sealing.SUFFIX}"


def whole_json(record: CallRecord) -> bytes:
    """What meta.age holds: every field, keys in order."""
    return msgspec.json.encode(record, order="deterministic")


def public_json(record: CallRecord) -> bytes:
    """What record.json holds: the public half and no other field, keys in order."""
    return msgspec.json.encode(msgspec.to_builtins(record.public()), order="deterministic")


def decode_record(data: bytes) -> CallRecord:
    """What record.json or meta.age says. UnknownSuite before anything else is read; MsgspecError if it is none."""
    require_suite(data)
    return jsontext.decode(data, CallRecord)


def require_suite(data: bytes) -> None:
    """UnknownSuite unless the record names the one suite there is; one that names none is refused too."""
    named = jsontext.decode(data, _Named).suite
    if named != SUITE:
        found = f"of suite {named[:40]!r}" if named else "of no suite"
        raise UnknownSuite(f"the record is {found}, this version knows {SUITE!r} alone")
