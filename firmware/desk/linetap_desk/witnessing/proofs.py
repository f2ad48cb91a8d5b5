# SPDX-License-Identifier: Apache-2.0
"""The proof of each call that witnesses have seen, put beside its copy: packages for officer and custodian have it,
and they need neither the log nor the checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from linetap_core.durable import files
from linetap_core.durable.replace import replace_durably
from linetap_core.errors import BadInput
from linetap_core.evidence import leaflog, sealed
from linetap_core.evidence.leaflog import LEAVES
from linetap_core.evidence.signers import Signer
from linetap_core.evidence.tlogproof import witnessed_path
from linetap_core.evidence.unitlog import HEAD, Leaf
from linetap_desk import foreign
from linetap_desk.witnessing import cosigned, prove
from linetap_desk.witnessing.judge import Rules


def write(log: Path, store: Path, rules: Rules, signers: list[Signer]) -> int:
    """How many calls got one now: those whose copy is in the store and has none. An earlier one is never replaced: the
    first checkpoint that covers a call is the one that counts."""
    head, count = cosigned.read_head(log / HEAD, signers).head, 0
    unit = head.unit
    wanted = [(index, call_id) for index, call_id in _closes(log) if _lacks_proof(store / unit, call_id)]
    kept = prove.witnessed_heads(rules, unit, signers, wanted[0][0], head.log) if wanted else []
    for index, call_id in wanted:
        path = store / unit / witnessed_path(call_id)
        if (proof := prove.under_first(kept, rules, log, index)) is None:
            continue
        files.make_directories(store, path.parent)
        replace_durably(path, proof.encode())
        count += 1
    return count


def _closes(log: Path) -> Iterator[tuple[int, str]]:
    for index, line in enumerate(leaflog.lines_of(log / LEAVES)):
        if call_id := _closed(line):
            yield index, call_id


def _lacks_proof(vault: Path, call_id: str) -> bool:
    return (vault / sealed.call_path(call_id)).is_dir() and not (vault / witnessed_path(call_id)).exists()


def _closed(line: bytes) -> str:
    """The call that a leaf closes, empty for every other leaf."""
    try:
        leaf = foreign.decode(line[: leaflog.LEAF_LIMIT_BYTES], Leaf)
        sealed.call_time(leaf.call_id or "")
    except (ValueError, BadInput, RecursionError):
        return ""
    return leaf.call_id or "" if leaf.kind == "close" else ""
