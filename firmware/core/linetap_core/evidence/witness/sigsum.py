# SPDX-License-Identifier: Apache-2.0
"""Sigsum's leaf, tree head and proof (sigsum.org: log.md and sigsum-proof.md, version 2 of the proof).

The message is a sealed call's record: the unit signs it when it closes the call, and whoever has the unit's log can
make a proof for stock `sigsum-verify`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from linetap_core.evidence.merklelog.merkle import Tree

_LEAF_LABEL = b"sigsum.org/v1/tree-leaf\0"


def sign_leaf(record_sha256: bytes, key: Ed25519PrivateKey) -> bytes:
    """The submitter's signature of a message: here the SHA-256 (32 bytes) of record.json."""
    return key.sign(_LEAF_LABEL + _sha256(record_sha256))


def leaf(record_sha256: bytes, signature: bytes, submitter: Ed25519PublicKey) -> bytes | None:
    """The 128 bytes that are hashed into the tree; None if this submitter has not signed it."""
    checksum = _sha256(record_sha256)
    try:
        submitter.verify(signature, _LEAF_LABEL + checksum)
    except InvalidSignature:
        return None
    return checksum + signature + key_hash(submitter)


def key_hash(key: Ed25519PublicKey) -> bytes:
    return _sha256(key.public_bytes_raw())


def tree_head(tree: Tree, key: Ed25519PrivateKey, cosigned: Sequence[tuple[bytes, int, bytes]] = ()) -> str:
    """The middle block of a proof: the tree, signed by its keeper's key, and the cosignatures of its witnesses: for
    each its key, the time (POSIX) and the 64 bytes."""
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
