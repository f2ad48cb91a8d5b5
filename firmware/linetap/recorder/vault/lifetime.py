# SPDX-License-Identifier: Apache-2.0
"""When a sealed call is over, by its own record: what destruction goes by, and where calls lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from linetap.clock import parse_rfc3339
from linetap.evidence import sealed, sshsig
from linetap.records import CallRecord


class Lifetime(msgspec.Struct, frozen=True):
    """`until_ns` None: it has no day yet. `bytes` of audio; what else a call has is small."""

    call_id: str
    line: int
    until_ns: int | None
    bytes: int

    @classmethod
    def of(cls, record: CallRecord) -> Self:
        until = record.retention.until if record.retention else None
        size = record.audio.samples if record.audio else 0
        return cls(record.call_id, record.line, None if until is None else parse_rfc3339(until), size)


def read(folder: Path) -> tuple[Lifetime, bytes]:
    """And the record's bytes. FileNotFoundError where there is none, ValueError where it is not this call's."""
    data = (folder / sealed.RECORD).read_bytes()
    record = msgspec.json.decode(data, type=CallRecord)
    if record.call_id != folder.name:
        raise ValueError(f"the record in it is of {record.call_id}")
    return Lifetime.of(record), data


def require_signature(folder: Path, record: bytes) -> None:
    """ValueError when the record is not as it was signed: no flipped bit ends a call early.

    By whom is not asked: a unit gets a new key, and whoever can write here need not wait for us to destroy.
    """
    try:
        sshsig.check(record, (folder / sealed.SIGNATURE).read_bytes(), sealed.RECORD_NAMESPACE)
    except FileNotFoundError:
        if set(names(folder)) != {sealed.RECORD}:  # else it is half destroyed, and was checked before
            raise ValueError("its record is not signed") from None
    except sshsig.SignatureFault as error:
        raise ValueError(str(error)) from None


def days(vault: Path) -> Iterator[Path]:
    """The folders of days, in order."""
    for year in names(vault, 4):
        for month in names(vault / year, 2):
            for day in names(vault / year / month, 2):
                yield vault / year / month / day


def names(folder: Path, digits: int = 0) -> list[str]:
    """In order; of numbers of so many digits alone, if that is said. None where there is no folder."""
    try:
        found = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in found if not digits or (len(name) == digits and name.isascii() and name.isdigit())]
