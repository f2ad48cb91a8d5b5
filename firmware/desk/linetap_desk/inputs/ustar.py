# SPDX-License-Identifier: Apache-2.0
"""Reads an untrusted uncompressed USTAR archive: only known names and sizes, each once, in bounded memory.

60 lines of our own, since tarfile reads extended headers before their size can be bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from linetap_core.errors import Refusal

BLOCK = 512
LIMIT_BYTES = 1 << 30  # of the whole archive in RAM: 37 hours of recordings
_PIECE_BYTES = 1 << 20


class BadPackage(Refusal):
    """Not a package made by a desk."""

    code = "package_malformed"

    def __init__(self, text: str) -> None:
        super().__init__(f"{text} [{self.code}]")


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


Names = Sequence[tuple[re.Pattern[str], int]]  # the permitted files, and their largest sizes


def members(source: Source, allowed: Names, most_members: int) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Name and content of each file, in blocks. BadPackage at the first unexpected entry."""
    seen: set[str] = set()
    total = 0
    while any(head := _exactly(source, BLOCK)):
        name, size = _header(head, allowed)
        if name in seen:
            raise BadPackage(f"{name}: is in it twice")
        seen.add(name)
        total += BLOCK + (size or 0)
        if len(seen) > most_members or total > LIMIT_BYTES:
            raise BadPackage(f"more than {most_members} files or {LIMIT_BYTES >> 20} MiB")
        if size is None:  # a folder: folders are created when needed
            continue
        content = _content(source, size)
        yield name, content
        for _ in content:  # the unread rest
            pass
        _exactly(source, -size % BLOCK)


def _content(source: Source, size: int) -> Iterator[bytes]:
    while size:
        piece = _exactly(source, min(size, _PIECE_BYTES))
        size -= len(piece)
        yield piece


def _header(head: bytes, allowed: Names) -> tuple[str, int | None]:
    """Name and size of an entry; size None for a folder."""
    total = sum(head[:148]) + 8 * ord(" ") + sum(head[156:])
    if head[257:265] != b"ustar\x0000" or _octal(head[148:156]) != total:
        raise BadPackage("not a USTAR archive")
    name = "/".join(part for part in (_text(head[345:500]), _text(head[:100])) if part)
    size, kind = _octal(head[124:136]), head[156:157]
    if kind == b"5" and size == 0:
        return name, None
    if kind not in (b"0", b"\x00"):
        raise BadPackage(f"{name!r}: is no regular file")
    limit = next((limit for pattern, limit in allowed if pattern.fullmatch(name)), None)
    if limit is None:
        raise BadPackage(f"{name!r}: does not belong into a package")
    if size > limit:
        raise BadPackage(f"{name}: {size} bytes, at most {limit}")
    return name, size


def _text(field: bytes) -> str:
    return field.partition(b"\x00")[0].decode("ascii", "replace")


def _octal(field: bytes) -> int:
    digits = field.strip(b" \x00")
    if re.fullmatch(rb"[0-7]{1,11}", digits) is None:
        raise BadPackage("a number in a header is none")
    return int(digits, 8)


def _exactly(source: Source, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = source.read(size - len(data))
        if not piece:
            raise BadPackage("it is cut short")
        data += piece
    return data
