# SPDX-License-Identifier: Apache-2.0
"""The end of a sealed call's period, by its own record, and the folders of calls in a vault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from linetap_core import jsontext, plainfile
from linetap_core.clock import parse_rfc3339
from linetap_core.durable import folders
from linetap_core.durable.unreadable import is_missing
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallRecord, CountedMoment
from linetap_core.timekeeping import is_unkept


class BrokenAmendment(ValueError):
    """The newest amendment of a call does not match its signature."""

    def __init__(self, path: Path, why: object) -> None:
        super().__init__(f"{path.name}: {why}")
        self.path, self.why = path, why


class Lifetime(msgspec.Struct, frozen=True):
    """The period of a call. `until_ns` None: no end date yet. `bytes`: bytes of audio; the rest of a call is small.

    `period_ns`: the retention from the call's end, by the clock that gave both times. `sealed`: the moment of the seal
    in counted time; if the record has none, `at_ns` is the call's end, or None if its clock was not synchronised.
    """

    call_id: str
    line: int
    until_ns: int | None
    bytes: int
    period_ns: int = 0
    sealed: CountedMoment | None = None
    at_ns: int | None = None
    waits: bool = False  # the call waits for a clock: an amendment will give it an end date

    @classmethod
    def of(cls, record: CallRecord, last: Amendment | None = None) -> Self:
        """The lifetime by a record. `last`: the newest amendment, which takes precedence over the record."""
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
    """Returns the lifetime and the record's bytes. FileNotFoundError without a record, ValueError for another call's
    record.
    """
    record, data, last = record_of(folder)
    return Lifetime.of(record, last), data


def record_of(folder: Path) -> tuple[CallRecord, bytes, Amendment | None]:
    """Returns the record, its bytes, and its newest amendment. Raises the errors of `read`, and BrokenAmendment."""
    data = plainfile.read(folder / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
    record = jsontext.decode(data, type=CallRecord)
    if record.call_id != folder.name:
        raise ValueError(f"the record in it is of {record.call_id}")
    last = None
    for path in amendments_of(folder)[-1:]:
        try:
            signature = plainfile.read(namespaces.signature_path(path), sshsig.SIGNATURE_LIMIT_BYTES)
            sha256 = amendment.digest(data)
            found = plainfile.read(path, amendment.LIMIT_BYTES)
            last = amendment.check(found, signature, record.unit, record.call_id, sha256, None, path.name)
        except (FileNotFoundError, Refusal) as error:
            raise BrokenAmendment(path, error) from None
    return record, data, last


def amendments_of(folder: Path) -> list[Path]:
    """Returns the amendments of the call with this folder, in order."""
    place = folder.parents[3] / amendment.FOLDER
    if not place.is_dir():
        return []
    found: list[Path] = []
    while not is_missing(path := place / amendment.name(folder.name, len(found) + 1)):
        found.append(path)
    return found


def require_signature(folder: Path, record: bytes) -> None:
    """ValueError if the record does not match its signature, so that no flipped bit ends a call early.

    The signer is not checked: a unit may get a new key, and a writer of this folder could delete the call anyway.
    """
    try:
        signature = plainfile.read(folder / sealed.SIGNATURE, sshsig.SIGNATURE_LIMIT_BYTES)
        sshsig.check(record, signature, namespaces.RECORD)
    except FileNotFoundError:
        if set(folders.names(folder)) != {sealed.RECORD}:  # else the call is half destroyed and was checked before
            raise ValueError("its record is not signed") from None
    except sshsig.SignatureFault as error:
        raise ValueError(str(error)) from None


def days(vault: Path) -> Iterator[Path]:
    """Yields the day folders, in order."""
    for year in folders.names_found(vault, 4):
        for month in folders.names_found(vault / year, 2):
            for day in folders.names_found(vault / year / month, 2):
                yield vault / year / month / day


def set_aside_strangers(vault: Path) -> None:
    """Sets aside files, links and FIFOs with the names of years, months and days: no call could be written there."""
    above = [vault]
    for digits in (4, 2, 2):
        below = [folder / name for folder in above for name in folders.names_found(folder, digits)]
        above = [folder for folder in below if folders.is_there(folder)]


def newest_ns(vault: Path) -> int:
    """Returns the newest time in a call's name, or -1 if there is no call."""
    for day in reversed(list(days(vault))):
        if calls := [name for name in folders.names_found(day) if sealed.CALL_ID.fullmatch(name)]:
            return sealed.call_ns(calls[-1])
    return -1
