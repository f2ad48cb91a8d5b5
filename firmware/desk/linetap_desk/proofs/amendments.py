# SPDX-License-Identifier: Apache-2.0
"""Reads amendments in a vault, or in a unit's folder of a store: `amended/`, beside the years. In a package and in a
bundle it is beside `calls/`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from linetap_core.clock import LATEST_NS, parse_rfc3339
from linetap_core.errors import LinetapError, Refusal
from linetap_core.evidence.calls import amendment, index, sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.calls.index import Entry
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_core.zones import local_time
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder

MOST_FILES = 200_000
_FIRST = amendment.name("", 1)
IN_A_PACKAGE = "calls"


def home(call_dir: Path) -> Path:
    """The folder that has the call's `amended/`."""
    return call_dir.parent.parent if call_dir.parent.name == IN_A_PACKAGE else callfolder.home(call_dir)


def newest(home: Path, call_id: str) -> Amendment | None:
    """The newest amendment of a call with a valid signature of any key; None if there is none."""
    found = [each for path in _paths(home, call_id) if (each := _read(path, call_id)) is not None]
    return found[-1] if found else None


def path_of_newest(home: Path, call_id: str) -> Path | None:
    """The file with the highest number, whatever its content; in a bundle the only one."""
    alone = home / amendment.FOLDER / f"{call_id}.json"
    return next(iter(reversed(list(_paths(home, call_id)))), alone if alone.exists() else None)


def read_amendment(
    call_dir: Path, unit: str, record_sha256: str, signers: list[Signer] | None
) -> tuple[Amendment | None, str]:
    """The newest amendment of a verified call, if it is of its record and signed by its unit; otherwise the reason, or
    "" if there is none."""
    path = path_of_newest(home(call_dir), call_dir.name)
    if path is None:
        return None, ""
    try:
        data = callfolder.read(path, amendment.LIMIT_BYTES)
        armored = callfolder.read(namespaces.signature_path(path), sshsig.SIGNATURE_LIMIT_BYTES)
        return amendment.check(data, armored, unit, call_dir.name, record_sha256, signers, path.name), ""
    except Refusal as error:
        return None, f"{path.name}: {error}"


def files(home: Path, call_id: str) -> Iterator[Path]:
    """All amendments of a call, each with its signature, from the first."""
    for path in _paths(home, call_id):
        yield from (path, namespaces.signature_path(path))


def _paths(home: Path, call_id: str) -> Iterator[Path]:
    for number in range(1, amendment.MOST + 1):
        path = home / amendment.FOLDER / amendment.name(call_id, number)
        if not path.exists():
            return
        yield path


def every(home: Path) -> Iterator[Amendment]:
    """The newest amendment of each call that has one. OSError if the medium cannot list them."""
    folder = home / amendment.FOLDER
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    for name in (name for name in names[:MOST_FILES] if name.endswith(_FIRST)):
        if (found := newest(home, name.removesuffix(_FIRST))) is not None:
            yield found


def _read(path: Path, call_id: str) -> Amendment | None:
    try:
        data = callfolder.read(path, amendment.LIMIT_BYTES)
        found = amendment.decode(data)
        armored = callfolder.read(namespaces.signature_path(path), sshsig.SIGNATURE_LIMIT_BYTES)
        return amendment.check(data, armored, found.unit, call_id, found.record_sha256, None, path.name)
    except Refusal:
        return None


class TrueTimes:
    """True times of calls with ids from a wrong clock, in some vaults: from amendments, or from the records. An
    amendment is trusted no more than an index: the record decides."""

    def __init__(self, vaults: Iterable[Path]) -> None:
        """`unread`: folders of amendments that the medium cannot read, each with the reason."""
        self._vaults = list(vaults)
        self._began: dict[tuple[str, str], int] = {}
        self.unread: list[str] = []
        for vault in self._vaults:
            try:
                self._began |= {(each.unit, each.call_id): parse_rfc3339(each.began_at) for each in every(vault)}
            except OSError as error:
                self.unread.append(f"{vault / amendment.FOLDER}: {error.strerror}")

    def began_ns(self, entry: Entry) -> int:
        """The begin of a call. BadIndex for an invalid call id in the entry."""
        named_ns = index.began_ns(entry)
        known = self._began.get((entry.unit, entry.call_id))
        if known is None:
            known = self._began[entry.unit, entry.call_id] = self._by_record(entry.call_id, named_ns)
        return known

    def days_of_others(self, first_ns: int, last_ns: int, zone: ZoneInfo) -> set[date]:
        """Days of the index that contain calls made between these times, but named after other days."""
        found: set[date] = set()
        for (_, call_id), began_ns in list(self._began.items()):
            if first_ns <= began_ns <= last_ns:
                day = local_time(sealed.call_ns(call_id), zone).date()
                found |= {day - timedelta(days=1), day, day + timedelta(days=1)}
        return found

    def _by_record(self, call_id: str, named_ns: int) -> int:
        for vault in self._vaults:
            path = vault / sealed.call_path(call_id) / sealed.RECORD
            if not path.exists():
                continue
            try:
                record = strict.decode(callfolder.read(path, sealed.RECORD_LIMIT_BYTES), _Record)
                began_ns = parse_rfc3339(record.actual.began_at) if record.actual else named_ns
                return began_ns if began_ns < LATEST_NS else named_ns
            except (LinetapError, ValueError):
                break
        return named_ns


class _Actual(msgspec.Struct):
    began_at: str


class _Record(msgspec.Struct):
    actual: _Actual | None = None
