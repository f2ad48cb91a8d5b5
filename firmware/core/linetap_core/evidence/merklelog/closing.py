# SPDX-License-Identifier: Apache-2.0
"""Proof that a call is closed in its unit's log: the leaf, its path to a head, and that head.

The path is lines that a shell can follow (RFC 6962 section 2.1.1), from the leaf's hash upwards, with the side of the
other hash. `read` and `sha256sum` are enough:

    leaf 3 of 7
    left 9f2c...
    right 41aa...

For a call that the unit ended, the proof also has the leaf `end`, with its own path to the same head.

A desk keeps the proof beside the call's copy, and makes a bundle from it if the log is not available. The proof does
not cover other calls. No part of it counts by itself: `check` verifies it against record and signers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

import msgspec

from linetap_core import jsontext
from linetap_core.errors import CodedRefusal, Refusal
from linetap_core.evidence import digest
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog import leaflog, merkle, unitlog
from linetap_core.evidence.merklelog.unitlog import Head, Leaf
from linetap_core.evidence.signing import sshsig
from linetap_core.evidence.signing.signers import Signer

INCLUSION_LIMIT_BYTES = 8192
_HEAD = re.compile(r"leaf (\d{1,18}) of (\d{1,18})")
_STEP = re.compile(rf"(?:left|right) ({digest.HEX})")


class BadProof(Refusal):
    code = "bad_inclusion"


@dataclass(frozen=True, slots=True)
class Inclusion:
    """A leaf's place in a tree. `path`: the other hashes, beginning at the leaf."""

    index: int
    size: int
    path: tuple[bytes, ...]

    def encode(self) -> bytes:
        sides = merkle.sides(self.index, self.size)
        steps = (f"{side} {node.hex()}\n" for side, node in zip(sides, self.path, strict=True))
        return f"leaf {self.index} of {self.size}\n{''.join(steps)}".encode("ascii")

    def holds(self, leaf: bytes, root: str) -> bool:
        """Whether `leaf` (its data) is at this place under the root (hexadecimal)."""
        node = merkle.leaf_hash(leaf)
        return merkle.verify_inclusion(node, self.index, self.size, self.path, bytes.fromhex(root))


def decode_inclusion(data: bytes) -> Inclusion:
    """The place in `data`. BadProof unless it is the exact output of `encode`."""
    lines = data[: INCLUSION_LIMIT_BYTES + 1].decode("ascii", "replace").splitlines()
    head = _HEAD.fullmatch(lines[0]) if lines else None
    steps = [_STEP.fullmatch(line) for line in lines[1:]]
    if head is None or not all(steps):
        raise BadProof("not a proof of inclusion: `leaf N of M`, then `left HASH` or `right HASH` expected")
    found = Inclusion(int(head[1]), int(head[2]), tuple(bytes.fromhex(step[1]) for step in steps if step))
    try:
        same = found.encode() == data
    except ValueError:
        same = False
    if not same:
        raise BadProof("not the proof of a leaf of that number in a tree of that size")
    return found


LIMIT_BYTES = 12 << 10  # part of an answer, which may have 16 KiB in all
SUFFIX = ".json"
FOLDER = "closing"  # contains CALL_ID.json in a package, and folders by day in a store


class Closing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Texts as the unit hashed or signed them: the leaf without its line end, the lines of its `Inclusion`, head.json,
    and head.json.sig. `end` and its `end_path` are empty if the log has no `end` of the call.
    """

    leaf: str
    path: str
    head: str
    sig: str
    end: str = ""
    end_path: str = ""


def closing_path(call_id: str) -> PurePosixPath:
    """The path of a call's closing below its unit: closing/2026/11/24/<call_id>.json."""
    return PurePosixPath(FOLDER) / f"{sealed.call_path(call_id)}{SUFFIX}"


class NotClosed(CodedRefusal):
    """The proof does not show that this call is in its unit's log; `code` is the reason."""


def encode(closing: Closing) -> bytes:
    return msgspec.json.encode(closing)


def decode(data: bytes) -> Closing:
    """The closing in `data`; NotClosed (`closing_malformed`) for other or too long data."""
    if len(data) > LIMIT_BYTES:
        raise NotClosed("closing_malformed", f"not the proof of a call's close: larger than {LIMIT_BYTES} bytes")
    try:
        return jsontext.decode(data, type=Closing)
    except ValueError as error:
        raise NotClosed("closing_malformed", f"not the proof of a call's close: {error}") from None


def check(closing: Closing, unit: str, call_id: str, record_sha256: str, signers: list[Signer] | None) -> Head:
    """The head over the call's close, signed by its unit; otherwise a Refusal. Without `signers` the key is not
    checked.
    """
    leaf_data, path_data, head_data, sig = (
        text.encode("utf-8") for text in (closing.leaf, closing.path, closing.head, closing.sig)
    )
    if len(head_data) > unitlog.HEAD_LIMIT_BYTES or len(sig) > sshsig.SIGNATURE_LIMIT_BYTES:
        raise NotClosed("closing_malformed", "a head or a signature longer than there can be one")
    head = unitlog.check_head(head_data, sig, signers)
    if head.unit != unit:
        raise NotClosed("wrong_unit", f"the head is of {head.unit}, the call of {unit}")
    leaf = _leaf(leaf_data)
    if (leaf.kind, leaf.call_id, leaf.record_sha256) != ("close", call_id, record_sha256):
        raise NotClosed("other_record", f"the leaf is not the close of {call_id} with this record")
    place = _place(head, leaf_data, path_data, f"the close of {call_id}")
    if closing.end or closing.end_path:
        end_data, end_path_data = closing.end.encode("utf-8"), closing.end_path.encode("utf-8")
        end = _leaf(end_data)
        before = _place(head, end_data, end_path_data, f"the end of {call_id}")
        if (end.kind, end.call_id) != ("end", call_id) or before >= place:
            raise NotClosed("other_end", f"the leaf is not the end of {call_id}, before its close")
    return head


def _leaf(data: bytes) -> Leaf:
    if len(data) > leaflog.LEAF_LIMIT_BYTES:
        raise NotClosed("closing_malformed", "a leaf longer than there can be one")
    try:
        return jsontext.decode(data, type=Leaf)
    except ValueError as error:
        raise NotClosed("closing_malformed", f"not a leaf: {error}") from None


def _place(head: Head, leaf_data: bytes, path_data: bytes, what: str) -> int:
    """The number of the leaf under the head."""
    if len(path_data) > INCLUSION_LIMIT_BYTES:
        raise NotClosed("closing_malformed", "a path longer than there can be one")
    path = decode_inclusion(path_data)
    if path.size != head.size or not path.holds(leaf_data, head.root):
        raise NotClosed("not_in_log", f"{what} is not under the head that the unit signed")
    return path.index
