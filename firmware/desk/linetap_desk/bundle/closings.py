# SPDX-License-Identifier: Apache-2.0
"""Calls whose unit's log is not here: each has its closing (evidence/closing.py), and the bundle is made from that."""

from __future__ import annotations

import argparse
from pathlib import Path

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence import closing, namespaces, sealed
from linetap_core.evidence.closing import closing_path
from linetap_core.evidence.signers import Signer
from linetap_core.evidence.tlogproof import Proof
from linetap_desk.bundle import layout
from linetap_desk.bundle.attachments import NotBundled, small
from linetap_desk.bundle.container import Source
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.verdict import Verdict
from linetap_desk.witnessing import prove
from linetap_desk.witnessing.judge import Rules


def given(args: argparse.Namespace) -> dict[str, Path]:
    """Call id -> the file of --closing, which has its name."""
    found: dict[str, Path] = {}
    for path in args.closing:
        call_id = path.name.removesuffix(closing.SUFFIX)
        if sealed.CALL_ID.fullmatch(call_id) is None or call_id in found:
            raise BadInput(f"--closing {path}: CALL_ID{closing.SUFFIX} would be right, one of each call")
        found[call_id] = path
    return found


def stored(call_dir: Path) -> Path | None:
    """Where a desk's store has it, of a call that lies there."""
    path = callfolder.home(call_dir) / closing_path(call_dir.name)
    return path if path.is_file() else None


def gather(
    unit: str, chosen: list[tuple[Path, Verdict]], signers: list[Signer], rules: Rules, folders: dict[str, Path]
) -> dict[str, Source]:
    """`chosen`: closing and verdict of each call of the unit. NotBundled unless each proves its call."""
    sources: dict[str, Source] = {}
    for path, verdict in chosen:
        found = _proved(path, unit, verdict, signers)
        head = layout.head(unit, layout.HEAD)
        own: dict[str, Source] = {head: found.head.encode("utf-8"), head + namespaces.SUFFIX: found.sig.encode("utf-8")}
        if sources.get(head, own[head]) != own[head]:
            text = f"two calls of {unit} under two heads: --log with its log, or a bundle of each, would be right"
            raise NotBundled("two_heads", text)
        own[layout.leaf(unit, verdict.name)] = found.leaf.encode("utf-8")
        own[layout.path(unit, layout.HEAD, verdict.name)] = found.path.encode("utf-8")
        if (proof := _witnessed(rules, found, unit, signers, folders[verdict.name])) is not None:
            own[layout.witnessed(unit, verdict.name)] = proof.encode()
        sources |= own
    return sources


def _witnessed(rules: Rules, found: closing.Closing, unit: str, signers: list[Signer], call_dir: Path) -> Proof | None:
    """From the call's store or package, else from a kept checkpoint over the closing's own head."""
    path = prove.beside(call_dir)
    if rules.policy is None or path is None:
        return prove.from_closing(rules, found, unit, signers)
    proof = prove.read(path)
    return Proof(proof.index, proof.path, prove.trimmed(rules.policy, proof.note))


def _proved(path: Path, unit: str, verdict: Verdict, signers: list[Signer]) -> closing.Closing:
    try:
        found = closing.decode(small(path, closing.LIMIT_BYTES))
        closing.check(found, unit, verdict.name, verdict.record_sha256 or "", signers)
    except Refusal as error:
        raise NotBundled(error.code, f"{path}: {error}") from None
    return found
