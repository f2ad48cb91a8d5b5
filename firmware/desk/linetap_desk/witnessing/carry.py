# SPDX-License-Identifier: Apache-2.0
"""`linetap checkpoint`: submits the heads of units' logs to the witnesses of a policy, and stores their cosignatures.

A unit can reach only its broker, and its key may be unable to sign a checkpoint. So each log has a keeper at the desk:
a separate key, which signs a checkpoint of a head that the unit has signed, and by which the witnesses identify the
log. The keeper signs only heads that continue its earlier checkpoints.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap_core import system
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.errors import BadInput, LinetapError, Refusal
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.merklelog.nodefile import TREE, FileNodes
from linetap_core.evidence.merklelog.unitlog import HEAD, Head
from linetap_core.evidence.signing import namespaces
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.witness import checkpoint
from linetap_core.evidence.witness.checkpoint import Checkpoint
from linetap_core.evidence.witness.note import BadNote, Line, Note
from linetap_core.evidence.witness.quorum import Policy, Witness
from linetap_core.service import Stop
from linetap_core.timekeeping import KEPT
from linetap_desk.proofs import callfolder
from linetap_desk.witnessing import client, judge, options, prove, signedheads
from linetap_desk.witnessing.client import NotCosigned
from linetap_desk.witnessing.follow import LOOK_S, ROUND_S, Follower, Round, read_round
from linetap_desk.witnessing.judge import Rules

_MOST_LOOKED = 1000  # checkpoints searched for a witness's last cosignature


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log", type=Path, nargs="*", metavar="DIR", help="log folders of one unit, or copies")
    parser.add_argument("--config", type=Path, metavar="desk.toml", help="[witnesses]: every unit's log in one round")
    parser.add_argument(
        "--follow", action="store_true", help="with --config: until SIGTERM, each head as soon as it arrives"
    )
    parser.add_argument("--key", type=Path, metavar="KEY", help="the keeper's, `linetap keygen unit`")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="the witnesses, with their URLs")
    parser.add_argument("--signers", type=Path, metavar="ALLOWED_SIGNERS", help="names unit and keeper")
    parser.add_argument("--ca", type=Path, metavar="PEM", help="CA of the witnesses' https")
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help="the store of copies, for the proof of each call in it"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="HEADS", help="folder for UNIT/SIZE.checkpoint")


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    """Submits the logs' heads. 0 if every log reached its quorum, else 1. Prints a line for each log, and one for each
    witness that failed."""
    if args.follow:
        if args.config is None:
            raise BadInput("--follow: with --config desk.toml, whose [witnesses] names the logs")
        return follow(args, clock, Stop())
    signers, policy, wanted = _read(args)
    refused = 0
    for log, key in wanted.logs:
        try:
            refused += not _carry_log(log, key, policy, signers, wanted, proofs_too=True)
        except (Refusal, BadInput, OSError) as error:
            if args.config is None and not isinstance(error, Refusal):
                raise
            refused += 1
            _print_fault(log, error)
    return 1 if refused else 0


class Asked(Protocol):
    @property
    def requested(self) -> bool: ...


def follow(args: argparse.Namespace, clock: Clock, stop: Asked) -> int:
    """Submits heads continuously. BadInput if no log can be submitted at the start; later faults are reported and
    retried."""
    found, read_ns = _read(args), clock.monotonic_ns()

    def carried(log: Path, key: Path, proofs_too: bool) -> bool:
        signers, policy, wanted = found
        try:
            return _carry_log(log, key, policy, signers, wanted, proofs_too)
        except (LinetapError, OSError) as error:
            _print_fault(log, error)
            return False

    follower = Follower(carried, clock)
    while not stop.requested:
        if clock.monotonic_ns() - read_ns >= ROUND_S * NS_PER_S:
            read_ns = clock.monotonic_ns()
            try:
                found = _read(args)
            except LinetapError as error:
                _print_fault(args.config, error)
        follower.run_round(found[2])
        sys.stdout.flush()
        clock.sleep(LOOK_S)
    return 0


def _print_fault(what: Path, error: Exception) -> None:
    sys.stdout.write(f"BAD  {what}: {error} [{getattr(error, 'code', 'bad_input')}]\n")


def _read(args: argparse.Namespace) -> tuple[list[Signer], Policy, Round]:
    wanted = _round_of(args) if args.config is None else read_round(args)
    signers, policy = callfolder.load_signers(wanted.signers), options.load_policy(wanted.policy)
    client.require_urls(policy)
    if wanted.store is not None and not wanted.store.is_dir():
        raise BadInput(f"--store {wanted.store}: not a folder; the store of the desk's copies expected")
    if not wanted.heads.is_dir():
        raise BadInput(f"{wanted.heads}: not a folder; one for the checkpoints expected")
    return signers, policy, wanted


def _carry_log(log: Path, key: Path, policy: Policy, signers: list[Signer], wanted: Round, proofs_too: bool) -> bool:
    good = submit_head(log, callfolder.load_private_key(key), policy, signers, wanted.heads, wanted.ca)
    if good and proofs_too and wanted.store is not None:
        count = prove.write_proofs(log, wanted.store, Rules(policy, wanted.heads), signers)
        sys.stdout.write(f"ok   {wanted.store}: {count} calls got their proof\n")
    return good


def _round_of(args: argparse.Namespace) -> Round:
    for name in ("key", "policy", "signers", "output"):
        if getattr(args, name) is None:
            raise BadInput(f"--{name}: needed, or --config with a desk.toml that has [witnesses]")
    if not args.log:
        raise BadInput("DIR: the log folder of a unit expected, or --config")
    return Round([(log, args.key) for log in args.log], args.policy, args.signers, args.output, args.store, args.ca)


def submit_head(
    log: Path, key: Ed25519PrivateKey, policy: Policy, signers: list[Signer], heads: Path, ca: Path | None = None
) -> bool:
    """Submits the log's head; returns whether it has its quorum now. A Refusal if the head may not be signed."""
    head = signedheads.read_head(log / HEAD, signers).head
    _require_keeper(key, head.unit, policy, signers)
    with _tree(log, head) as tree:
        path = submit_to_witnesses(tree, head.unit, key, policy, heads, ca, head.log)
    seen = judge.verify_checkpoint(policy, *signedheads.read_checkpoint(path)[1:], head.unit, signers)
    good = "ok  " if seen.since_s is not None else "BAD "
    sys.stdout.write(f"{good} {log}: {head.unit}, {head.size} leaves: {seen.text}\n")
    return seen.since_s is not None


