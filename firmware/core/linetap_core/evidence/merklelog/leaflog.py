# SPDX-License-Identifier: Apache-2.0
"""A log in two files: `leaves.jsonl`, one JSON object a line, and `tree.bin`, the hashes over them (merkle.py).

A leaf is its line without the newline. The leaves are authoritative and are synced first; the hashes can always be
recomputed, and are stored to save time at a start. A power cut can damage only the last batch, at most MOST_AT_ONCE
leaves, which are hashed again at every start. Hashes are written after their leaves are synced: a leaf with a hash was
complete, even if no signed head covers it yet.
"""

from __future__ import annotations

import contextlib
import logging
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import batched
from pathlib import Path

import msgspec

from linetap_core import jsontext, plainfile, system
from linetap_core.errors import BadInput
from linetap_core.evidence.merklelog import logend, merkle
from linetap_core.evidence.merklelog.merkle import HASH_BYTES, Tree
from linetap_core.evidence.merklelog.nodefile import FILE_MODE, TREE, FileNodes, write_at
from linetap_core.system import is_damage

LEAVES = "leaves.jsonl"
MOST_AT_ONCE = 1024
LEAF_LIMIT_BYTES = 4096
_BLOCK_BYTES = 1 << 16  # read and split at once, even for one leaf: the recorder's memory depends on it

log = logging.getLogger("linetap.log")


class LogShort(Exception):
    """Synced leaves are missing, by a signed head or by their hashes, or cannot be read. No leaf was changed."""

    def __init__(self, text: str, size: int) -> None:
        super().__init__(text)
        self.size = size


