# SPDX-License-Identifier: Apache-2.0
"""The basis for checking a call before any of it is opened: trusted signers, and the close in its unit's log.

The proof of the close (evidence/merklelog/closing.py) is given by --closing, made from the log given by --log, or
found: beside the call in a package (calls/ID, closing/ID.json), in the desk's store, or in the log of its vault.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.release import NotReleased
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog import closing, leaflog, unitlog
from linetap_core.evidence.merklelog.closing import Closing, Inclusion, NotClosed, closing_path
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.merklelog.nodefile import TREE, FileNodes
from linetap_core.evidence.merklelog.unitlog import HEAD, Leaf
from linetap_core.evidence.signing import namespaces
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.witness import tlogproof
from linetap_core.evidence.witness.tlogproof import Proof
from linetap_core.records import CallRecord
from linetap_desk.accesslog import deskfolder
from linetap_desk.inputs import strict
from linetap_desk.proofs import amendments, callfolder
from linetap_desk.proofs.callfolder import read_named
from linetap_desk.proofs.verdict import Problem
from linetap_desk.witnessing import options, prove
from linetap_desk.witnessing.judge import NO_RULES, NOBODY, NOT_WITNESSED, CheckpointVerdict, Rules

SIGNERS = "allowed_signers"  # in the desk's folder


@dataclass(frozen=True, slots=True)
class Basis:
    """The basis of a check. With `roles` in force signers and a close are required; otherwise a missing one is a
    doubt."""

    signers: list[Signer] | None
    roles: Roles | None = None
    closings: list[Path] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    rules: Rules = NO_RULES  # of witnesses
    witnessed: list[Path] = field(default_factory=list)


def add_arguments(parser: argparse.ArgumentParser, *, witnesses: bool = True) -> None:
    """`witnesses`: False for commands that keep a call and open nothing: these must work for unwitnessed calls too."""
    parser.add_argument(
        "--signers", type=Path, metavar="ALLOWED_SIGNERS",
        help=f"the published file, default {SIGNERS} in the desk's folder; needed once there are roles",
    )  # fmt: skip
    parser.add_argument(
        "--closing", type=Path, action="append", default=[], metavar="FILE",
        help="the proof that the unit's log has closed the call, CALL_ID.json; default: beside the call",
    )  # fmt: skip
    parser.add_argument(
        "--log", type=Path, action="append", default=[], metavar="DIR", help="the unit's log, where there is no closing"
    )
    if not witnesses:
        parser.set_defaults(policy=None, heads=None, within=None, witnessed=[])
        return
    parser.add_argument(
        "--witnessed", type=Path, action="append", default=[], metavar="FILE",
        help="for --policy: CALL_ID.tlog-proof, as a bundle has it; default: beside the call, or from log and --heads",
    )  # fmt: skip
    options.add_arguments(parser)


def basis(args: argparse.Namespace, desk: deskfolder.Desk | None, roles: Roles | None) -> Basis:
    for path in args.closing:
        if sealed.CALL_ID.fullmatch(path.name.removesuffix(closing.SUFFIX)) is None:
            raise BadInput(f"--closing {path}: CALL_ID{closing.SUFFIX} expected, as the desk names it")
    rules = NO_RULES if args.within is None else options.rules(args)
    return Basis(load_signers(args.signers, desk), roles, args.closing, args.log, rules, args.witnessed)


def load_signers(path: Path | None, desk: deskfolder.Desk | None) -> list[Signer] | None:
    """None if no roles are in force and no signers were given."""
    if path is None and desk is not None:
        path = desk.folder / SIGNERS
        if not path.exists():
            text = f"--signers: roles are in force: the published allowed_signers expected, or as {path}"
            raise NotReleased("signers_needed", text)
    return None if path is None else callfolder.load_signers(path)


def find_closing(call_dir: Path, unit: str, given: Basis) -> Closing | None:
    """The call's closing, unchecked; None if there is none. NotClosed if a log contradicts it, or records the call's
    destruction."""
    call_id = call_dir.name
    sealed.call_time(call_id)
    for path in given.closings:
        if path.name == call_id + closing.SUFFIX:
            return closing.decode(read_named(path, closing.LIMIT_BYTES))
    for log in given.logs:
        if unitlog.decode_head(read_named(log / HEAD, unitlog.HEAD_LIMIT_BYTES)).unit == unit:
            return of_log(log, call_id)
    home = callfolder.home(call_dir)
    beside = [home / closing_path(call_id)]
    if call_dir.parent.name == amendments.IN_A_PACKAGE:
        beside.insert(0, call_dir.parent.parent / closing.FOLDER / f"{call_id}{closing.SUFFIX}")
    for path in beside:
        if path.exists():
            return closing.decode(callfolder.read(path, closing.LIMIT_BYTES))
    log = home / unitlog.FOLDER
    return of_log(log, call_id) if (log / HEAD).exists() else None


def find_witnessed(call_dir: Path, unit: str, close: Closing, given: Basis) -> Proof | None:
    """The proof that witnesses cosigned the close, unchecked. A Refusal if log or checkpoints contradict it."""
    name, signers = call_dir.name + tlogproof.SUFFIX, given.signers or []
    for path in given.witnessed:
        if path.name == name:
            return tlogproof.decode(read_named(path, tlogproof.LIMIT_BYTES))
    if (found := prove.find_proof(call_dir)) is not None:
        return prove.read_proof(found)
    index = closing.decode_inclusion(close.path.encode("ascii", "replace")).index
    for log in [*given.logs, callfolder.home(call_dir) / unitlog.FOLDER]:
        if (log / HEAD).exists() and unitlog.decode_head(read_named(log / HEAD, unitlog.HEAD_LIMIT_BYTES)).unit == unit:
            return prove.from_log(given.rules, log, unit, index, signers)
    return prove.from_closing(given.rules, close, unit, signers)


def witnessed(
    call_dir: Path, record: CallRecord, close: Closing | None, given: Basis
) -> tuple[CheckpointVerdict | None, Problem | None]:
    """The witnesses' verdict on the close (checked by `closing.check`), and the problem by the policy, if any."""
    call_id = call_dir.name
    if close is None:
        return None, Problem(
            NOT_WITNESSED, f"{call_id}: {NOBODY}: nothing here shows that its unit's log has closed it"
        )
    try:
        proof = find_witnessed(call_dir, record.unit, close, given)
    except (Refusal, OSError) as error:
        code = error.code if isinstance(error, Refusal) else NOT_WITNESSED
        return None, Problem(code, f"{call_id}: {NOBODY}: {error}")
    leaf = close.leaf.encode("utf-8")
    at = strict.decode(leaf, Leaf, call_id).at
    return prove.call_against(given.rules, proof, leaf, at, record, given.signers or [])


