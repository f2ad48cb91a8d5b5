# SPDX-License-Identifier: Apache-2.0
"""The log of versions in a folder: `leaves.jsonl` and `tree.bin` (leaflog.py), and `heads/versions/SIZE.checkpoint`,
each head with the cosignatures of its witnesses. The whole folder is published: it contains no secret."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from linetap_core import system
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.merklelog import leaflog
from linetap_core.evidence.merklelog.leaflog import LEAVES, LeafLog, LogShort
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.witness import tlogproof
from linetap_core.evidence.witness.note import BadNote
from linetap_core.evidence.witness.quorum import Policy
from linetap_core.evidence.witness.tlogproof import Proof
from linetap_core.versions import entry
from linetap_core.versions.entry import Entry, NotLogged
from linetap_desk.proofs.verdict import Problem
from linetap_desk.witnessing import prove, signedheads
from linetap_desk.witnessing.signedheads import KeptCheckpoint

NAME = "versions"  # name of the log, like a unit's name; in a witness's signers file too
MOST_ENTRIES = 100_000


class VersionTwice(Refusal):
    """The log already has another entry for this version."""

    code = "version_twice"


def heads_of(folder: Path) -> Path:
    return folder / "heads"


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[LeafLog]:
    """The log, made if missing, for this process alone. BadInput if entries are missing that a head covers."""
    heads_of(folder).mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        system.wait_for_lock(lock.fileno())
        newest = next(_kept(folder, newest_first=True), None)
        try:
            log = LeafLog(folder, 0 if newest is None else newest.checkpoint.size, misses=True)
        except LogShort as error:
            raise BadInput(f"{error}; nothing is added to a log that was cut") from None
        try:
            yield log
        finally:
            log.close()


def add(log: LeafLog, wanted: Entry) -> int:
    """Adds the entry if it is missing; returns its index. VersionTwice if its version has another entry."""
    for index, line in enumerate(log.lines()):
        found = entry.decode(line)
        if (found.product, found.version) == (wanted.product, wanted.version):
            if found != wanted:
                raise VersionTwice(f"entry {index} is {found.text}; a published version does not change: a new one "
                                   f"for {wanted.text} expected")  # fmt: skip
            return index
    if log.size >= MOST_ENTRIES:
        raise BadInput(f"{log.size} entries: a log has {MOST_ENTRIES} at most")
    return log.append_lines([wanted.encode()])


def index_of(folder: Path, payload: str) -> int:
    """The index of the entry with this payload. NotLogged if there is none."""
    for index, line in enumerate(_lines(folder)):
        if entry.decode(line).payload == payload:
            return index
    raise NotLogged(f"{folder}: no entry has the payload {payload}; `linetap versions add` adds it")


def prove_entry(folder: Path, index: int, policy: Policy) -> Proof:
    """The proof by the first head that counts by the policy and covers the entry. NotLogged if there is none."""
    lines = list(_lines(folder))
    tree = Tree()
    tree.append_all(lines)
    for each in _kept(folder, above=index):
        with contextlib.suppress(NotLogged):
            head = entry.require_cosigned(policy, each.note)
            if head.size > tree.size or tree.root(head.size) != head.root:
                raise BadNote(f"{each.path}: the entries are not those of this head: the log was rewritten", "forked")
            path = tuple(tree.inclusion(index, head.size))
            return Proof(index, path, prove.trimmed(policy, each.note), lines[index])
    raise NotLogged(f"entry {index} is under no head that a quorum has cosigned")


def audit(folder: Path, policy: Policy) -> tuple[list[Entry], list[Problem]]:
    """All entries, and all signs of a manipulated log."""
    entries, problems, tree = list[Entry](), list[Problem](), Tree()
    places: dict[tuple[str, str], tuple[int, Entry]] = {}
    for index, line in enumerate(_lines(folder)):
        tree.append(line)
        try:
            found = entry.decode(line)
        except NotLogged as error:
            problems.append(Problem("not_an_entry", f"entry {index}: {error}"))
            continue
        entries.append(found)
        first = places.setdefault((found.product, found.version), (index, found))
        if first[0] != index:
            text = f"entry {index} is {found.text}; entry {first[0]} of the same version is {first[1].text}"
            problems.append(Problem(VersionTwice.code, text))
    covered = 0
    try:
        for each in _kept(folder):
            size, root = each.checkpoint.size, each.checkpoint.root
            if size > tree.size:
                problems.append(Problem("rolled_back", f"{each.path}: over {size} entries, {tree.size} are here"))
            elif tree.root(size) != root:
                problems.append(Problem("forked", f"{each.path}: the first {size} entries are not those of this head"))
            else:
                covered = max(covered, _counted(policy, each, problems))
    except Refusal as error:
        problems.append(Problem(error.code, str(error)))
    if covered < tree.size:
        text = f"{tree.size - covered} of {tree.size} entries are under no head that a quorum has cosigned"
        problems.append(Problem("not_witnessed", text))
    return entries, problems


def _counted(policy: Policy, each: KeptCheckpoint, problems: list[Problem]) -> int:
    """The number of entries that this head covers; 0 unless it counts by the policy."""
    try:
        return entry.require_cosigned(policy, each.note).size
    except NotLogged:
        return 0  # a quorum may have cosigned a later one
    except BadNote as error:
        problems.append(Problem(error.code, f"{each.path}: {error}"))
        return 0


def _kept(folder: Path, *, newest_first: bool = False, above: int = 0) -> Iterator[KeptCheckpoint]:
    return signedheads.kept_checkpoints(heads_of(folder), NAME, newest_first=newest_first, above=above)


def _lines(folder: Path) -> Iterator[bytes]:
    try:
        for index, line in enumerate(leaflog.lines_of(folder / LEAVES)):
            if index >= MOST_ENTRIES:
                raise BadInput(f"{folder / LEAVES}: more than {MOST_ENTRIES} entries")
            yield line
    except OSError as error:
        raise BadInput(f"{folder / LEAVES}: {error.strerror}; a log of versions expected") from None


def write_proof(bundle: Path, proof: Proof) -> Path:
    path = entry.proof_path(bundle)
    replace_durably(path, proof.encode())
    return path


def read_proof(bundle: Path) -> bytes:
    """The proof beside a bundle. NotLogged if there is none."""
    path = entry.proof_path(bundle)
    try:
        with path.open("rb") as file:
            return file.read(tlogproof.LIMIT_BYTES + 1)
    except OSError as error:
        raise NotLogged(f"{path}: {error.strerror}") from None
