# SPDX-License-Identifier: Apache-2.0
"""The register of issued and revoked certificates: issued.jsonl, which only grows. A line is on disk before it takes
effect.

A line counts once it is complete; an incomplete last line, after a power cut, is a certificate that was never handed
out. Each line ends with `check`, the SHA-256 of the file's content before it, so that any change breaks the next line.
Lines of version 0.1 have none; the first line with a `check` covers them too.

issued.jsonl.twin is a second copy. If one of the two is damaged, the other is used. A line in only one of them counts:
either it had no effect yet, or the other file has lost it, and a revocation must not be lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path

import msgspec

from linetap_core import system
from linetap_core.durable import broken
from linetap_core.durable.copies import twin_of
from linetap_core.durable.files import replace_durably, sync_directory, write_all
from linetap_core.enrolment.certificates import Role
from linetap_core.enrolment.request import PkiFault
from linetap_core.errors import BadInput
from linetap_core.rundir import read_small
from linetap_desk.inputs import strict

LIMIT_BYTES = 64 * 1024 * 1024  # some 100,000 certificates
_MODE = 0o600
_CHECK = re.compile(rb'(.*),"check":"([0-9a-f]{64})"\}', re.DOTALL)


class Issued(msgspec.Struct, frozen=True, kw_only=True, tag="issued", tag_field="entry"):
    """An issued certificate. `key` and `sha256` are of its SubjectPublicKeyInfo and of its DER; `signer` is a unit's
    line."""

    at: str
    serial: str  # hexadecimal
    role: Role
    name: str
    until: str
    key: str
    sha256: str
    signer: str = ""


class Revoked(msgspec.Struct, frozen=True, kw_only=True, tag="revoked", tag_field="entry"):
    """A revocation. `since`: the time from which the certificate, and the revoked signer if there is one, no longer
    count."""

    at: str
    serial: str
    since: str
    signer: str = ""


class Register:
    def __init__(self, path: Path) -> None:
        """Reads the register. BadInput if that fails; PkiFault if a line is invalid in both files."""
        self._path = path
        data, other = _whole(read_small(path, LIMIT_BYTES)), self._of_twin()
        try:
            self._load_entries(data)
        except PkiFault as fault:
            if other is None:
                raise
            broken.set_aside(path, f"{fault}; its twin is taken", replaced=True)
        else:
            if other is None or not other.startswith(data):
                with contextlib.suppress(OSError):  # it is written again with the next entry
                    replace_durably(twin_of(path), data, mode=_MODE)
                return
            if other == data:
                return
        try:
            replace_durably(path, other, mode=_MODE)
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from None
        self._load_entries(other)

    def _of_twin(self) -> bytes | None:
        """The twin's content; None if it is missing or damaged."""
        twin = twin_of(self._path)
        try:
            data = _whole(read_small(twin, LIMIT_BYTES))
            self._load_entries(data)
        except BadInput:
            return None
        except PkiFault as fault:
            broken.report(twin, fault)
            return None
        return data

    def _load_entries(self, data: bytes) -> None:
        self._whole_bytes = len(data)
        self._sum, self._is_checked = hashlib.sha256(), False
        self.entries = [self._parse(number, line) for number, line in enumerate(data.split(b"\n")[:-1], 1)]

    def _parse(self, number: int, line: bytes) -> Issued | Revoked:
        try:
            self._check(line)
            return strict.decode(line, Issued | Revoked)
        except (BadInput, ValueError) as error:
            text = f"line {number}: {error}; the copy of this folder expected"
            raise PkiFault("register_damaged", f"{self._path}: {text}") from None

    def _check(self, line: bytes) -> None:
        """ValueError if this line, or one since the last checked one, was changed."""
        found = _CHECK.fullmatch(line)
        if found is None and self._is_checked:
            raise ValueError("without its check")
        if found is not None:
            self._is_checked = True
            at_end = self._sum.copy()
            at_end.update(found[1] + b"}")
            if at_end.hexdigest().encode() != found[2]:
                raise ValueError("this line or an earlier one was changed")
        self._sum.update(line + b"\n")

    def _checked(self, entry: Issued | Revoked) -> bytes:
        """Returns the entry's line with its check."""
        line, at_end = msgspec.json.encode(entry), self._sum.copy()
        at_end.update(line)
        whole = line[:-1] + f',"check":"{at_end.hexdigest()}"}}\n'.encode()
        self._sum.update(whole)
        return whole

    def append(self, *entries: Issued | Revoked) -> None:
        """Appends all entries; durable on return."""
        before = self._sum.copy()
        data = b"".join(self._checked(entry) for entry in entries)
        try:
            for path in (self._path, twin_of(self._path)):
                self._write(path, data)
            sync_directory(self._path.parent)
        except OSError as error:
            self._sum = before
            raise BadInput(f"{self._path}: {error.strerror}") from None
        self._is_checked = True
        self._whole_bytes += len(data)
        self.entries += entries

    def _write(self, path: Path, data: bytes) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | system.CLOEXEC, _MODE)
        try:
            os.ftruncate(fd, self._whole_bytes)
            os.lseek(fd, 0, os.SEEK_END)
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)

    # --- derived values ----------------------------------------------------------------------------------------

    def issued(self, role: Role | None = None, name: str | None = None) -> list[Issued]:
        return [
            entry
            for entry in self.entries
            if isinstance(entry, Issued) and role in (None, entry.role) and name in (None, entry.name)
        ]

    def revocations(self) -> dict[str, Revoked]:
        """The first revocation of each serial."""
        return {entry.serial: entry for entry in reversed(self.entries) if isinstance(entry, Revoked)}

    def standing(self, role: Role, name: str) -> list[Issued]:
        """The certificates of this name that are not revoked, whether expired or not."""
        gone = self.revocations()
        return [entry for entry in self.issued(role, name) if entry.serial not in gone]

    def signers(self) -> dict[tuple[str, str], str]:
        """(unit, its key's line) -> the end of its validity, or "". In the order of enrolment."""
        found = {(entry.name, entry.signer): "" for entry in self.issued("unit")}
        named = {entry.serial: entry.name for entry in self.issued("unit")}
        for entry in self.entries:
            if isinstance(entry, Revoked) and entry.signer:
                found[named[entry.serial], entry.signer] = entry.since  # `pki revoke` allows only earlier times
        return found


def _whole(data: bytes) -> bytes:
    """The complete lines."""
    return data[: data.rfind(b"\n") + 1]
