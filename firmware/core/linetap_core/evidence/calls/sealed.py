# SPDX-License-Identifier: Apache-2.0
"""The form of a sealed call: its names and the bytes of its record, for the recorder, which writes it, and the desk,
which checks it.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import PurePosixPath

import msgspec

from linetap_core import jsontext
from linetap_core.clock import LATEST_NS, parse_rfc3339, utc_ns_of
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence import sealing
from linetap_core.evidence.signing import namespaces
from linetap_core.records import SUITE, CallRecord

RECORD = "record.json"
SIGNATURE = f"record.json{namespaces.SUFFIX}"
META = f"meta{sealing.SUFFIX}"
KEY = f"key{sealing.SUFFIX}"
UNOPENABLE = "unopenable"  # folder of the vault: audio without its key, by call
OPEN = "open.journal"  # while the call is open: its first state, framed like a journal file
NEXT_KEY = "key.age.new"  # briefly, at the end of a call whose epoch changes
MOST_PARTS = 999  # the shell recipe joins the parts in the order of their names, which have three digits
RECORD_LIMIT_BYTES = 1024 * 1024

CALL_ID = re.compile(r"(\d{8}T\d{6}\.\d{3}Z)-L\d{2,3}(?:-[0-9A-Za-z]{1,16})?", re.ASCII)
PART_NAME = re.compile(r"audio\.(\d{3})\.age", re.ASCII)


class UnknownSuite(Refusal):
    """The record names algorithms unknown to this version: its content must not be interpreted."""

    code = "suite_unknown"


class _Named(msgspec.Struct):
    suite: str = ""


def call_time(call_id: str) -> datetime:
    """The UTC time at the beginning of a call id; BadInput for any other text, and for a time to which a day cannot be
    added."""
    match = CALL_ID.fullmatch(call_id)
    try:
        if match is None or parse_rfc3339(match[1]) >= LATEST_NS:
            raise ValueError
        return datetime.fromisoformat(match[1])
    except ValueError:
        raise BadInput(f"not a call id: {call_id!r}, 20261124T225600.123Z-L03 expected") from None


def call_ns(call_id: str) -> int:
    """The time of a call id in UTC nanoseconds."""
    return utc_ns_of(call_time(call_id))


def call_path(call_id: str) -> PurePosixPath:
    """The path of a call in a vault: 2026/11/24/<call_id>."""
    return PurePosixPath(f"{call_time(call_id):%Y/%m/%d}") / call_id


def part_name(number: int) -> str:
    """The file name of a part; `number` from 1 to MOST_PARTS."""
    return f"audio.{number:03d}{sealing.SUFFIX}"


def whole_json(record: CallRecord) -> bytes:
    """The content of meta.age: every field, keys in order."""
    return msgspec.json.encode(record, order="deterministic")


def public_json(record: CallRecord) -> bytes:
    """The content of record.json: the public fields only, keys in order."""
    return msgspec.json.encode(msgspec.to_builtins(record.public()), order="deterministic")


def decode_record(data: bytes) -> CallRecord:
    """Decodes record.json or meta.age. UnknownSuite comes before any other check; MsgspecError for other data."""
    require_suite(data)
    return jsontext.decode(data, CallRecord)


def require_suite(data: bytes) -> None:
    """Raises UnknownSuite unless the record names the only suite."""
    named = jsontext.decode(data, _Named).suite
    if named != SUITE:
        found = f"of suite {named[:40]!r}" if named else "of no suite"
        raise UnknownSuite(f"the record is {found}, this version knows {SUITE!r} alone")
