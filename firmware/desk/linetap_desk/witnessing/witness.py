# SPDX-License-Identifier: Apache-2.0
"""`linetap witness`: cosigns a unit's head if its log continues the last one cosigned; never two that differ.

With `--listen` it serves C2SP tlog-witness instead: it accepts checkpoints of the logs whose keepers its signers' file
names. The service is plain HTTP on the loopback, without authentication: the keeper's signature identifies the log, and
a proxy adds TLS.

The state file is on disk before a cosignature is given out.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap_core import system
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.durable.smallfile import SmallFile
from linetap_core.errors import BadInput, CodedRefusal, LinetapError, Refusal
from linetap_core.evidence.merklelog import merkle
from linetap_core.evidence.merklelog.nodefile import TREE, FileNodes
from linetap_core.evidence.merklelog.unitlog import HEAD, Head
from linetap_core.evidence.signing import namespaces
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.witness import checkpoint, note
from linetap_core.evidence.witness.checkpoint import PATH, SIZE_TYPE, Checkpoint
from linetap_core.evidence.witness.note import BadNote, Key
from linetap_core.service import InstanceLock, Stop
from linetap_core.timekeeping import KEPT, require_possible
from linetap_desk.proofs import callfolder
from linetap_desk.web.server import LoopbackHandler, LoopbackServer, loopback_address
from linetap_desk.witnessing import judge, signedheads, timestamp
from linetap_desk.witnessing.signedheads import SignedHead

MOST_AT_ONCE = 8


class Last(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: int
    root: str


SEEN = SmallFile("witness_checkpoints", dict[str, Last], signedheads.MOST_STATE_BYTES)


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"


@dataclass(slots=True)
class CheckpointWitness:
    """The witness of checkpoints. `logs`: key by origin. The state is on disk before a cosignature is given out."""

    name: str
    key: Ed25519PrivateKey
    logs: dict[str, Key]
    state: Path
    clock: Clock
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, body: bytes) -> Answer:
        try:
            asked = checkpoint.decode_request(body)
            found = checkpoint.decode(asked.note.text)
        except BadNote as error:
            return Answer(HTTPStatus.BAD_REQUEST, f"{error}\n".encode())
        key = self.logs.get(found.origin)
        if key is None:
            return Answer(HTTPStatus.NOT_FOUND, b"this witness does not know the log\n")
        try:
            if not note.is_signed(asked.note, key):
                return Answer(HTTPStatus.FORBIDDEN, b"the log's key has not signed this\n")
        except BadNote as error:
            return Answer(HTTPStatus.FORBIDDEN, f"{error}\n".encode())
        if asked.old > found.size:
            return Answer(HTTPStatus.BAD_REQUEST, b"the old size is larger than the checkpoint\n")
        with self._lock:
            return self._cosign(asked, found)

    def _cosign(self, asked: checkpoint.AddRequest, found: Checkpoint) -> Answer:
        known = signedheads.load_state(SEEN, self.state)
        last = known.get(found.origin, Last(0, merkle.EMPTY_ROOT.hex()))
        if asked.old != last.size:
            return Answer(HTTPStatus.CONFLICT, f"{last.size}\n".encode(), SIZE_TYPE)
        old_root = bytes.fromhex(last.root)
        if not merkle.verify_consistency(last.size, found.size, old_root, found.root, asked.proof):
            return Answer(HTTPStatus.UNPROCESSABLE_ENTITY, b"the log does not continue the cosigned one\n")
        known[found.origin] = Last(found.size, found.root.hex())
        signedheads.keep_state(SEEN, self.state, known)
        line = checkpoint.cosign(asked.note.text, self.name, self.key, self.clock.utc_ns() // NS_PER_S)
        return Answer(HTTPStatus.OK, line.encode().encode("utf-8"))


def serve_witness(args: argparse.Namespace, clock: Clock) -> int:
    """Serves until SIGTERM; returns 0."""
    require_possible(clock)  # a cosignature contains a time
    key = callfolder.load_private_key(args.key)
    if not note.is_name(args.name):
        raise BadInput(f"--name {args.name!r}: a name without spaces and +, such as witness.city.example, expected")
    logs = {log.name: log for log in judge.all_keepers(callfolder.load_signers(args.signers))}
    if not logs:
        raise BadInput(
            f'{args.signers}: names no keeper: a line UNIT namespaces="{namespaces.CHECKPOINT}" ssh-ed25519 expected'
        )
    with _held_state(args.state):
        witness = CheckpointWitness(args.name, key, logs, args.state, clock)
        _serve(args, witness, key)
    return 0


@contextlib.contextmanager
def _held_state(path: Path) -> Iterator[None]:
    """Keeps the state for this process: two that read it at the same moment would cosign two logs."""
    with InstanceLock(path.absolute().parent, f"{path.name}.witness"):
        signedheads.load_state(SEEN, path)
        yield


def _serve(args: argparse.Namespace, witness: CheckpointWitness, key: Ed25519PrivateKey) -> None:
    stop = Stop()
    try:
        server = Server(loopback_address(args.listen, f"--listen {args.listen}"), witness)
    except OSError as error:
        raise BadInput(f"--listen {args.listen}: {error.strerror}") from None
    with server:
        host, port = server.server_address[:2]
        own = Key(args.name, note.COSIGNATURE, key.public_key().public_bytes_raw())
        sys.stderr.write(f"{own.vkey()} http://{host!s}:{port}/\n")
        sys.stderr.flush()
        while not stop.requested:
            server.handle_request()


class Server(LoopbackServer):
    def __init__(self, address: tuple[str, int], witness: CheckpointWitness) -> None:
        self.witness = witness
        super().__init__(address, Handler, MOST_AT_ONCE)


class Handler(LoopbackHandler):
    server: Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != PATH:
            self._send_answer(Answer(HTTPStatus.NOT_FOUND))
        elif not length.isascii() or not length.isdigit() or int(length[:9]) > checkpoint.LIMIT_BYTES:
            self._send_answer(Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
        else:
            self._send_answer(self._answer(self.rfile.read(int(length[:9]))))

    def _answer(self, body: bytes) -> Answer:
        try:
            return self.server.witness.answer(body)
        except (LinetapError, OSError) as error:  # of the state: nothing is cosigned
            sys.stderr.write(f"BAD  {error}\n")
            sys.stderr.flush()
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _send_answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)


State = dict[str, Head]  # the last head cosigned, by unit; for a named log by unit and log
_SEEN = SmallFile("witness_heads", State, signedheads.MOST_STATE_BYTES)


class NotCosigned(CodedRefusal):
    pass


def require_continuation(last: Head | None, head: Head, tree_path: Path) -> None:
    """NotCosigned unless `head` continues `last`, proven by the nodes in `tree_path`."""
    if last is None:
        return
    if head.size < last.size:
        raise NotCosigned("rollback", f"the head covers {head.size} leaves, an earlier one {last.size}")
    if head.size == last.size:
        if head.root != last.root:
            raise NotCosigned("fork", f"another head of the same {head.size} leaves was cosigned before")
        return
    old, new = bytes.fromhex(last.root), bytes.fromhex(head.root)
    proof = _proof(tree_path, last.size, head.size)
    if not merkle.verify_consistency(last.size, head.size, old, new, proof):
        raise NotCosigned("fork", f"the log does not continue the head of {last.size} leaves: they were changed")


def may_cosign(path: Path, signers: list[Signer], state: State, new_logs: Collection[str] = ()) -> SignedHead:
    """The head of a log's folder, or a single head, if it may be cosigned; else a Refusal. A unit that begins another
    log is not trusted, since a thief of its key could do the same: a person names the log in `new_logs`."""
    head_path = path / HEAD if path.is_dir() else path
    signed = signedheads.read_head(head_path, signers)
    head = signed.head
    name, others = head.log or "-", any(other.unit == head.unit for other in state.values())
    if others and place_of(head) not in state and name not in new_logs:
        text = "another log than the one cosigned before; once you know why it began (docs/log.md)"
        raise NotCosigned("new_log", f"{text}, --new-log {name} accepts it")
    require_continuation(state.get(place_of(head)), head, head_path.with_name(TREE))
    return signed


def place_of(head: Head) -> str:
    """The state file's name for the head's log."""
    return f"{head.unit}.{head.log}" if head.log else head.unit


def _proof(tree_path: Path, first: int, second: int) -> list[bytes]:
    try:
        nodes = FileNodes(tree_path, writable=False)
    except OSError as error:
        raise NotCosigned("no_proof", f"{tree_path}: {error.strerror}; it is needed for the proof") from None
    try:
        return merkle.Tree(nodes, second).consistency(first)
    except (OSError, ValueError) as error:
        raise NotCosigned("no_proof", f"{tree_path}: {error}") from None
    finally:
        nodes.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--log", type=Path, nargs="+", default=[], metavar="DIR_OR_HEAD", help="log folders, or head files in them")
    add("--listen", metavar="HOST:PORT", help="instead, cosign checkpoints requested over HTTP (C2SP tlog-witness)")
    add("--name", metavar="NAME", help="with --listen: the witness's name, such as witness.city.example")
    text = "accept this log in place of another, once you know why it began"
    add("--new-log", action="append", default=[], metavar="LOG", help=text)
    add("--state", type=Path, required=True, metavar="FILE", help="the last cosigned heads; created if missing")
    add("--key", type=Path, required=True, metavar="WITNESS_KEY", help="its key, from `linetap keygen unit`")
    add("--signers", type=Path, required=True, metavar="ALLOWED_SIGNERS", help="the units' published keys")
    add("-o", "--output", type=Path, metavar="DIR", help="folder for each UNIT.json and its two signatures")
    timestamp.add_authority_arguments(parser, required=False)
    add("--stamps", type=Path, metavar="DIR", help="folder for a time-stamped head of each unit, once a day")


def run(args: argparse.Namespace) -> int:
    """Cosigns the heads; prints one line for each. 0 if every head was cosigned, and stamped if an authority is named,
    else 1."""
    if (args.listen is None) != (args.name is None):
        raise BadInput("--listen and --name belong together")
    if args.listen is not None:
        if args.log or args.output is not None:
            raise BadInput("--listen: without --log and -o expected")
        return serve_witness(args, KEPT)
    if not args.log or args.output is None:
        raise BadInput("--log LOGS and -o FOLDER, or --listen, expected")
    signers = callfolder.load_signers(args.signers)
    key = callfolder.load_private_key(args.key)
    authority = timestamp.authority_of(args)
    if (authority is None) != (args.stamps is None):
        raise BadInput("--tsa, --ca and --stamps belong together")
    for folder in [args.output, *([args.stamps] if args.stamps else [])]:
        if not folder.is_dir():
            raise BadInput(f"{folder}: not a folder; a folder for the heads expected")
    refused = 0
    with args.state.with_name(args.state.name + ".lock").open("a") as lock:
        system.wait_for_lock(lock.fileno())
        state = signedheads.load_state(_SEEN, args.state)
        for path in args.log:
            try:
                signed = may_cosign(path, signers, state, args.new_log)
                state[place_of(signed.head)] = signed.head
                signedheads.keep_state(_SEEN, args.state, state)
                signedheads.keep_other_log(args.output / f"{signed.head.unit}.json", signed.head)
                signedheads.write_cosigned(args.output / f"{signed.head.unit}.json", signed, key)
                sys.stdout.write(f"ok   {path}: {signed.head.unit}, {signed.head.size} leaves, cosigned\n")
                if authority is not None and not timestamp.is_stamped_that_day(signed.head, args.stamps):
                    stamped = timestamp.stamp_head(signed, authority, args.stamps)
                    sys.stdout.write(f"ok   {stamped}: stamped\n")
            except Refusal as error:
                refused += 1
                sys.stdout.write(f"BAD  {path}: {error} [{error.code}]\n")
    return 1 if refused else 0
