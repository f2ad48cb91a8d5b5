# SPDX-License-Identifier: Apache-2.0
"""The calls of a bundle from where they lie, and the proof that each stands in its unit's log."""

from __future__ import annotations

import argparse
from pathlib import Path

from linetap_core.errors import BadInput
from linetap_core.evidence.merklelog import leaflog, unitlog
from linetap_core.evidence.merklelog.closing import Inclusion
from linetap_core.evidence.merklelog.leaflog import LEAVES, TREE, FileNodes
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.merklelog.unitlog import HEAD, Head, Leaf
from linetap_core.evidence.signing import namespaces
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.witness import tlogproof
from linetap_core.records import CallRecord
from linetap_desk import foreign
from linetap_desk.bundle import attachments, exact, layout
from linetap_desk.bundle.attachments import NotBundled, documents, opened, small
from linetap_desk.bundle.container import Source
from linetap_desk.bundle.finish import CA_LIMIT_BYTES
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.tsa import TOKEN_LIMIT_BYTES, TOKEN_SUFFIX
from linetap_desk.proofs.verdict import Verdict
from linetap_desk.proofs.verifycall import verify_call
from linetap_desk.proofs.verifylog import LogCheck
from linetap_desk.witnessing import cosigned, prove
from linetap_desk.witnessing.cosigned import WITNESS_SUFFIX
from linetap_desk.witnessing.judge import Rules


def calls(args: argparse.Namespace, signers: list[Signer]) -> list[tuple[Path, Verdict]]:
    """Every call folder with its verdict, by call id; NotBundled if one is not as a named signer sealed it."""
    found = {}
    for given in args.calls:
        path = given.resolve()
        if not path.is_dir():
            raise BadInput(f"{given}: not a folder; a call folder would be right")
        verdict = verify_call(path, signers)
        for problem in verdict.problems:
            raise NotBundled(problem.code, f"{given}: {problem.text}")
        if path.name in found:
            raise BadInput(f"{given}: is named twice")
        found[path.name] = (path, verdict)
    return [found[call_id] for call_id in sorted(found)]


def gather(
    args: argparse.Namespace, signers: list[Signer], chosen: list[tuple[Path, Verdict]], rules: Rules
) -> dict[str, Source]:
    """Name -> file or bytes, but for what is made from all of them (report, script, sums, signers)."""
    sources: dict[str, Source] = {}
    folders = {path.name: path for path, _ in chosen}
    for path, verdict in chosen:
        sources |= {layout.call(path.name, name): path / name for name in callfolder.entries(path)}
        sources |= documents(args, _record(verdict), path)
    witnesses = {cosigned.read(path, signers).unit: path for path in args.witness}
    logs, closed = _logs(args, chosen, signers)
    for unit, found in closed.items():
        if unit in witnesses or args.stamps is not None:
            raise BadInput(f"--witness, --stamps: {unit} has its log elsewhere: --log with it would be right")
        sources |= attachments.gather_closings(unit, found, signers, rules, folders)
    for unit, log in logs.items():
        ours = [verdict for _, verdict in chosen if _record(verdict).unit == unit]
        sources |= _of_log(args, log, witnesses.pop(unit, None), signers, ours, rules)
    for unit in witnesses:
        raise BadInput(f"--witness: a head of {unit}, of which there is no call")
    if any(tlogproof.SUFFIX in name for name in sources) and rules.policy is not None:
        sources[layout.QUORUM] = "".join(f"{line}\n" for line in rules.policy.lines()).encode("ascii")
    sources |= opened(args.wav, set(folders))
    return sources


def _record(verdict: Verdict) -> CallRecord:
    if verdict.record is None:  # a call without problems has one
        raise NotBundled("not_verified", verdict.name)
    return verdict.record


def _logs(
    args: argparse.Namespace, chosen: list[tuple[Path, Verdict]], signers: list[Signer]
) -> tuple[dict[str, Path], dict[str, list[tuple[Path, Verdict]]]]:
    """Unit -> log folder, of --log, else of the vault that its calls lie in; of the other units each call's closing."""
    given = {cosigned.read_head(path / HEAD, signers).head.unit: path for path in args.log}
    named = attachments.given_closings(args)
    logs: dict[str, Path] = {}
    closed: dict[str, list[tuple[Path, Verdict]]] = {}
    for path, verdict in chosen:
        unit, named_here = _record(verdict).unit, named.pop(path.name, None)
        log = given.get(unit, callfolder.home(path) / unitlog.FOLDER)
        if unit not in given and (closing := named_here or _stored(path, log)) is not None:
            closed.setdefault(unit, []).append((closing, verdict))
        elif (log / HEAD).is_file():
            logs[unit] = log
        else:
            raise BadInput(f"{path}: {log} is no log of its unit: --log with the vault's would be right, or --closing")
    for unit in given.keys() - logs.keys():
        raise BadInput(f"--log: of {unit}, of which there is no call")
    for call_id in named:
        raise BadInput(f"--closing: of {call_id}, which is none of these calls")
    for unit in logs.keys() & closed.keys():
        raise BadInput(f"--closing: of some calls of {unit} only: --log with its log would be right")
    return logs, closed