def of_log(log: Path, call_id: str) -> Closing:
    """The close of a call as in its log, under the log's own head."""
    callfolder.entries(log)  # requires regular files only
    head, sig = log / HEAD, log / f"{HEAD}{namespaces.SUFFIX}"
    data = callfolder.read(head, unitlog.HEAD_LIMIT_BYTES)
    size = unitlog.decode_head(data).size
    (index, line), ended = _close(log, call_id)
    if index >= size:
        raise NotClosed("not_in_log", f"{call_id} was closed after the head that the unit signed last")
    nodes = FileNodes(log / TREE, writable=False)
    try:
        tree = Tree(nodes, size)
        paths = [Inclusion(at, size, tuple(tree.inclusion(at, size))).encode() for at, _ in [(index, line), *ended]]
    except (ValueError, IndexError, OSError) as error:
        raise NotClosed("not_in_log", f"{log / TREE}: does not hold the hashes of the leaves: {error}") from None
    finally:
        nodes.close()
    try:
        return Closing(
            leaf=line.decode("utf-8"),
            path=paths[0].decode("ascii"),
            head=data.decode("utf-8"),
            sig=callfolder.read(sig, unitlog.HEAD_LIMIT_BYTES).decode("ascii"),
            end=ended[0][1].decode("utf-8") if ended else "",
            end_path=paths[1].decode("ascii") if ended else "",
        )
    except UnicodeDecodeError:
        raise NotClosed("closing_malformed", f"{log}: its leaf or its signature is no text") from None


def _close(log: Path, call_id: str) -> tuple[tuple[int, bytes], list[tuple[int, bytes]]]:
    """Index and line of the call's only close; and of its end, if the unit ended it."""
    found: list[tuple[int, bytes]] = []
    ended: list[tuple[int, bytes]] = []
    name = call_id.encode("ascii")
    for index, line in enumerate(leaflog.lines_of(log / LEAVES)):
        if name not in line or len(line) > leaflog.LEAF_LIMIT_BYTES:
            continue
        try:
            leaf = strict.decode(line, Leaf)
        except (ValueError, RecursionError):
            continue
        if leaf.call_id == call_id and leaf.kind == "destruction":
            raise NotClosed("destroyed", f"by the unit's log {call_id} was destroyed at {leaf.at}")
        if leaf.call_id == call_id and leaf.kind == "close":
            found.append((index, line))
        if leaf.call_id == call_id and leaf.kind == "end" and not found:
            ended = [(index, line)]
    if len(found) != 1:
        text = "does not know that it was sealed" if not found else "closes it more than once"
        raise NotClosed("not_in_log", f"{call_id}: the unit's log {text}")
    return found[0], ended
