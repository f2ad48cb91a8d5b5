# SPDX-License-Identifier: Apache-2.0
"""What a witness is sent (C2SP tlog-witness, add-checkpoint): the old size, the proof that the log goes on from it, and
the checkpoint, as `POST PREFIX/add-checkpoint`."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from linetap_core.evidence import note
from linetap_core.evidence.merkle import HASH_BYTES
from linetap_core.evidence.note import BadNote, Note

PATH = "/add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"  # of the answer 409, which says up to where the witness has seen the log
MOST_HASHES = 63
LIMIT_BYTES = note.LIMIT_BYTES + (MOST_HASHES + 2) * 64
_OLD = re.compile(rb"old (0|[1-9][0-9]{0,17})")
_BODY_SIZE = re.compile(rb"(0|[1-9][0-9]{0,17})\n?")


@dataclass(frozen=True, slots=True)
class Request:
    old: int
    proof: tuple[bytes, ...]
    note: Note

    def encode(self) -> bytes:
        lines = [f"old {self.old}", *(base64.b64encode(node).decode("ascii") for node in self.proof), ""]
        return "".join(line + "\n" for line in lines).encode("ascii") + self.note.encode()


def decode(data: bytes) -> Request:
    """BadNote for what is none."""
    head, gap, rest = data.partition(b"\n\n")
    lines = head.split(b"\n")
    old = _OLD.fullmatch(lines[0])
    if not gap or old is None or len(lines) > 1 + MOST_HASHES or len(data) > LIMIT_BYTES:
        raise BadNote("not an add-checkpoint: `old SIZE`, at most 63 hashes, an empty line and a checkpoint")
    try:
        proof = tuple(base64.b64decode(line, validate=True) for line in lines[1:])
    except (binascii.Error, ValueError):
        proof = (b"",)
    if any(len(node) != HASH_BYTES for node in proof):
        raise BadNote("not an add-checkpoint: a hash of its proof is not 32 bytes in base64")
    return Request(int(old[1]), proof, note.parse(rest))


def decode_size(data: bytes) -> int | None:
    """Of an answer 409."""
    match = _BODY_SIZE.fullmatch(data)
    return int(match[1]) if match else None