def submit_to_witnesses(
    tree: Tree,
    unit: str,
    key: Ed25519PrivateKey,
    policy: Policy,
    heads: Path,
    ca: Path | None = None,
    log: str = "",
) -> Path:
    """Submits the tree to the witnesses; returns the path of its checkpoint, stored with all available cosignatures."""
    with (heads / ".lock").open("a") as lock:
        system.wait_for_lock(lock.fileno())
        _require_own_keeper(heads, unit, log, key)
        signed = checkpoint.signed(_next_checkpoint(heads, unit, log, tree, key), key)
        # Stored before submission, so that the keeper never forgets it.
        path = signedheads.keep_checkpoint(heads, unit, signed, [], log)
        for witness in policy.witnesses.values():
            known = _last_cosigned_size(heads, unit, log, witness)
            lines = _lines(witness, signedheads.read_checkpoint(path).note, known, tree, ca)
            signedheads.keep_checkpoint(heads, unit, signed, lines, log)
    return path


def _lines(witness: Witness, signed: Note, known: int, tree: Tree, ca: Path | None) -> list[Line]:
    """New cosignatures of a witness. A refusal is reported, and does not block other witnesses."""
    if not witness.url or checkpoint.cosigned_at(signed, witness.public, witness.key_name) is not None:
        return []
    try:
        return client.request_cosignature(witness, Note(signed.text, signed.lines[:1]), known, tree.consistency, ca)
    except NotCosigned as error:
        sys.stdout.write(f"BAD  witness {witness.name}: {error} [{error.code}]\n")
        return []


def _last_cosigned_size(heads: Path, unit: str, log: str, witness: Witness) -> int:
    """The last size that the witness cosigned; 0 if that is too long ago: the witness then reports it."""
    for each in itertools.islice(signedheads.kept_checkpoints(heads, unit, log, newest_first=True), 1, _MOST_LOOKED):
        with contextlib.suppress(BadNote):
            if checkpoint.cosigned_at(each.note, witness.public, witness.key_name) is not None:
                return each.checkpoint.size
    return 0


def _next_checkpoint(heads: Path, unit: str, log: str, tree: Tree, key: Ed25519PrivateKey) -> Checkpoint:
    """The checkpoint of the tree. NotCosigned if it does not continue the last one signed by the same key."""
    origin = checkpoint.sigsum_origin(key.public_key())
    for _, _, before in signedheads.kept_checkpoints(heads, unit, log, newest_first=True):
        if before.origin != origin:
            continue
        if before.size > tree.size:
            text = f"{before.size} leaves were signed before, {tree.size} are here: a copy that is old, or cut"
            raise NotCosigned(text, "rollback")
        if tree.root(before.size) != before.root:
            raise NotCosigned(f"the first {before.size} leaves are not those that were signed before", "fork")
        break
    return Checkpoint(origin, tree.size, tree.root())


def _require_own_keeper(heads: Path, unit: str, log: str, key: Ed25519PrivateKey) -> None:
    """Requires a separate keeper for each log: a witness identifies a log by its key, so a unit's new log needs a new
    keeper."""
    origin = checkpoint.sigsum_origin(key.public_key())
    for folder in sorted(path.name for path in heads.iterdir() if path.is_dir()):
        of, name = signedheads.unit_and_log(folder)
        if of != unit or name == log:
            continue
        last = next(signedheads.kept_checkpoints(heads, unit, name, newest_first=True), None)
        if last is not None and last.checkpoint.origin == origin:
            text = f"this keeper has signed another log of {unit}; a restarted log needs its own keeper"
            raise NotCosigned(text, "new_log")


def _require_keeper(key: Ed25519PrivateKey, unit: str, policy: Policy, signers: list[Signer]) -> None:
    own = checkpoint.log_key(key.public_key())
    if own not in judge.keepers(policy, unit, signers):
        raise BadInput(
            f"--key: the signers' file does not name it as the keeper of {unit}'s log (or the policy lists other logs):"
            f' {unit} namespaces="{namespaces.CHECKPOINT}" ssh-ed25519 ... expected'
        )


@contextlib.contextmanager
def _tree(log: Path, head: Head) -> Iterator[Tree]:
    """The stored nodes, if they match the signed head."""
    try:
        nodes = FileNodes(log / TREE, writable=False)
    except OSError as error:
        raise NotCosigned(f"{log / TREE}: {error.strerror}; a proof is made from it", "no_proof") from None
    try:
        tree = Tree(nodes, head.size)
        if tree.root().hex() != head.root:
            raise NotCosigned(f"{log / TREE} is not the tree of the head: `linetap verify` gives details", "no_proof")
        yield tree
    except ValueError as error:
        raise NotCosigned(f"{log / TREE}: {error}", "no_proof") from None
    finally:
        nodes.close()
