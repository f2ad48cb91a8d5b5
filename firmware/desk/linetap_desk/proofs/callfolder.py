# SPDX-License-Identifier: Apache-2.0
"""Reads a sealed call's files without trusting them: limited sizes, regular files only, no secrets."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap_core import system
from linetap_core.errors import BadInput, CodedRefusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import signers

_BLOCK_BYTES = 1024 * 1024
_KEY_LIMIT_BYTES = 64 * 1024
_SIGNERS_LIMIT_BYTES = 4 << 20  # enough for a city
_MOST_ENTRIES = sealed.MOST_PARTS + 4
_DATE_DEPTH = ("year", "month", "day")
LARGEST_BYTES = 1 << 30  # of a sealed file: 37 hours of sound
_DATE_NAME = {"year": re.compile(r"\d{4}"), "month": re.compile(r"\d\d"), "day": re.compile(r"\d\d")}


class Damaged(CodedRefusal):
    """A call folder was changed since it was sealed; `code` names the fault."""


@dataclass(frozen=True, slots=True)
class Digest:
    sha256: str
    size: int  # bytes


_BY_A_DESKTOP = re.compile(r"\.DS_Store|\._.*|__MACOSX|thumbs\.db|desktop\.ini", re.IGNORECASE | re.DOTALL)


def by_a_desktop(name: str) -> str:
    """Words that name macOS or Windows as the file's writer, for a message; "" for any other file."""
    if _BY_A_DESKTOP.fullmatch(name) is None:
        return ""
    return "; macOS or Windows put it there, and no unit: remove it from this copy"


def entries(call_dir: Path) -> set[str]:
    """The names in a call folder, all of regular files; Damaged otherwise."""
    names: set[str] = set()
    with os.scandir(call_dir) as found:
        for entry in found:
            if len(names) >= _MOST_ENTRIES:
                raise Damaged("too_many_files", f"more than {_MOST_ENTRIES} files")
            if not entry.is_file(follow_symlinks=False):
                raise Damaged("not_a_file", f"{entry.name} is not a regular file")
            names.add(entry.name)
    return names


def home(call_dir: Path) -> Path:
    """The vault, or the unit's folder in a store, that contains the call; the root directory if the path is shorter."""
    return call_dir.joinpath(*len(sealed.call_path(call_dir.name).parts) * [".."]).resolve()


def read(path: Path, limit_bytes: int) -> bytes:
    """A small file as a whole. Damaged if it is missing, unreadable, or exceeds `limit_bytes`."""
    with _open_regular(path) as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise Damaged("file_too_large", f"{path.name} is larger than {limit_bytes} bytes")
    return data


def read_named(path: Path, limit_bytes: int) -> bytes:
    """A small file that the user named; BadInput states its fault."""
    try:
        return read(path, limit_bytes)
    except Damaged as error:
        raise BadInput(fault_of(path, error)) from None


def fault_of(path: Path, error: Exception) -> str:
    """The error with the path that the user named, once: an error of `read` begins with the file's name."""
    return f"{path}: {str(error).removeprefix(f'{path.name}: ')}"


def read_head(path: Path, limit_bytes: int) -> bytes:
    """The first bytes of a file."""
    with _open_regular(path) as file:
        return file.read(limit_bytes)


def digest(path: Path) -> Digest:
    """SHA-256 and size, read in blocks of 1 MiB."""
    with hashed(path) as file:
        return file.digest()


class HashedFile:
    """A sealed file that is hashed while it is read. Damaged above LARGEST_BYTES, which no unit seals: reading a huge
    sparse file would take forever."""

    def __init__(self, file: BufferedReader, name: str) -> None:
        self._file, self._name = file, name
        self._state, self._size = hashlib.sha256(), 0
        self._require_size(os.fstat(file.fileno()).st_size)

    def read(self, count: int) -> bytes:
        """The next bytes, as many as asked for unless the file ends before."""
        return self._counted(self._file.read(count))

    def digest(self) -> Digest:
        """Hash and size of the whole file, whose rest is read."""
        block = bytearray(min(_BLOCK_BYTES, os.fstat(self._file.fileno()).st_size + 1))
        view = memoryview(block)
        while count := self._file.readinto(block):
            self._counted(view[:count])
        return Digest(self._state.hexdigest(), self._size)

    def _counted[T: (bytes, memoryview)](self, data: T) -> T:
        self._require_size(self._size + len(data))
        self._state.update(data)
        self._size += len(data)
        return data

    def _require_size(self, size: int) -> None:
        if size > LARGEST_BYTES:
            raise Damaged("file_too_large", f"{self._name} is larger than {LARGEST_BYTES} bytes")


@contextlib.contextmanager
def hashed(path: Path) -> Iterator[HashedFile]:
    """A file for one pass, whose hash is known at its end. Damaged as in `read`."""
    with _open_regular(path) as file:
        yield HashedFile(file, path.name)


@contextlib.contextmanager
def _open_regular(path: Path) -> Iterator[BufferedReader]:
    """A regular file for reading. Damaged for another kind of file, or as soon as the medium cannot read it. Buffered:
    the system first returns the part before an unreadable block, which would look like a changed file."""
    try:
        fd = system.open_alone(path)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Damaged("not_a_file", f"{path.name} is not a regular file")
            with os.fdopen(fd, "rb", closefd=False) as file:
                yield file
        finally:
            os.close(fd)
    except OSError as error:
        raise Damaged("file_unreadable", f"{path.name}: {error.strerror}") from None


def is_call(path: Path) -> bool:
    """Whether it is a call folder, by its name or its content."""
    return sealed.CALL_ID.fullmatch(path.name) is not None or (path / sealed.RECORD).exists()


def calls(vault: Path) -> Iterator[Path]:
    """Every entry four levels down (year, month, day, call), in order; misplaced entries and unreadable folders too."""
    yield from _below(vault, 0)


def _below(directory: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(directory.iterdir())
    except PermissionError:
        raise
    except OSError:
        if not depth:
            raise
        yield directory
        return
    for entry in entries:
        if depth == len(_DATE_DEPTH):
            yield entry
        elif _DATE_NAME[_DATE_DEPTH[depth]].fullmatch(entry.name) and is_folder(entry) is not False:
            yield from _below(entry, depth + 1)
        elif depth:
            yield entry


def is_folder(path: Path) -> bool | None:
    """Whether it is a directory and no link. None: the medium cannot be read."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return False
    except PermissionError:
        raise
    except OSError:
        return None


def load_signers(path: Path) -> list[signers.Signer]:
    """An allowed_signers file; BadInput names file and line."""
    try:
        with path.open("rb") as file:
            data = file.read(_SIGNERS_LIMIT_BYTES + 1)
        # a cut file would have a truncated last line, and lack the following ones
        if len(data) > _SIGNERS_LIMIT_BYTES:
            raise BadInput(f"larger than {_SIGNERS_LIMIT_BYTES} bytes; an allowed_signers file expected")
        return signers.parse(data.decode("utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; an allowed_signers file expected") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not text; an allowed_signers file expected") from None
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """An OpenSSH private key without a passphrase; BadInput names the file."""
    try:
        return keys.load_unit_key(read(path, _KEY_LIMIT_BYTES))
    except (Damaged, BadInput) as error:
        raise BadInput(f"{path}: {error}") from None


KEY_LIMIT_BYTES = 64 * 1024
