# SPDX-License-Identifier: Apache-2.0
"""`linetap witness`: cosigns a unit's head when its log goes on from the last one seen, and never two that differ.

What the witness has seen stands in its state file, and is on disk before a cosignature is given away.
"""

from __future__ import annotations

import argparse
import fcntl
import sys
from collections.abc import Collection
from pathlib import Path

from linetap_core.durable.smallfile import SmallFile
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.merklelog import merkle
from linetap_core.evidence.merklelog.leaflog import TREE, FileNodes
from linetap_core.evidence.merklelog.unitlog import HEAD, Head
from linetap_core.evidence.signing.signers import Signer
from linetap_core.timekeeping import KEPT
from linetap_desk.proofs import callfolder, timestamp, tsa
from linetap_desk.witnessing import cosigned
from linetap_desk.witnessing import cosigned as seen
from linetap_desk.witnessing.cosigned import SignedHead

State = dict[str, Head]  # the last head cosigned, by unit; of a log with a name by unit and log
_SEEN = SmallFile("witness_heads", State, seen.MOST_STATE_BYTES)


class NotCosigned(Refusal):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def require_continuation(last: Head | None, head: Head, tree_path: Path) -> None:
    """Nothing, if `head` goes on from `last`, proven from the nodes in `tree_path`; else NotCosigned."""
    if last is None:
        return
    if head.size < last.size:
        raise NotCosigned("rollback", f"the head is over {head.size} leaves, {last.size} were there before")
    if head.size == last.size:
        if head.root != last.root:
            raise NotCosigned("fork", f"another head over the same {head.size} leaves was cosigned before")
        return
    old, new = bytes.fromhex(last.root), bytes.fromhex(head.root)
    proof = _proof(tree_path, last.size, head.size)
    if not merkle.verify_consistency(last.size, head.size, old, new, proof):
        raise NotCosigned("fork", f"the log does not go on from the head over {last.size} leaves: they were changed")


def may_cosign(path: Path, signers: list[Signer], state: State, new_logs: Collection[str] = ()) -> SignedHead:
    """The head of a log's folder, or a single head, if it may be cosigned; else a Refusal. A unit that begins
    another log is not trusted, since a thief of its key could do the same: a person names the log in `new_logs`."""
    head_path = path / HEAD if path.is_dir() else path
    signed = cosigned.read_head(head_path, signers)
    head = signed.head
    name, others = head.log or "-", any(other.unit == head.unit for other in state.values())
    if others and place_of(head) not in state and name not in new_logs:
        text = "another log than the one that was cosigned; if you know why it began (docs/log.md)"
        raise NotCosigned("new_log", f"{text}, --new-log {name} takes it")
    require_continuation(state.get(place_of(head)), head, head_path.with_name(TREE))
    return signed


def place_of(head: Head) -> str:
    """Under which its log is known."""
    return f"{head.unit}.{head.log}" if head.log else head.unit


def _proof(tree_path: Path, first: int, second: int) -> list[bytes]:
    try:
        nodes = FileNodes(tree_path, writable=False)
    except OSError as error:
        raise NotCosigned("no_proof", f"{tree_path}: {error.strerror}; a proof is made from it") from None
    try:
        return merkle.Tree(nodes, second).consistency(first)
    except ValueError as error:
        raise NotCosigned("no_proof", f"{tree_path}: {error}") from None
    finally:
        nodes.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", type=Path, nargs="+", default=[], metavar="DIR_OR_HEAD",
                        help="log folders, or heads that lie in one")  # fmt: skip
    parser.add_argument("--listen", metavar="HOST:PORT", help="serve checkpoints there instead (C2SP tlog-witness)")
    parser.add_argument(
        "--name", metavar="NAME", help="with --listen: under which it cosigns, like witness.city.example"
    )
    parser.add_argument("--new-log", action="append", default=[], metavar="LOG",
                        help="accept this log, which replaced another, once you know why")  # fmt: skip
    parser.add_argument(
        "--state", type=Path, required=True, metavar="FILE", help="what was cosigned last; made if missing"
    )
    parser.add_argument("--key", type=Path, required=True, metavar="WITNESS_KEY", help="from `linetap keygen unit`")
    parser.add_argument("--signers", type=Path, required=True, metavar="ALLOWED_SIGNERS", help="names the units' keys")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="gets UNIT.json and its two signatures")
    tsa.add_arguments(parser, required=False)
    parser.add_argument("--stamps", type=Path, metavar="DIR", help="gets a stamped head of each unit once a day")


def run(args: argparse.Namespace) -> int:
    """0 when every head was cosigned, and stamped where an authority is named, else 1; one line for each."""
    if (args.listen is None) != (args.name is None):
        raise BadInput("--listen and --name belong together")
    if args.listen is not None:
        from linetap_desk.witnessing import serve

        if args.log or args.output is not None:
            raise BadInput("--listen: checkpoints come from outside; without --log and -o would be right")
        return serve.run(args, KEPT)
    if not args.log or args.output is None:
        raise BadInput("--log with the logs and -o with a folder for their heads would be right, or --listen")
    signers = callfolder.load_signers(args.signers)
    key = callfolder.load_private_key(args.key)
    authority = tsa.of(args)
    if (authority is None) != (args.stamps is None):
        raise BadInput("--tsa, --ca and --stamps belong together")
    for folder in [args.output, *([args.stamps] if args.stamps else [])]:
        if not folder.is_dir():
            raise BadInput(f"{folder}: not a folder; one for the heads would be right")
    refused = 0
    with args.state.with_name(args.state.name + ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = seen.load_state(_SEEN, args.state)
        for path in args.log:
            try:
                signed = may_cosign(path, signers, state, args.new_log)
                state[place_of(signed.head)] = signed.head
                seen.keep_state(_SEEN, args.state, state)
                cosigned.keep_other_log(args.output / f"{signed.head.unit}.json", signed.head)
                cosigned.write(args.output / f"{signed.head.unit}.json", signed, key)
                sys.stdout.write(f"ok   {path}: {signed.head.unit}, {signed.head.size} leaves, cosigned\n")
                if authority is not None and not timestamp.is_stamped_that_day(signed.head, args.stamps):
                    stamped = timestamp.stamp_head(signed, authority, args.stamps)
                    sys.stdout.write(f"ok   {stamped}: stamped\n")
            except Refusal as error:
                refused += 1
                sys.stdout.write(f"BAD  {path}: {error} [{error.code}]\n")
    return 1 if refused else 0
