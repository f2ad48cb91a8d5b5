# SPDX-License-Identifier: Apache-2.0
"""Reads and writes the zip itself (PKWARE APPNOTE 6.3): members sorted by name, stored, without dates, nothing else.

One set of members makes exactly one file. So a zip is accepted if `write` would make the same bytes from its members.
Path traversal, links, duplicate members, comments, compression bombs or bytes between members cannot occur in it.
"""

from __future__ import annotations

import hashlib
import itertools
import ntpath
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from linetap_core.errors import BadInput, CodedRefusal

MOST_MEMBERS = 20_000
NAME_LIMIT = 200  # characters
LIMIT_BYTES = 0xFFFFFFFF  # a plain zip counts in 32 bits
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_NEEDS = 20  # version 2.0, the plain format
_MADE_BY = 3 << 8 | _NEEDS  # Unix, with its modes
_DATE, _TIME = 1 << 5 | 1, 0  # 1 January 1980: the time of packing proves nothing
_MODE = 0o100644 << 16
_BLOCK_BYTES = 1 << 20

Source = Path | bytes


class BadBundle(CodedRefusal):
    """Another kind of zip than `linetap bundle` writes, or one with unexpected members."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the zip. `offset` of its data in the zip; `size` in bytes."""

    name: str
    size: int
    crc: int
    sha256: str = ""
    offset: int = 0


def measure(name: str, source: Source) -> Member:
    """A source's size and sums, read in blocks."""
    require_name(name)
    size, crc, state = 0, 0, hashlib.sha256()
    for block in _blocks(source):
        size, crc = size + len(block), zlib.crc32(block, crc)
        state.update(block)
    return Member(name, size, crc, state.hexdigest())


def write(file: BinaryIO, sources: Mapping[str, Source], members: list[Member]) -> None:
    """Writes the zip. `members` as `measure` returned them, in order. BadBundle if a source has changed since, or if
    they are too large."""
    directory, offset = b"", 0
    _require_apart(members)
    if len(members) > MOST_MEMBERS or sum(m.size + 3 * NAME_LIMIT for m in members) > LIMIT_BYTES:
        raise BadBundle("bundle_too_large", f"more than 4 GiB or {MOST_MEMBERS} files: fewer calls expected")
    for member in members:
        directory += _central(member, offset)
        offset += file.write(_local(member))
        state, size = hashlib.sha256(), 0
        for block in _blocks(sources[member.name]):
            state.update(block)
            size += file.write(block)
        if (size, state.hexdigest()) != (member.size, member.sha256):
            raise BadBundle("changed_meanwhile", f"{member.name}: changed while it was being packed")
        offset += size
    file.write(directory)
    file.write(_end(len(members), len(directory), offset))


def read(file: BinaryIO) -> list[Member]:
    """Every member in order. BadBundle unless the file's structure is, byte for byte, as `write` makes it."""
    total = os.fstat(file.fileno()).st_size
    end = _bytes_at(file, max(0, total - _END.size), _END.size)
    if len(end) < _END.size or not end.startswith(b"PK\x05\x06"):
        raise BadBundle("not_a_bundle", "does not end as a zip without a comment: not a bundle, or cut off")
    _, _, _, _, count, size, offset, _ = _END.unpack(end)
    if count > MOST_MEMBERS or size > count * (_CENTRAL.size + NAME_LIMIT) or offset + size + _END.size != total:
        raise BadBundle("zip_frame", "its directory is not where a bundle has it")
    directory = _bytes_at(file, offset, size)
    members = list(_directory_members(directory))
    for one, other in itertools.pairwise(members):
        if one.name >= other.name:
            raise BadBundle("zip_order", f"{other.name} stands behind {one.name}: twice, or out of order")
    _require_apart(members)
    at, again = 0, b""
    for member in members:
        again += _central(member, at)
        local = _local(member)
        if _bytes_at(file, at, len(local)) != local or member.offset != at + len(local):
            raise BadBundle(
                "zip_frame", f"{member.name}: is at another place than in a bundle, or has contradictory headers"
            )
        at = member.offset + member.size
    if (again, at) != (directory, offset) or _end(count, size, offset) != end or count != len(members):
        raise BadBundle("zip_frame", "its directory is not spelled as a bundle's")
    return members


def content(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """A member's bytes in blocks; BadBundle at the end if the checksum is wrong."""
    file.seek(member.offset)
    left, crc = member.size, 0
    while left:
        block = _read(file, min(left, _BLOCK_BYTES))
        if not block:
            raise BadBundle("zip_frame", f"{member.name}: ends too soon")
        left, crc = left - len(block), zlib.crc32(block, crc)
        yield block
    if crc != member.crc:
        raise BadBundle("zip_checksum", f"{member.name}: was changed: its CRC-32 does not fit")


def require_name(name: str) -> None:
    """BadBundle for an invalid name, also `nul` and `x.`, which are no files on Windows: unpacking must give the
    verified file."""
    if len(name) > NAME_LIMIT or _NAME.fullmatch(name) is None or ntpath.isreserved(name):
        raise BadBundle("zip_name", f"{name[:NAME_LIMIT]!r}: no name that a bundle has")


def _require_apart(members: list[Member]) -> None:
    """BadBundle if two names are one file on Windows or a Mac, where `a` and `A` are the same name."""
    known: dict[str, str] = {}
    for member in members:
        if (other := known.setdefault(member.name.lower(), member.name)) != member.name:
            raise BadBundle("zip_name", f"{member.name}: where a name has no case, the same file as {other}")


def _directory_members(directory: bytes) -> Iterator[Member]:
    at = 0
    while at < len(directory):
        if len(directory) - at < _CENTRAL.size:
            raise BadBundle("zip_frame", "its directory is cut off")
        fields = _CENTRAL.unpack_from(directory, at)
        crc, size, length, offset = fields[7], fields[9], fields[10], fields[16]
        at += _CENTRAL.size
        name = directory[at : at + length].decode("ascii", "backslashreplace")
        require_name(name)
        yield Member(name, size, crc, offset=offset + _LOCAL.size + length)
        at += length


def _local(member: Member) -> bytes:
    name = member.name.encode("ascii")
    sizes = (member.crc, member.size, member.size, len(name), 0)
    return _LOCAL.pack(b"PK\x03\x04", _NEEDS, 0, 0, _TIME, _DATE, *sizes) + name


def _central(member: Member, offset: int) -> bytes:
    name = member.name.encode("ascii")
    sizes = (member.crc, member.size, member.size, len(name), 0, 0, 0, 0)
    return _CENTRAL.pack(b"PK\x01\x02", _MADE_BY, _NEEDS, 0, 0, _TIME, _DATE, *sizes, _MODE, offset) + name


def _end(count: int, size: int, offset: int) -> bytes:
    return _END.pack(b"PK\x05\x06", 0, 0, count, count, size, offset, 0)


def _blocks(source: Source) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _bytes_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return _read(file, size)


def _read(file: BinaryIO, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:  # an unreadable medium is no sign of a forgery
        raise BadInput(f"{file.name}: {error.strerror}") from None
