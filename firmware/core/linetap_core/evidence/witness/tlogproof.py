# SPDX-License-Identifier: Apache-2.0
"""The proof that a leaf is under a cosigned checkpoint, in one file (C2SP tlog-proof): index, path, checkpoint.

c2sp.org/tlog-proof@v1
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=

sigsum.org/v1/tree/4e89cc51651f0d95f3c6127c15e1a42e3ddf7046c5b17b752689c402e773bb4d
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

— sigsum.org/v1/tree/4e89...bb4d hI2DJw...roloI=
— witness.example mJirIk...2B/5bg==
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog import merkle
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.witness import checkpoint, note
from linetap_core.evidence.witness.note import BadNote, Note

SUFFIX = ".tlog-proof"
FOLDER = "witnessed"  # contains CALL_ID.tlog-proof: flat in a package, by days in a store
LIMIT_BYTES = note.LIMIT_BYTES
_FIRST = "c2sp.org/tlog-proof@v1"
_EXTRA = "extra "
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,17})")


def witnessed_path(call_id: str) -> PurePosixPath:
    """The path below its unit of the proof that witnesses saw a call: witnessed/2026/11/24/<call_id>.tlog-proof."""
    return PurePosixPath(FOLDER) / f"{sealed.call_path(call_id)}{SUFFIX}"


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof. `extra`: the application's data, such as the leaf itself; unsigned."""

    index: int
    path: tuple[bytes, ...]
    note: Note
    extra: bytes = b""

    def encode(self) -> bytes:
        extra = [_EXTRA + base64.b64encode(self.extra).decode("ascii")] if self.extra else []
        path = [base64.b64encode(node).decode("ascii") for node in self.path]
        lines = [_FIRST, *extra, f"index {self.index}", *path, ""]
        return "".join(line + "\n" for line in lines).encode("ascii") + self.note.encode()

    def require(self, leaf: bytes) -> checkpoint.Checkpoint:
        """The checkpoint, if `leaf` (its data) is in its tree; otherwise BadNote."""
        found = checkpoint.decode(self.note.text)
        if not merkle.verify_inclusion(merkle.leaf_hash(leaf), self.index, found.size, self.path, found.root):
            raise BadNote("the leaf does not stand under this checkpoint", "not_in_log")
        return found


def decode(data: bytes, *, extra: bool = False) -> Proof:
    """The proof in `data`; BadNote unless it is in the form of `encode`. `extra`: whether extra data is allowed, which
    nobody would check where none is expected.
    """
    head, gap, rest = data[:LIMIT_BYTES].partition(b"\n\n")
    lines = head.decode("ascii", "replace").split("\n")
    more = lines.pop(1).removeprefix(_EXTRA) if extra and len(lines) > 1 and lines[1].startswith(_EXTRA) else ""
    index = _INDEX.fullmatch(lines[1]) if len(lines) > 1 and lines[0] == _FIRST else None
    if not gap or index is None or len(lines) > 2 + merkle.MOST_PROOF_HASHES:
        raise BadNote(f"not a proof: `{_FIRST}`, `index N` and a hash a line expected")
    try:
        path = tuple(base64.b64decode(line, validate=True) for line in lines[2:])
        extra_data = base64.b64decode(more, validate=True)
    except (binascii.Error, ValueError):
        raise BadNote("not a proof: a hash or the extra data in it is not base64") from None
    found = Proof(int(index[1]), path, note.parse(rest), extra_data)
    if found.encode() != data:
        raise BadNote("not a proof, or not spelled as one is")
    return found


# --- Sigsum's leaf, tree head and proof (sigsum.org: log.md and sigsum-proof.md, version 2 of the proof) --------------
# The message is a sealed call's record: the unit signs it when it closes the call, and any holder of the unit's log can
# make a proof for stock `sigsum-verify`.


_LEAF_LABEL = b"sigsum.org/v1/tree-leaf\0"


def sign_leaf(record_sha256: bytes, key: Ed25519PrivateKey) -> bytes:
    """The submitter's signature of a message: here the SHA-256 (32 bytes) of record.json."""
    return key.sign(_LEAF_LABEL + _sha256(record_sha256))


def leaf(record_sha256: bytes, signature: bytes, submitter: Ed25519PublicKey) -> bytes | None:
    """The 128 bytes that are hashed into the tree; None unless this submitter has signed the message."""
    checksum = _sha256(record_sha256)
    try:
        submitter.verify(signature, _LEAF_LABEL + checksum)
    except InvalidSignature:
        return None
    return checksum + signature + key_hash(submitter)


def key_hash(key: Ed25519PublicKey) -> bytes:
    return _sha256(key.public_bytes_raw())


def tree_head(tree: Tree, key: Ed25519PrivateKey, cosigned: Sequence[tuple[bytes, int, bytes]] = ()) -> str:
    """The middle block of a proof: the tree, signed by its keeper's key, and the cosignatures of its witnesses, each as
    key, time (POSIX) and 64 bytes.
    """
    root = base64.b64encode(tree.root()).decode("ascii")
    text = f"sigsum.org/v1/tree/{key_hash(key.public_key()).hex()}\n{tree.size}\n{root}\n"
    own = f"size={tree.size}\nroot_hash={tree.root().hex()}\nsignature={key.sign(text.encode('ascii')).hex()}\n"
    return own + "".join(
        f"cosignature={_sha256(public).hex()} {time_s} {signature.hex()}\n" for public, time_s, signature in cosigned
    )


def proof(tree: Tree, index: int, leaf: bytes, head: str, keeper: Ed25519PublicKey) -> str:
    """The text of a proof; `head` from `tree_head`. A tree of one leaf has no path."""
    signature, submitter = leaf[32:96].hex(), leaf[96:].hex()
    first = f"version=2\nlog={key_hash(keeper).hex()}\nleaf={submitter} {signature}\n"
    path = f"leaf_index={index}\n" + "".join(f"node_hash={node.hex()}\n" for node in tree.inclusion(index))
    return "\n".join([first, head, path] if tree.size > 1 else [first, head])


def policy(keeper: Ed25519PublicKey, witnesses: Iterable[str] = ("quorum none",)) -> str:
    """The trust policy for `sigsum-verify`: the keeper of the tree, and the lines of a policy of witnesses."""
    return "".join(f"{line}\n" for line in [f"log {keeper.public_bytes_raw().hex()}", *witnesses])


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
