# SPDX-License-Identifier: Apache-2.0
"""Checkpoints and their cosignatures (C2SP tlog-checkpoint; tlog-cosignature, the Ed25519 kind `cosignature/v1`), and
the request to a witness (C2SP tlog-witness, `POST PREFIX/add-checkpoint`).

A checkpoint is a signed note over a log's name (its origin), size and root. A cosignature adds a time, by which its
witness had seen this log grow to this size, and no other log of that name. It is over

    cosignature/v1
    time 1679315147
    the three lines of the checkpoint

The request contains the old size, the proof that the log continues from it, and the checkpoint.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from linetap_core.evidence.merklelog.merkle import EMPTY_ROOT, HASH_BYTES
from linetap_core.evidence.witness import note
from linetap_core.evidence.witness.note import BadNote, Line, Note

SIGNATURE_BYTES = 64
_TIME_BYTES = 8
_LATEST_S = 253_402_300_800  # the year 10000: end of the format
_SIZE = re.compile(rb"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes

    def text(self) -> bytes:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n".encode()


def sigsum_origin(key: Ed25519PublicKey) -> str:
    """Sigsum's name for the log of a key, accepted by witnesses of both kinds."""
    return f"sigsum.org/v1/tree/{hashlib.sha256(key.public_bytes_raw()).hexdigest()}"


def log_key(key: Ed25519PublicKey) -> note.Key:
    """The key line of this log for a witness's configuration."""
    return note.Key(sigsum_origin(key), note.ED25519, key.public_bytes_raw())


def decode(text: bytes) -> Checkpoint:
    """The checkpoint in the text of a note; otherwise BadNote. Extension lines are not supported."""
    lines = text.split(b"\n")
    if len(lines) != 4 or lines[3] or not lines[0] or _SIZE.fullmatch(lines[1]) is None:
        raise BadNote("not a checkpoint: a log's name, its size and its root, a line each expected")
    try:
        found = Checkpoint(lines[0].decode("utf-8"), int(lines[1]), base64.b64decode(lines[2], validate=True))
    except (UnicodeDecodeError, binascii.Error):
        raise BadNote("not a checkpoint: its root is not base64, or its name not UTF-8") from None
    if len(found.root) != HASH_BYTES or found.text() != text or (found.size == 0) != (found.root == EMPTY_ROOT):
        raise BadNote("not a checkpoint: its root is not one of a tree of that size")
    return found


def signed(found: Checkpoint, key: Ed25519PrivateKey) -> Note:
    """The checkpoint signed by the keeper of the log, whose key names the log."""
    return Note(found.text(), (note.sign(found.text(), found.origin, key),))


def cosign(text: bytes, name: str, key: Ed25519PrivateKey, time_s: int) -> Line:
    """The witness's line. `time_s` is POSIX time."""
    key_id = note.key_id(name, note.COSIGNATURE, key.public_key().public_bytes_raw())
    return Line(name, key_id, time_s.to_bytes(_TIME_BYTES, "big") + key.sign(_message(text, time_s)))


def cosigned_at(found: Note, public: bytes, name: str | None = None) -> int | None:
    """The time (POSIX) of this key's first cosignature of the note, under `name` or any; None if there is none."""
    first = cosignature(found, public, name)
    return None if first is None else first[0]


def cosignature(found: Note, public: bytes, name: str | None = None) -> tuple[int, bytes] | None:
    """The time and the 64-byte signature of this key's first cosignature. BadNote for an invalid signature."""
    times = []
    for line in found.lines:
        if (name is not None and line.name != name) or line.key_id != note.key_id(line.name, note.COSIGNATURE, public):
            continue
        if len(line.signature) != _TIME_BYTES + SIGNATURE_BYTES:
            raise BadNote(f"the cosignature of {line.name} has the wrong length", "note_signature")
        time_s = int.from_bytes(line.signature[:_TIME_BYTES], "big")
        note.require(public, line.signature[_TIME_BYTES:], _message(found.text, time_s), line.name)
        if not 0 < time_s < _LATEST_S:
            raise BadNote(f"the cosignature of {line.name} bears no time", "note_signature")
        times.append((time_s, line.signature[_TIME_BYTES:]))
    return min(times, default=None)


def _message(text: bytes, time_s: int) -> bytes:
    return b"cosignature/v1\ntime %d\n" % time_s + text


PATH = "/add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"  # of the answer 409, with the size that the witness has seen
MOST_HASHES = 63
LIMIT_BYTES = note.LIMIT_BYTES + (MOST_HASHES + 2) * 64
_OLD = re.compile(rb"old (0|[1-9][0-9]{0,17})")
_BODY_SIZE = re.compile(rb"(0|[1-9][0-9]{0,17})\n?")


@dataclass(frozen=True, slots=True)
class AddRequest:
    old: int
    proof: tuple[bytes, ...]
    note: Note

    def encode(self) -> bytes:
        lines = [f"old {self.old}", *(base64.b64encode(node).decode("ascii") for node in self.proof), ""]
        return "".join(line + "\n" for line in lines).encode("ascii") + self.note.encode()


def decode_request(data: bytes) -> AddRequest:
    """The request in `data`; BadNote for other data."""
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
    return AddRequest(int(old[1]), proof, note.parse(rest))


def decode_size(data: bytes) -> int | None:
    """The size in an answer 409; None if it has none."""
    match = _BODY_SIZE.fullmatch(data)
    return int(match[1]) if match else None
