# SPDX-License-Identifier: Apache-2.0
"""The newest leaves of a long log, numbered by their hashes: a start that reads no others is as short after years.

The numbers rest on the stored hashes of the leaves in the file's last WINDOW_BYTES, each of which has to fit. Leaves
before them are not read; whoever proves the log counts them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

from linetap_core import system
from linetap_core.evidence.merklelog import merkle
from linetap_core.evidence.merklelog.merkle import HASH_BYTES

WINDOW_BYTES = 1 << 21  # some 8,000 leaves of usual size


class StoredNodes(Protocol):
    def read_all(self, place: int, count: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Whole leaves at the end of a file: `first`, the index of the first of them, and the offset of each."""

    first: int
    offsets: list[int]
    end: int  # behind the last newline

    @property
    def size(self) -> int:
        """The number of leaves in the log."""
        return self.first + len(self.offsets)


def find(leaves: int, nodes: StoredNodes, hashed: int, most_unhashed: int) -> LogEnd | None:
    """The end of the log in descriptor `leaves`, of which `hashed` leaves have a hash in `nodes`, and up to
    `most_unhashed` newer ones none. None: the file is short, or a leaf there does not fit its hash, so that the whole
    log has to be read.
    """
    begin = os.fstat(leaves).st_size - WINDOW_BYTES
    if begin <= 0:
        return None
    pieces = _read(leaves, begin).split(b"\n")
    lines, torn = pieces[1:-1], pieces[-1]  # the first is a part of a leaf
    offsets, offset = list[int](), begin + WINDOW_BYTES - len(torn)
    end = offset
    for line in reversed(lines):
        offset -= len(line) + 1
        offsets.append(offset)
    hashes = [merkle.leaf_hash(line) for line in lines]
    newest = _stored(nodes, hashed - 1, hashed) if hashed else []
    # More known leaves than a power cut can have damaged, and so those too that are hashed again at each start.
    for known in range(len(lines), max(most_unhashed, len(lines) - most_unhashed - 1), -1):
        if hashes[known - 1 : known] == newest and hashed >= known:
            fits = _stored(nodes, hashed - known, hashed) == hashes[:known]
            return LogEnd(hashed - known, offsets[::-1], end) if fits else None
    return None


def _read(fd: int, begin: int) -> bytes:
    data = b""
    while len(data) < WINDOW_BYTES and (block := system.read_at(fd, WINDOW_BYTES - len(data), begin + len(data))):
        data += block
    return data


def _stored(nodes: StoredNodes, first: int, end: int) -> list[bytes]:
    """The stored hashes of the leaves from `first` to before `end`."""
    begin = merkle.node_count(first)
    data = nodes.read_all(begin, merkle.node_count(end) - begin)
    places = ((merkle.node_count(index) - begin) * HASH_BYTES for index in range(first, end))
    return [data[place : place + HASH_BYTES] for place in places]
