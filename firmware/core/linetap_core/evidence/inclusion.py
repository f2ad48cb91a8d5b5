# SPDX-License-Identifier: Apache-2.0
"""A proof that a leaf stands under a tree's root, as lines that a shell can follow (RFC 6962 section 2.1.1).

    leaf 3 of 7
    left 9f2c...
    right 41aa...

From the leaf's hash upwards: the other hash stands to the left or to the right. `read` + `sha256sum` are enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from linetap_core.errors import Refusal
from linetap_core.evidence import merkle

LIMIT_BYTES = 8192
_HEAD = re.compile(r"leaf (\d{1,18}) of (\d{1,18})")
_STEP = re.compile(r"(?:left|right) ([0-9a-f]{64})")


class BadProof(Refusal):
    code = "bad_inclusion"


@dataclass(frozen=True, slots=True)
class Inclusion:
    """`path`: the other hashes, the leaf's side first."""

    index: int
    size: int
    path: tuple[bytes, ...]

    def encode(self) -> bytes:
        sides = merkle.sides(self.index, self.size)
        steps = (f"{side} {node.hex()}\n" for side, node in zip(sides, self.path, strict=True))
        return f"leaf {self.index} of {self.size}\n{''.join(steps)}".encode("ascii")

    def holds(self, leaf: bytes, root: str) -> bool:
        """Whether `leaf` (its data) is where this says, under the root (hexadecimal)."""
        node = merkle.leaf_hash(leaf)
        return merkle.verify_inclusion(node, self.index, self.size, self.path, bytes.fromhex(root))


def decode(data: bytes) -> Inclusion:
    """BadProof unless it is spelled as `encode` spells it."""
    lines = data[: LIMIT_BYTES + 1].decode("ascii", "replace").splitlines()
    head = _HEAD.fullmatch(lines[0]) if lines else None
    steps = [_STEP.fullmatch(line) for line in lines[1:]]
    if head is None or not all(steps):
        raise BadProof("not a proof of inclusion: `leaf N of M`, then `left HASH` or `right HASH`, would be right")
    found = Inclusion(int(head[1]), int(head[2]), tuple(bytes.fromhex(step[1]) for step in steps if step))
    try:
        same = found.encode() == data
    except ValueError:
        same = False
    if not same:
        raise BadProof("not the proof of a leaf of that number in a tree of that size")
    return found
