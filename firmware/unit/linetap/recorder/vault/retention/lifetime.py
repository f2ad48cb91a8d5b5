# SPDX-License-Identifier: Apache-2.0
"""When a sealed call is over, by its own record: what destruction goes by, and where calls lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from linetap_core import jsontext
from linetap_core.clock import parse_rfc3339
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallRecord, CountedMoment
from linetap_core.timekeeping import is_unkept


class BrokenAmendment(ValueError):
    """The newest amendment of a call is not as it was signed."""

    def __init__(self, path: Path, why: object) -> None:
        super().__init__(f"{path.name}: {why}")
        self.path, self.why = path, why


class Lifetime(msgspec.Struct, frozen=True):
    """`until_ns` None: it has no day yet. `bytes` of audio; what else a call has is small.

    `period_ns`: so long it is kept, from its end, by the clock that said when both are. `sealed` in counted time; where
    the record does not say it, `at_ns` is when it ended, None by a clock that nobody had synchronised.
    """

    call_id: str
    line: int
    until_ns: int | None
    bytes: int
    period_ns: int = 0
    sealed: CountedMoment | None = None
    at_ns: int | None = None
    waits: bool = False  # for a clock: an amendment gives it its day

    @classmethod
    def of(cls, record: CallRecord, last: Amendment | None = None) -> Self:
        """`last`: its newest amendment, which counts for more than the record."""
        until = record.retention.until if record.retention else None
        size = record.audio.samples if record.audio else 0
        ended_at = record.actual.ended_at if record.actual else record.ended_at
        if last is not None:
            ended_at, until = last.ended_at, last.until
        ended_ns = parse_rfc3339(ended_at) if ended_at else sealed.call_ns(record.call_id)
        until_ns = None if until is None else parse_rfc3339(until)
        return cls(
            record.call_id, record.line, until_ns, size,
            period_ns=0 if until_ns is None else max(0, until_ns - ended_ns),
            sealed=None if record.counted is msgspec.UNSET else record.counted,
            at_ns=None if is_unkept(record.clock, ended_ns) else ended_ns,
            waits=until is None and record.retention is not None and record.retention.waits_for == "clock",
        )  # fmt: skip


def read(folder: Path) -> tuple[Lifetime, bytes]:
    """And the record's bytes. FileNotFoundError where there is none, ValueError where it is not this call's."""
    record, data, last = record_of(folder)
    return Lifetime.of(record, last), data


def record_of(folder: Path) -> tuple[CallRecord, bytes, Amendment | None]:
    """The record, its bytes, and the newest amendment of it. The same errors, and BrokenAmendment."""
    data = (folder / sealed.RECORD).read_bytes()
    record = jsontext.decode(data, type=CallRecord)
    if record.call_id != folder.name:
        raise ValueError(f"the record in it is of {record.call_id}")
    last = None
    for path in amendments_of(folder)[-1:]:
        try:
            signature = namespaces.beside(path).read_bytes()
            last = amendment.check(
                path.read_bytes(), signature, record.unit, record.call_id, amendment.digest(data), None
            )
        except (FileNotFoundError, Refusal) as error:
            raise BrokenAmendment(path, error) from None
    return record, data, last


def amendments_of(folder: Path) -> list[Path]:
    """Of the call with this folder in a vault, in their order."""
    place = folder.parents[3] / amendment.FOLDER
    if not place.is_dir():
        return []
    found: list[Path] = []
    while (path := place / amendment.name(folder.name, len(found) + 1)).exists():
        found.append(path)
    return found


def require_signature(folder: Path, record: bytes) -> None:
    """ValueError when the record is not as it was signed: no flipped bit ends a call early.

    By whom is not asked: a unit gets a new key, and whoever can write here need not wait for us to destroy.
    """
    try:
        sshsig.check(record, (folder / sealed.SIGNATURE).read_bytes(), namespaces.RECORD)
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


def newest_ns(vault: Path) -> int:
    """The newest time that a call in it is named after; -1: there is none."""
    for day in reversed(list(days(vault))):
        if calls := [name for name in names(day) if sealed.CALL_ID.fullmatch(name)]:
            return sealed.call_ns(calls[-1])
    return -1


def names(folder: Path, digits: int = 0) -> list[str]:
    """In order; of numbers of so many digits alone, if that is said. None where there is no folder."""
    try:
        found = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in found if not digits or (len(name) == digits and name.isascii() and name.isdigit())]
