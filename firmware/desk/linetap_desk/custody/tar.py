# SPDX-License-Identifier: Apache-2.0
"""The package as it comes: plain USTAR, regular files, each name known, each size bounded.

Whoever made it may be anybody, so there is no more of tar here than that: no links, no long names, and nothing is read
before its size is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from linetap_core.errors import Refusal
from linetap_core.evidence.authorization.release import MOST_CALLS
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.evidence.witness import tlogproof
from linetap_desk.unsealing.opening import PART_LIMIT_BYTES

BLOCK = 512
LIMIT_BYTES = 1 << 30  # of the whole: it lies in RAM. 37 hours of recordings
_PIECE_BYTES = 1 << 20
_SMALL_BYTES = 1 << 20
_MOST_MEMBERS = MOST_CALLS * (sealed.MOST_PARTS + 2 * amendment.MOST + 8) + 32
_CALL = sealed.CALL_ID.pattern.replace("(", "(?:", 1)
# What a package holds, and how large each can honestly be.
_NAMES = [
    (re.compile(pattern, re.ASCII), limit)
    for pattern, limit in (
        (r"request\.json|roles\.json", document.LIMIT_BYTES),
        (r"request\.json\.(?:[0-9A-Za-z._-]{1,64}\.)?sig|roles\.json\.sig", sshsig.SIGNATURE_LIMIT_BYTES),
        (r"allowed_signers", _SMALL_BYTES),
        (rf"inner/{_CALL}\.age|handed/{_CALL}\.age", _SMALL_BYTES),
        (rf"{closing.FOLDER}/{_CALL}\{closing.SUFFIX}", closing.LIMIT_BYTES),
        (rf"{tlogproof.FOLDER}/{_CALL}\{tlogproof.SUFFIX}", tlogproof.LIMIT_BYTES),
        (rf"{amendment.FOLDER}/{_CALL}\.\d{{3}}\.json", amendment.LIMIT_BYTES),
        (rf"{amendment.FOLDER}/{_CALL}\.\d{{3}}\.json\{namespaces.SUFFIX}", sshsig.SIGNATURE_LIMIT_BYTES),
        (rf"calls/{_CALL}/(?:record\.json|record\.json\.sig|meta\.age|key\.age)", 2 * _SMALL_BYTES),
        (rf"calls/{_CALL}/audio\.\d{{3}}\.age", PART_LIMIT_BYTES),
    )
]


class BadPackage(Refusal):
    """Not the package that a desk makes."""

    code = "package_malformed"

    def __init__(self, text: str) -> None:
        super().__init__(f"{text} [{self.code}]")


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


def members(source: Source) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Name and content of each, in pieces. BadPackage at the first thing that does not belong."""
    seen: set[str] = set()
    total = 0
    while any(head := _exactly(source, BLOCK)):
        name, size = _header(head)
        if name in seen:
            raise BadPackage(f"{name}: is in it twice")
        seen.add(name)
        total += BLOCK + (size or 0)
        if len(seen) > _MOST_MEMBERS or total > LIMIT_BYTES:
            raise BadPackage(f"more than {_MOST_MEMBERS} files or {LIMIT_BYTES >> 20} MiB")
        if size is None:  # a folder: they are made as they are needed
            continue
        content = _content(source, size)
        yield name, content
        for _ in content:  # what was not taken
            pass
        _exactly(source, -size % BLOCK)


def _content(source: Source, size: int) -> Iterator[bytes]:
    while size:
        piece = _exactly(source, min(size, _PIECE_BYTES))
        size -= len(piece)
        yield piece


def _header(head: bytes) -> tuple[str, int | None]:
    """Size None of a folder."""
    total = sum(head[:148]) + 8 * ord(" ") + sum(head[156:])
    if head[257:265] != b"ustar\x0000" or _octal(head[148:156]) != total:
        raise BadPackage("not a USTAR archive")
    name = "/".join(part for part in (_text(head[345:500]), _text(head[:100])) if part)
    size, kind = _octal(head[124:136]), head[156:157]
    if kind == b"5" and size == 0:
        return name, None
    if kind not in (b"0", b"\x00"):
        raise BadPackage(f"{name!r}: is no regular file")
    limit = next((limit for pattern, limit in _NAMES if pattern.fullmatch(name)), None)
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
