# SPDX-License-Identifier: Apache-2.0
"""The archive of a group's files: a small, plain tar that `tar xOf` reads, always written in one form.

Archives may come from anyone, so only regular files of the expected names are accepted, each once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from linetap_core.errors import Refusal

LAYERS = "layers"  # the hashes of the nested contents: group.py
MOST_FILES = 20  # 4 of 7
BLOCK = 512
_MAGIC = b"ustar\x0000"
_GNU_MAGIC = b"ustar  \x00"  # the block that plain `tar c` writes
_NAME = re.compile(r"[1-6](?:-[1-6]){0,2}\.age|" + LAYERS, re.ASCII)
_LAYERS_LIMIT_BYTES = 8 * 1024


class BadGroup(Refusal):
    """The archive is no archive of a group's files."""

    code = "group_malformed"

    def __init__(self, text: str) -> None:
        super().__init__(f"not a group's archive: {text} [{self.code}]")


def is_archive(data: bytes) -> bool:
    return len(data) >= BLOCK and data[257:262] == _MAGIC[:5]


def write(files: Mapping[str, bytes]) -> bytes:
    """Writes the files in the given order, without times and owners, so that the same files give the same bytes."""
    out = []
    for name, data in files.items():
        out += [_header(name, len(data)), data, bytes(-len(data) % BLOCK)]
    return b"".join([*out, bytes(2 * BLOCK)])


def read(data: bytes) -> dict[str, bytes]:
    """Name -> content, not longer than `data`, whose size the caller has limited. BadGroup at an unexpected entry."""
    files: dict[str, bytes] = {}
    for name, content in _members(data):
        if name in files:
            raise BadGroup(f"{name} is in it twice")
        if len(files) > MOST_FILES:
            raise BadGroup(f"more than {MOST_FILES} files")
        files[name] = content
    return files


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while any(head := data[at : at + BLOCK]):
        if len(head) < BLOCK:
            raise BadGroup("it is cut short")
        name, size = _parsed(head)
        at += BLOCK
        if at + size > len(data):
            raise BadGroup(f"{name}: {size} bytes, and the archive ends before")
        yield name, data[at : at + size]
        at += size + -size % BLOCK
    if len(data) - at < BLOCK or any(data[at:]):
        raise BadGroup("it does not end with blocks of zeros")


def _parsed(head: bytes) -> tuple[str, int]:
    total = sum(head[:148]) + 8 * ord(" ") + sum(head[156:])
    if head[257:265] not in (_MAGIC, _GNU_MAGIC) or _octal(head[148:156]) != total:
        raise BadGroup("a header is damaged")
    name = head[:100].rstrip(b"\x00").decode("latin-1")
    if _NAME.fullmatch(name) is None or any(head[345:]):
        raise BadGroup(f"{name[:40]!r} does not belong there; 1.age or 1-2.age expected")
    if head[156:157] not in (b"0", b"\x00"):
        raise BadGroup(f"{name} is no regular file")
    size = _octal(head[124:136])
    if name == LAYERS and size > _LAYERS_LIMIT_BYTES:
        raise BadGroup(f"{name}: {size} bytes, at most {_LAYERS_LIMIT_BYTES}")
    return name, size


def _octal(field: bytes) -> int:
    digits = field.strip(b" \x00")
    if re.fullmatch(rb"[0-7]{1,11}", digits) is None:
        raise BadGroup("a number in a header is none")
    return int(digits, 8)


def _header(name: str, size: int) -> bytes:
    fields = [
        name.encode("ascii").ljust(100, b"\x00"), b"0000600\x00", b"0000000\x00", b"0000000\x00",
        b"%011o\x00" % size, b"00000000000\x00", b" " * 8, b"0", bytes(100), _MAGIC,
    ]  # fmt: skip
    head = b"".join(fields).ljust(BLOCK, b"\x00")
    return head[:148] + b"%06o\x00 " % sum(head) + head[156:]
