# SPDX-License-Identifier: Apache-2.0
"""Proves at every start, before any signature, that the log is the one that the unit has signed.

Every leaf is hashed again and compared with the unit's own newest head. The head's file may be damaged, so there are
two copies, each proved by its signature. Leaves after the last head were never signed: each is compared with its hash,
which was written once the leaf was on disk; if a power cut has lost the hash, the leaf is accepted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from linetap_core import jsontext, plainfile
from linetap_core.durable import broken
from linetap_core.durable.unreadable import is_missing
from linetap_core.errors import Refusal
from linetap_core.evidence.merklelog import leaflog, merkle, unitlog
from linetap_core.evidence.merklelog.leaflog import LeafLog
from linetap_core.evidence.merklelog.unitlog import COPY, HEAD, Head, HeadCopy
from linetap_core.evidence.signing import namespaces, sshsig

LEAVES_AT_ONCE = 50_000  # about a quarter of a second on a Pi 4, between two turns of the vault's thread
ROTTEN_HASH_BITS = 32  # fewer different bits: the hash is damaged; that of another leaf differs in about 128 of 256
SHORT, CHANGED, UNSIGNED, OTHER = "log_short", "log_changed", "log_unsigned", "log_other"

log = logging.getLogger("linetap.recorder.vault")


class Misfit(Exception):
    """The log is not the one that was signed. `head`: the newest signed head, if one can be read."""

    def __init__(self, code: str, text: str, head: Head | None) -> None:
        super().__init__(text)
        self.code, self.head = code, head


class SignedHeads:
    """The signed heads in a log's folder: those of the unit's own key, or else of the previous key."""

    def __init__(self, folder: Path, unit: str, origin: str) -> None:
        pairs = [pair for pair in (_pair(folder), _copy(folder)) if pair is not None]
        found = [head for pair in pairs if (head := _head(pair, unit, folder)) is not None]
        own = [head for head in found if head.origin == origin]
        self.heads = sorted(own or found, key=lambda head: (head.size, head.at))
        names = (HEAD, HEAD + namespaces.SUFFIX, COPY)
        self.there = not all(is_missing(folder / name) for name in names)

    @property
    def newest(self) -> Head | None:
        return self.heads[-1] if self.heads else None


class Proof:
    """The proof of a log, in pieces."""

    def __init__(self, leaves: LeafLog, heads: SignedHeads, take: Callable[[bytes], object] = lambda _: None) -> None:
        """Misfit if the log cannot be proved: there was a head, and no copy is intact. `take` gets every leaf, some
        twice if a read fails.
        """
        self.size = leaves.size  # leaves to prove; later ones are of this start
        if heads.newest is None and (heads.there or self.size > leaflog.MOST_AT_ONCE):
            raise Misfit(UNSIGNED, f"{self.size} leaves, and no whole head is signed over them", None)
        self._log, self.newest, self._take = leaves, heads.newest, take
        self._roots = {head.size: head for head in heads.heads}
        self._steps = self._follow()
        self.is_done = False

    def step(self, most: int = LEAVES_AT_ONCE) -> None:
        """Hashes up to `most` more leaves. Misfit, LogShort: not the signed log. OSError: it cannot be read."""
        try:
            for hashed in self._steps:
                most -= hashed
                if most <= 0:
                    return
        except BaseException:  # re-raised; the generator has ended by it, and the next step would take that for the end
            self._steps = self._follow()
            raise
        self.is_done = True

    def finish(self) -> None:
        """Hashes all leaves at once."""
        while not self.is_done:
            self.step()

    def _follow(self) -> Iterator[int]:
        """Proves the log; yields after each piece the largest possible number of its leaves."""
        nodes, size, same = 0, 0, True
        signed = self.newest.size if self.newest is not None else 0
        for tree, new in leaflog.hashes(self._taken_lines(), self._roots):
            same = same and self._log.holds(nodes, new)
            if signed < tree.size:
                self._require_hashed(range(max(signed, size), min(tree.size, self.size)), new, nodes)
            nodes, size = nodes + len(new), tree.size
            head = self._roots.get(tree.size)
            if head is not None and tree.root().hex() != head.root:
                raise Misfit(CHANGED, f"the {head.size} leaves are not those that were signed", self.newest)
            yield leaflog.MOST_AT_ONCE
        if size < self.size:
            raise Misfit(SHORT, f"{size} leaves, {self.size} were there at the start", self.newest)
        if not same:
            log.warning("log_tree: the hashes over the leaves were damaged; they are made anew")
            self._log.remake_tree()

    def _taken_lines(self) -> Iterator[bytes]:
        for line in self._log.lines():
            self._take(line)
            yield line

    def _require_hashed(self, unsigned: range, new: list[bytes], first_node: int) -> None:
        """Compares leaves without a head with their stored hashes. `new`: the hashes of the present leaves."""
        for index in unsigned:
            found, hashed = self._log.hash_found(index), new[merkle.node_count(index) - first_node]
            if found == hashed or not any(found):
                continue
            if (int.from_bytes(found) ^ int.from_bytes(hashed)).bit_count() > ROTTEN_HASH_BITS:
                raise Misfit(CHANGED, f"leaf {index}, not signed yet, is not the one that was written", self.newest)


def _pair(folder: Path) -> tuple[bytes, bytes] | None:
    try:
        data = _read(folder / HEAD, unitlog.HEAD_LIMIT_BYTES)
        return data, _read(folder / f"{HEAD}{namespaces.SUFFIX}", sshsig.SIGNATURE_LIMIT_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        broken.report(folder / HEAD, f"{error.strerror}; its copy counts")
        return None


def _copy(folder: Path) -> tuple[bytes, bytes] | None:
    try:
        found = jsontext.decode(_read(folder / COPY, unitlog.COPY_LIMIT_BYTES), type=HeadCopy)
    except (OSError, ValueError):
        return None
    return found.head.encode("utf-8"), found.sig.encode("utf-8")


def _read(path: Path, most: int) -> bytes:
    with plainfile.opened(path) as file:
        return file.read(most + 1)


def _head(pair: tuple[bytes, bytes], unit: str, folder: Path) -> Head | None:
    try:
        head = unitlog.check_head(*pair, None)
    except Refusal as error:
        log.warning("head_damaged: %s: %s", folder, error)
        return None
    return head if head.unit == unit else None