def _stored(call_dir: Path, log: Path) -> Path | None:
    return None if (log / HEAD).is_file() else attachments.stored_closing(call_dir)


def _of_log(
    args: argparse.Namespace, log: Path, witness: Path | None, signers: list[Signer], ours: list[Verdict], rules: Rules
) -> dict[str, Source]:
    check = LogCheck(log, signers, witness, rules)
    against = [*check.witnessed.broken, *(problem for verdict in ours for problem in check.problems_of(verdict))]
    if check.head is None or not check.good or against:
        code, text = (against[0].code, against[0].text) if against else ("log_damaged", "the log is not in order")
        raise NotBundled(code, f"{log}: {text}: `linetap verify` of its vault says more")
    unit, leaves = check.head.unit, _closes(log, {verdict.name for verdict in ours})
    last = max(index for index, _ in leaves.values())
    heads = {layout.HEAD: log / HEAD}
    sources: dict[str, Source] = {}
    if witness is not None:
        heads[layout.WITNESS] = witness
        sources[layout.head(unit, layout.WITNESS) + WITNESS_SUFFIX] = witness.with_name(witness.name + WITNESS_SUFFIX)
    if args.stamps is not None:
        heads[layout.STAMP] = stamped = _stamped(args.stamps, unit, last, signers)
        token = stamped.with_name(stamped.name + TOKEN_SUFFIX)
        sources[layout.head(unit, layout.STAMP) + TOKEN_SUFFIX] = callfolder.read(token, TOKEN_LIMIT_BYTES)
        sources[layout.ca(unit)] = exact.certificates(small(args.tsa_ca, CA_LIMIT_BYTES), str(args.tsa_ca))
    nodes = FileNodes(log / TREE, writable=False)
    try:
        tree = Tree(nodes, check.head.size)
        for kind, path in heads.items():
            read = cosigned.read_head(path, signers)
            sources[layout.head(unit, kind)] = read.data
            sources[layout.head(unit, kind) + namespaces.SUFFIX] = read.signature
            sources |= _paths(tree, kind, read.head, leaves)
    finally:
        nodes.close()
    kept = prove.witnessed_heads(rules, unit, signers, log=check.head.log)
    for call_id, (index, _) in leaves.items():
        if (proof := prove.under_first(kept, rules, log, index)) is not None:
            sources[layout.witnessed(unit, call_id)] = proof.encode()
    return sources | {layout.leaf(unit, call_id): line for call_id, (_, line) in leaves.items()}


def _paths(tree: Tree, kind: str, head: Head, leaves: dict[str, tuple[int, bytes]]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for call_id, (index, _) in leaves.items():
        if index >= head.size:
            raise NotBundled(f"not_under_{kind}", f"{call_id}: was closed after the {kind}'s head of {head.at}")
        path = Inclusion(index, head.size, tuple(tree.inclusion(index, head.size)))
        found[layout.path(head.unit, kind, call_id)] = path.encode()
    return found


def _closes(log: Path, wanted: set[str]) -> dict[str, tuple[int, bytes]]:
    """Call id -> index and line of its close."""
    found = {}
    for index, line in enumerate(leaflog.lines_of(log / LEAVES)):
        leaf = foreign.decode(line, Leaf, log / LEAVES)
        if leaf.kind == "close" and leaf.call_id in wanted:
            found[str(leaf.call_id)] = (index, line)
    return found


def _stamped(folder: Path, unit: str, last: int, signers: list[Signer]) -> Path:
    """The first stamped head that covers leaf `last`: the earliest word that all the calls were there."""
    for token in sorted(folder.glob(f"{unit}-*.json{TOKEN_SUFFIX}")):
        path = token.with_name(token.name.removesuffix(TOKEN_SUFFIX))
        head = cosigned.read_head(path, signers).head
        if head.unit == unit and head.size > last:
            return path
    raise NotBundled("not_stamped", f"{folder}: no stamped head of {unit} covers these calls")
