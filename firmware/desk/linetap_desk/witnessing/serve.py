# SPDX-License-Identifier: Apache-2.0
"""`linetap witness --listen`: our witness as one among others, over C2SP tlog-witness.

It takes checkpoints of the logs whose keepers its signers' file names, and cosigns one that goes on from the last.
Plain HTTP on the loopback: nobody is asked who they are, the keeper's signature says whose log it is. TLS is a proxy's.
"""

from __future__ import annotations

import argparse
import sys
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap_core.clock import Clock
from linetap_core.durable.smallfile import SmallFile
from linetap_core.errors import BadInput
from linetap_core.evidence.merklelog import merkle
from linetap_core.evidence.signing import namespaces
from linetap_core.evidence.witness import checkpoint, note
from linetap_core.evidence.witness.checkpoint import PATH, SIZE_TYPE, Checkpoint
from linetap_core.evidence.witness.note import BadNote, Key
from linetap_core.service import Stop
from linetap_core.timekeeping import require_possible
from linetap_desk.loopback import LoopbackServer, address_of
from linetap_desk.proofs import callfolder
from linetap_desk.witnessing import cosigned, judge

MOST_AT_ONCE = 8
REQUEST_S = 10
_S = 1_000_000_000


class Last(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: int
    root: str


SEEN = SmallFile("witness_checkpoints", dict[str, Last], cosigned.MOST_STATE_BYTES)


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"


@dataclass(slots=True)
class CheckpointWitness:
    """`logs`: key by origin. What was cosigned last is on disk before a cosignature is given away."""

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
            return Answer(HTTPStatus.NOT_FOUND, b"this log is not known here\n")
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
        known = cosigned.load_state(SEEN, self.state)
        last = known.get(found.origin, Last(0, merkle.EMPTY_ROOT.hex()))
        if asked.old != last.size:
            return Answer(HTTPStatus.CONFLICT, f"{last.size}\n".encode(), SIZE_TYPE)
        old_root = bytes.fromhex(last.root)
        if not merkle.verify_consistency(last.size, found.size, old_root, found.root, asked.proof):
            return Answer(HTTPStatus.UNPROCESSABLE_ENTITY, b"the log does not go on from what was cosigned\n")
        known[found.origin] = Last(found.size, found.root.hex())
        cosigned.keep_state(SEEN, self.state, known)
        line = checkpoint.cosign(asked.note.text, self.name, self.key, self.clock.utc_ns() // _S)
        return Answer(HTTPStatus.OK, line.encode().encode("utf-8"))


def run(args: argparse.Namespace, clock: Clock) -> int:
    """0, when told to end."""
    require_possible(clock)  # a cosignature says a time
    key = callfolder.load_private_key(args.key)
    if not note.is_name(args.name):
        raise BadInput(f"--name {args.name!r}: without spaces and +, like witness.city.example, would be right")
    logs = {log.name: log for log in judge.all_keepers(callfolder.load_signers(args.signers))}
    if not logs:
        raise BadInput(f'{args.signers}: names no keeper: UNIT namespaces="{namespaces.CHECKPOINT}" ssh-ed25519 ...')
    cosigned.load_state(SEEN, args.state)
    witness = CheckpointWitness(args.name, key, logs, args.state, clock)
    stop = Stop()
    try:
        server = Server(address_of(args.listen, f"--listen {args.listen}"), witness)
    except OSError as error:
        raise BadInput(f"--listen {args.listen}: {error.strerror}") from None
    with server:
        host, port = server.server_address[:2]
        own = Key(args.name, note.COSIGNATURE, key.public_key().public_bytes_raw())
        sys.stderr.write(f"{own.vkey()} http://{host!s}:{port}/\n")
        sys.stderr.flush()
        while not stop.requested:
            server.handle_request()
    return 0


class Server(LoopbackServer):
    def __init__(self, address: tuple[str, int], witness: CheckpointWitness) -> None:
        self.witness = witness
        super().__init__(address, Handler, MOST_AT_ONCE)


class Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_S
    server: Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != PATH:
            self._give(Answer(HTTPStatus.NOT_FOUND))
        elif not length.isascii() or not length.isdigit() or int(length[:9]) > checkpoint.LIMIT_BYTES:
            self._give(Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
        else:
            self._give(self.server.witness.answer(self.rfile.read(int(length[:9]))))

    def _give(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: Any) -> None:
        """What was cosigned stands in the state file."""
