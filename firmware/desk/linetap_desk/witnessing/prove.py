# SPDX-License-Identifier: Apache-2.0
"""Makes proofs that a call was witnessed, from a unit's log, or from a call's closing and the stored checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from linetap_core.clock import parse_rfc3339
from linetap_core.durable import files
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog import leaflog, unitlog
from linetap_core.evidence.merklelog.closing import Closing, decode_inclusion
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.merklelog.nodefile import TREE, FileNodes
from linetap_core.evidence.merklelog.unitlog import HEAD, Leaf
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.witness import checkpoint, tlogproof
from linetap_core.evidence.witness.note import BadNote, Note
from linetap_core.evidence.witness.quorum import Policy
from linetap_core.evidence.witness.tlogproof import Proof, witnessed_path
from linetap_core.records import CallRecord
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.verdict import Problem
from linetap_desk.witnessing import judge, signedheads
from linetap_desk.witnessing.judge import NOT_WITNESSED, CheckpointVerdict, Rules
from linetap_desk.witnessing.signedheads import KeptCheckpoint

Heads = list[tuple[int, KeptCheckpoint]]


def find_proof(call_dir: Path) -> Path | None:
    """The path of a call's proof in a package (calls/ID, witnessed/ID.tlog-proof) or in a desk's store."""
    name = call_dir.name + tlogproof.SUFFIX
    places = [callfolder.home(call_dir) / witnessed_path(call_dir.name)]
    if call_dir.parent.name == "calls":
        places.insert(0, call_dir.parent.parent / tlogproof.FOLDER / name)
    return next((path for path in places if path.exists()), None)


def read_proof(path: Path) -> Proof:
    return tlogproof.decode(callfolder.read(path, tlogproof.LIMIT_BYTES))


def from_log(rules: Rules, log: Path, unit: str, index: int, signers: list[Signer]) -> Proof | None:
    """The proof of leaf `index` under the first witnessed checkpoint that covers it; None if there is none."""
    name = signedheads.read_head(log / HEAD, None).head.log
    return first_witnessed_proof(witnessed_heads(rules, unit, signers, index, name), rules, log, index)


def first_witnessed_proof(kept: Heads, rules: Rules, log: Path, index: int) -> Proof | None:
    found = _first(kept, lambda each: each.checkpoint.size > index)
    if found is None or rules.policy is None:
        return None
    try:
        nodes = FileNodes(log / TREE, writable=False)
    except OSError as error:
        raise BadNote(f"{log / TREE}: {error.strerror}; a proof is made from it", "no_proof") from None
    try:
        tree = Tree(nodes, found.checkpoint.size)
        if tree.root() != found.checkpoint.root:
            text = f"the first {tree.size} leaves are not those of {found.path}: the log was rewritten"
            raise BadNote(text, "forked")
        return Proof(index, tuple(tree.inclusion(index)), trimmed(rules.policy, found.note))
    except OSError as error:
        raise BadNote(f"{log / TREE}: {error}", "no_proof") from None
    except ValueError as error:
        raise BadNote(f"{log / TREE}: {error}", "rolled_back") from None
    finally:
        nodes.close()


def from_closing(rules: Rules, closing: Closing, unit: str, signers: list[Signer]) -> Proof | None:
    """The proof from a closing, if a checkpoint over its head is kept."""
    path = decode_inclusion(closing.path.encode("ascii", "replace"))
    name = unitlog.decode_head(closing.head.encode("utf-8")).log
    heads = witnessed_heads(rules, unit, signers, path.size - 1, name)
    found = _first(heads, lambda each: each.checkpoint.size == path.size)
    if found is None or rules.policy is None:
        return None
    return Proof(path.index, path.path, trimmed(rules.policy, found.note))


def trimmed(policy: Policy, note: Note) -> Note:
    """The note without signatures unknown to the policy, since an unchecked line could hide other content."""
    own = checkpoint.decode(note.text).origin
    kept = [line for line in note.lines if line.name == own or policy.cosigners(Note(note.text, (line,)))]
    return Note(note.text, tuple(kept))


def call_against(
    rules: Rules, proof: Proof | None, leaf: bytes, leaf_at: str, record: CallRecord, signers: list[Signer]
) -> tuple[CheckpointVerdict | None, Problem | None]:
    """The witnesses' verdict on a call, and the problem by the policy, if any."""
    call_id = record.call_id
    if proof is None:
        return None, Problem(NOT_WITNESSED, f"{call_id}: not witnessed")
    try:
        seen = judge.of_proof(rules, proof, leaf, record.unit, signers)
        found = judge.call_problem(rules, seen, judge.moments(record), parse_rfc3339(leaf_at))
    except Refusal as error:
        return None, Problem(error.code, f"{call_id}: not witnessed: {error}")
    except ValueError:
        return None, Problem(NOT_WITNESSED, f"{call_id}: not witnessed: its leaf, or its record, has an invalid time")
    return seen, None if found is None else Problem(found.code, f"{call_id}: {found.text}")


def witnessed_heads(rules: Rules, unit: str, signers: list[Signer], above: int = 0, log: str = "") -> Heads:
    """The kept checkpoints cosigned by a quorum, each with its time (POSIX), earliest first. `above`: only those over
    more leaves."""
    if rules.policy is None or rules.heads is None:
        return []
    found: Heads = []
    for each in signedheads.kept_checkpoints(rules.heads, unit, log, above=above):
        since_s = judge.verify_checkpoint(rules.policy, each.note, each.checkpoint, unit, signers).since_s
        found += [] if since_s is None else [(since_s, each)]
    return sorted(found, key=lambda pair: pair[0])


def _first(kept: Heads, wanted: Callable[[KeptCheckpoint], bool]) -> KeptCheckpoint | None:
    return next((each for _, each in kept if wanted(each)), None)


def write_proofs(log: Path, store: Path, rules: Rules, signers: list[Signer]) -> int:
    """Writes the proof of each witnessed call beside its copy in the store; returns their number. Packages then need
    neither the log nor the checkpoints. A proof is never replaced: the first checkpoint that covers a call counts."""
    head, count = signedheads.read_head(log / HEAD, signers).head, 0
    unit = head.unit
    wanted = [(index, call_id) for index, call_id in _closes(log) if _lacks_proof(store / unit, call_id)]
    kept = witnessed_heads(rules, unit, signers, wanted[0][0], head.log) if wanted else []
    for index, call_id in wanted:
        path = store / unit / witnessed_path(call_id)
        if (proof := first_witnessed_proof(kept, rules, log, index)) is None:
            continue
        files.make_directories(store, path.parent)
        replace_durably(path, proof.encode())
        count += 1
    return count


def _closes(log: Path) -> Iterator[tuple[int, str]]:
    for index, line in enumerate(leaflog.lines_of(log / LEAVES)):
        if call_id := _closed_call(line):
            yield index, call_id


def _lacks_proof(vault: Path, call_id: str) -> bool:
    return (vault / sealed.call_path(call_id)).is_dir() and not (vault / witnessed_path(call_id)).exists()


def _closed_call(line: bytes) -> str:
    """The call that a leaf closes; empty for every other leaf."""
    try:
        leaf = strict.decode(line[: leaflog.LEAF_LIMIT_BYTES], Leaf)
        sealed.call_time(leaf.call_id or "")
    except (ValueError, BadInput, RecursionError):
        return ""
    return leaf.call_id or "" if leaf.kind == "close" else ""
