# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of a log: RFC 6962 section 2.1, the same hashing and proofs as RFC 9162.

A node is stored when the leaves below it are complete, in the order of completion: leaf 0, leaf 1, the node over both,
leaf 2 and so on. That list only grows, so that it can be a file, and the place of every node follows from numbers
alone: a proof reads about as many nodes as it names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()
MOST_PROOF_HASHES = 64  # more than any possible tree needs
_LEAF = b"\x00"
_NODE = b"\x01"


class Nodes(Protocol):
    """A list of hashes that grows at its end."""

    def read(self, place: int) -> bytes: ...
    def append(self, nodes: Sequence[bytes]) -> None: ...


class MemoryNodes:
    def __init__(self) -> None:
        self._data = bytearray()

    def read(self, place: int) -> bytes:
        return bytes(self._data[place * HASH_BYTES : (place + 1) * HASH_BYTES])

    def append(self, nodes: Sequence[bytes]) -> None:
        self._data += b"".join(nodes)


def leaf_hash(data: bytes) -> bytes:
    """The 32-byte hash of a leaf."""
    return hashlib.sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()


def node_count(size: int) -> int:
    """The number of stored nodes of a tree of `size` leaves, which is the place of the next leaf."""
    return 2 * size - size.bit_count()


def largest_tree(nodes: int) -> int:
    """The largest tree with at most that many stored nodes."""
    size = nodes // 2
    while node_count(size + 1) <= nodes:
        size += 1
    return size


class Tree:
    """A tree over `nodes`, with `size` leaves. ValueError for a leaf or a size that is not in it."""

    def __init__(self, nodes: Nodes | None = None, size: int = 0) -> None:
        self._nodes = nodes if nodes is not None else MemoryNodes()
        self._size = size
        self._peaks = [self._node(first, end) for first, end in _complete(0, size)]

    @property
    def size(self) -> int:
        return self._size

    def append(self, leaf: bytes) -> int:
        """Appends a leaf (its data); returns its index."""
        return self.append_all([leaf])

    def append_all(self, leaves: Sequence[bytes]) -> int:
        """Appends leaves in order; returns the index of the first. The nodes are extended by all, or not at all."""
        first, size, peaks, nodes = self._size, self._size, list(self._peaks), []
        for leaf in leaves:
            node = leaf_hash(leaf)
            nodes.append(node)
            full = size
            while full & 1:
                node = node_hash(peaks.pop(), node)
                nodes.append(node)
                full >>= 1
            peaks.append(node)
            size += 1
        self._nodes.append(nodes)
        self._size, self._peaks = size, peaks
        return first

    def root(self, size: int | None = None) -> bytes:
        """The present root, or that of the tree of `size` leaves."""
        if size is None or size == self._size:
            return _join(self._peaks)
        self._require(0 <= size <= self._size, f"the tree has {self._size} leaves, not {size}")
        return self._range(0, size)

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The audit path of leaf `index` in the tree of `size` leaves (RFC 6962 section 2.1.1), leaf's side first."""
        size = self._size if size is None else size
        self._require(0 <= index < size <= self._size, f"no leaf {index} in a tree of {size} of {self._size} leaves")
        first, end, path = 0, size, []
        while end - first > 1:
            middle = first + _split(end - first)
            if index < middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(first, middle))
                first = middle
        return path[::-1]

    def consistency(self, first: int, second: int | None = None) -> list[bytes]:
        """The proof that the tree of `first` leaves is the beginning of the one of `second` (RFC 6962 section
        2.1.2)."""
        second = self._size if second is None else second
        self._require(0 <= first <= second <= self._size, f"not sizes of a tree of {self._size}: {first}, {second}")
        if first in (0, second):
            return []
        low, high, path, whole = 0, second, [], True  # complete: the verifier has this subtree, the old root
        while first != high:
            middle = low + _split(high - low)
            if first <= middle:
                path.append(self._range(middle, high))
                high = middle
            else:
                path.append(self._range(low, middle))
                low, whole = middle, False
        if not whole:
            path.append(self._range(low, high))
        return path[::-1]

    def _range(self, first: int, end: int) -> bytes:
        """The hash over leaves [first, end); `first` is aligned as in every split of a tree."""
        return _join([self._node(*part) for part in _complete(first, end)])

    def _node(self, first: int, end: int) -> bytes:
        """A node over complete leaves, which was appended after the last of them, one place for each level."""
        node = self._nodes.read(node_count(end - 1) + (end - first).bit_length() - 1)
        self._require(len(node) == HASH_BYTES, f"the node over leaves {first} to {end} is missing")
        return node

    @staticmethod
    def _require(holds: bool, text: str) -> None:
        if not holds:
            raise ValueError(text)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` (its hash) is leaf `index` of the tree with this size and root (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size or len(proof) > MOST_PROOF_HASHES:
        return False
    at, last, node = index, size - 1, leaf
    for other in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            node = node_hash(other, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, other)
        at, last = at >> 1, last >> 1
    return last == 0 and node == root


def sides(index: int, size: int) -> list[str]:
    """The side of each hash in the audit path of leaf `index`; ValueError for no such leaf."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    found, first, end = list[str](), 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        found.append("right" if index < middle else "left")
        first, end = (first, middle) if index < middle else (middle, end)
    return found[::-1]


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `second` leaves begins with the one of `first` (RFC 9162 section 2.1.4.2)."""
    if not 0 <= first <= second or len(proof) > MOST_PROOF_HASHES:
        return False
    if first in (0, second):
        return not proof and first_root == (second_root if first == second else EMPTY_ROOT)
    path = list(proof) if first & (first - 1) else [first_root, *proof]
    if not path:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(other, old), node_hash(other, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, other)
        at, last = at >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _complete(first: int, end: int) -> Iterator[tuple[int, int]]:
    """[first, end) as complete subtrees, the largest first."""
    while first < end:
        part = 1 << (end - first).bit_length() - 1
        yield first, first + part
        first += part


def _join(nodes: Sequence[bytes]) -> bytes:
    if not nodes:
        return EMPTY_ROOT
    root = nodes[-1]
    for node in reversed(nodes[:-1]):
        root = node_hash(node, root)
    return root