class LeafLog:
    """The writer of a log; only one at a time. After an OSError the log is as before the call.

    `tree` gives root and proofs. Leaves are returned as bytes, exactly as hashed.
    """

    _leaves = -1  # descriptor
    _end = 0  # of the whole leaves in the file
    _gap = 0  # the place of the mark behind the leaves that are not counted yet; 0: all are

    def __init__(
        self, folder: Path, proved: int = 0, misses: bool = False,
        set_aside: Callable[[Path, str], object] | None = None, counts_later: bool = False,
    ) -> None:  # fmt: skip
        """`proved`: the number of leaves that a signed head covers. A power cut cannot damage those: none is cut off,
        and LogShort is raised if fewer are found. `misses`: also raised if there are fewer leaves than hashes.
        `set_aside`: moves away a file of hashes that the medium has lost; without it that is an OSError.
        `counts_later`: only the newest leaves are read now, by their hashes; `lines` counts the others, or raises
        LogShort.
        """
        self._proved, self._misses, self._set_aside, self._counts_later = proved, misses, set_aside, counts_later
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._tree_path = folder / LEAVES, folder / TREE
        try:
            self._leaves = os.open(self._path, os.O_RDWR | os.O_CREAT | system.NONBLOCK | system.CLOEXEC, FILE_MODE)
            plainfile.require_plain(self._leaves, self._path)
            self.tree = self._open_or_remake()
        except OSError as error:
            if not misses or not is_damage(error):
                raise
            raise LogShort(f"{folder}: it cannot be read: {error.strerror}", self._proved) from None
        self._found_end = self._end
        for directory in (folder, folder.parent):
            system.sync_folder(directory)

    @property
    def size(self) -> int:
        return self.tree.size

    def append(self, leaf: Mapping[str, object]) -> int:
        """Appends a leaf; returns its index when it is on disk. The fields keep their order in `leaf`."""
        return self.append_all([leaf])

    def append_all(self, leaves: Sequence[Mapping[str, object]]) -> int:
        """Appends at most MOST_AT_ONCE leaves with one sync; returns the index of the first."""
        return self.append_lines([encode(leaf) for leaf in leaves])

    def append_lines(self, lines: Sequence[bytes]) -> int:
        """Appends leaves in their hashed form, like `append_all`."""
        if len(lines) > MOST_AT_ONCE:
            raise ValueError(f"{len(lines)} leaves at once, {MOST_AT_ONCE} at most")
        data = b"".join(line + b"\n" for line in lines)
        try:
            write_at(self._leaves, data, self._end)
            system.sync_data(self._leaves)
            first = self.tree.append_all(lines)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._leaves, self._end)
            raise
        self._mark(first, self._end)
        self._end += len(data)
        return first

    def leaves(self, first: int = 0) -> Iterator[bytes]:
        """Yields the leaves from `first` to the last."""
        index, offset = self._marks[bisect_right(self._marks, (first, self._end)) - 1]
        for line in lines_of(self._path, offset, self._end):
            if index >= first:
                yield line
            index += 1

    def appended(self) -> Iterator[bytes]:
        """The leaves that were appended since the start. Earlier blocks, which may be lost by now, are not read."""
        return lines_of(self._path, self._found_end, self._end)

    def lines(self) -> Iterator[bytes]:
        """Yields every leaf present at the call, as input of `hashes`. LogShort if leaves are missing that were not
        counted at the start.
        """
        lines = lines_of(self._path, 0, self._end)
        return self._count_lines(lines) if self._gap else lines

    def holds(self, first_node: int, nodes: Sequence[bytes]) -> bool:
        """Whether the hashes on disk are these, from place `first_node` on; not if the medium has lost them."""
        try:
            return self._nodes.read_all(first_node, len(nodes)) == b"".join(nodes)
        except OSError as error:
            self._take_new_nodes(error)
            return False

    def hash_found(self, index: int) -> bytes:
        """The hash of a leaf found on disk at the start; empty if there was none."""
        place = merkle.node_count(index) - self._behind_safe
        if place < 0:
            return self._nodes.read(place + self._behind_safe)
        return self._as_found[place * HASH_BYTES : (place + 1) * HASH_BYTES]

    def remake_tree(self) -> None:
        """Recomputes all hashes from the leaves."""
        self._nodes.cut(0)
        tree = Tree(self._nodes, 0)
        for lines in batched(self.lines(), MOST_AT_ONCE, strict=False):
            tree.append_all(lines)
        self.tree = tree

    def index_before(self, earlier: Callable[[bytes], bool]) -> int:
        """The index of a leaf shortly before the first one that is not `earlier`, if the leaves are in that order."""
        found = bisect_left(self._marks, True, key=lambda mark: not earlier(next(self.leaves(mark[0]), b"")))
        return self._marks[max(0, found - 1)][0]

    def close(self) -> None:
        if self._leaves >= 0:
            os.close(self._leaves)
            self._leaves = -1
            if hasattr(self, "_nodes"):
                self._nodes.close()

    __del__ = close

    def _count_lines(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Passes the lines on, and marks those in the gap before the leaves that were read at the start."""
        offset = 0
        for index, line in enumerate(lines, 1):
            yield line
            offset += len(line) + 1
            if not self._gap:
                continue
            expected, end = self._marks[self._gap]
            if offset >= end:
                if index < expected:
                    raise LogShort(f"{self._path}: {expected - index} leaves are missing before leaf {expected}", index)
                self._gap = 0
            elif offset >= self._marks[self._gap - 1][1] + _BLOCK_BYTES:
                self._marks.insert(self._gap, (index, offset))
                self._gap += 1

    def _mark(self, index: int, offset: int) -> None:
        if offset >= self._marks[-1][1] + _BLOCK_BYTES:
            self._marks.append((index, offset))

    # --- loading at the start ----------------------------------------------------------------------------------

    def _open_or_remake(self) -> Tree:
        """The tree, made from the leaves if the medium has lost a part of its file. Lost leaves cannot be remade."""
        try:
            self._nodes = FileNodes(self._tree_path)
            return self._open()
        except OSError as error:
            self._take_new_nodes(error)
        return self._open()

    def _take_new_nodes(self, error: OSError) -> None:
        """Begins an empty file of hashes in place of a file that the medium has lost; other errors are raised."""
        if self._set_aside is None or not is_damage(error):
            raise error
        self._set_aside(self._tree_path, f"{error.strerror}; the leaves give another")
        self._nodes = FileNodes(self._tree_path)

    def _open(self) -> Tree:
        self._marks: list[tuple[int, int]] = [(0, 0)]  # (index of a leaf, its offset), about one for each block
        self._end = self._gap = 0
        hashed = merkle.largest_tree(self._nodes.count)
        safe = max(0, hashed - MOST_AT_ONCE)
        self._behind_safe = merkle.node_count(safe)
        self._as_found = self._nodes.read_all(self._behind_safe, merkle.node_count(hashed) - self._behind_safe)
        while hashed > safe and not any(self.hash_found(hashed - 1)):  # a power cut can leave zeros
            hashed -= 1
        found = self._count_newest(hashed) if self._counts_later else self._count_all()
        if found < (least := max(self._proved, hashed) if self._misses else self._proved):
            what = "signed" if found < self._proved else "written"
            raise LogShort(f"{self._path}: {found} leaves, {least} were {what}", found)
        self._cut(os.fstat(self._leaves).st_size)
        known = min(found, hashed)
        safe = max(0, known - MOST_AT_ONCE)
        self._nodes.cut(merkle.node_count(safe))
        tree = Tree(self._nodes, safe)
        if found - known > MOST_AT_ONCE:
            log.warning("log_tree: %s is short: %d leaves are hashed again", TREE, found - safe)
        for lines in batched(self._behind(safe, known), MOST_AT_ONCE, strict=False):
            tree.append_all(lines)
        return tree

    def _count_all(self) -> int:
        """The number of whole lines in the file."""
        count = offset = 0
        while block := system.read_at(self._leaves, _BLOCK_BYTES, offset):
            last = block.rfind(b"\n") + 1
            if last:
                count += block.count(b"\n")
                self._end = offset + last
                self._mark(count, self._end)
            elif self._misses and len(block) == _BLOCK_BYTES:
                break  # longer than any leaf: none of ours follows, in TB of holes
            offset += len(block)
        return count

    def _count_newest(self, hashed: int) -> int:
        """The same, from the end of the file alone if its newest leaves fit their hashes."""
        newest = logend.find(self._leaves, self._nodes, hashed, MOST_AT_ONCE)
        if newest is None:
            return self._count_all()
        self._end, self._gap = newest.end, 1
        self._marks.append((newest.first, newest.offsets[0]))
        for index, offset in enumerate(newest.offsets, newest.first):
            self._mark(index, offset)
        return newest.size

    def _behind(self, safe: int, known: int) -> Iterator[bytes]:
        """Yields the leaves from `safe` on. An invalid line without a hash was never finished."""
        end = -1
        for index, line in enumerate(self.leaves(safe), safe):
            if index >= max(known, self._proved) and not _is_leaf(line):
                end = self._offset_of(index)
                break
            yield line
        if end >= 0:
            whole, self._end = self._end, end
            self._marks = [mark for mark in self._marks if mark[1] <= end]
            self._cut(whole)

    def _offset_of(self, index: int) -> int:
        at, offset = self._marks[bisect_right(self._marks, (index, self._end)) - 1]
        return offset + sum(len(line) + 1 for line, _ in zip(self.leaves(at), range(index - at), strict=False))

    def _cut(self, size: int) -> None:
        if size > self._end:
            log.warning("log_torn: %s: %d bytes of unfinished leaves cut off", self._path, size - self._end)
            os.ftruncate(self._leaves, self._end)
            system.sync_data(self._leaves)


def encode(leaf: Mapping[str, object]) -> bytes:
    """The bytes of a leaf; BadInput if there are too many."""
    line = msgspec.json.encode(leaf)
    if len(line) > LEAF_LIMIT_BYTES:
        raise BadInput(f"a leaf of {len(line)} bytes, {LEAF_LIMIT_BYTES} at most")
    return line


def lines_of(path: Path, offset: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yields the lines of a file without their newlines, from `offset` to `end`; the last one even without a newline.

    Lines longer than any leaf are returned in pieces of _BLOCK_BYTES, which are no valid leaves, so that memory is
    bounded. OSError for a FIFO in a foreign log, which would block a reader.
    """
    with os.fdopen(os.open(path, system.READ), "rb", buffering=0) as file:
        file.seek(offset)
        left, rest = (1 << 63 if end is None else end - offset), b""
        while left > 0 and (block := file.read(min(_BLOCK_BYTES, left))):
            left -= len(block)
            *whole, rest = (rest + block).split(b"\n")
            yield from whole
            if len(rest) > _BLOCK_BYTES:
                yield rest
                rest = b""
        if rest:
            yield rest


def end_of_lines(path: Path) -> int:
    """The offset after the last newline. A power cut can leave a part of an unfinished leaf after it."""
    with plainfile.opened(path) as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - _BLOCK_BYTES)
            file.seek(begin)
            if (last := file.read(end - begin).rfind(b"\n")) >= 0:
                return begin + last + 1
            end = begin
    return 0


def hashes(leaves: Iterable[bytes], stops: Collection[int] = ()) -> Iterator[tuple[Tree, list[bytes]]]:
    """Yields the tree so far, without its nodes, and the new nodes; also at every size in `stops`."""
    nodes = _Passing()
    tree, lines = Tree(nodes), list[bytes]()
    for line in leaves:
        lines.append(line)
        if len(lines) == MOST_AT_ONCE or tree.size + len(lines) in stops:
            tree.append_all(lines)
            lines.clear()
            yield tree, nodes.new
    tree.append_all(lines)
    yield tree, nodes.new


class _Passing:
    """Nodes that are passed on and not stored."""

    new: list[bytes]

    def read(self, place: int) -> bytes:  # noqa: ARG002  nothing is kept
        return b""

    def append(self, nodes: Sequence[bytes]) -> None:
        self.new = list(nodes)


def _is_leaf(line: bytes) -> bool:
    try:
        jsontext.decode(line, type=dict[str, msgspec.Raw])
    except ValueError:
        return False
    return True
