# SPDX-License-Identifier: Apache-2.0
"""That one call is closed in its unit's log, told apart from the log: the leaf, its path to a head, and that head.

A desk keeps it beside the call's copy, and a bundle is made from it where the log is not. It says nothing of other
calls. Nothing in it counts by itself: `check` holds it against record and signers.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import msgspec

from linetap_core import jsontext
from linetap_core.errors import Refusal
from linetap_core.evidence import inclusion, leaflog, sealed, sshsig, unitlog
from linetap_core.evidence.signers import Signer
from linetap_core.evidence.unitlog import Head, Leaf

LIMIT_BYTES = 12 << 10  # it comes in an answer, which may have 16 KiB in all
SUFFIX = ".json"
FOLDER = "closing"  # CALL_ID.json in it: in a package, and by days in a store


class Closing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each text as it is hashed or signed at the unit: the leaf without its line's end, `leaf N of M` and what follows
    (inclusion.py), head.json, head.json.sig."""

    leaf: str
    path: str
    head: str
    sig: str


def closing_path(call_id: str) -> PurePosixPath:
    """Where the closing of a call lies below its unit: closing/2026/11/24/<call_id>.json."""
    return PurePosixPath(FOLDER) / f"{sealed.call_path(call_id)}{SUFFIX}"


class NotClosed(Refusal):
    """It does not prove that this very call stands in its unit's log; `code` says why not."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def encode(closing: Closing) -> bytes:
    return msgspec.json.encode(closing)


def decode(data: bytes) -> Closing:
    """NotClosed (`closing_malformed`) for what is none, or too long."""
    if len(data) > LIMIT_BYTES:
        raise NotClosed("closing_malformed", f"not the proof of a call's close: larger than {LIMIT_BYTES} bytes")
    try:
        return jsontext.decode(data, type=Closing)
    except ValueError as error:
        raise NotClosed("closing_malformed", f"not the proof of a call's close: {error}") from None


def check(closing: Closing, unit: str, call_id: str, record_sha256: str, signers: list[Signer] | None) -> Head:
    """The head under which the call's close stands, signed by its unit; else a Refusal. Whose key that is, is asked
    only where there are `signers`."""
    leaf_data, path_data, head_data, sig = (text.encode("utf-8") for text in msgspec.structs.astuple(closing))
    if len(leaf_data) > leaflog.LEAF_LIMIT_BYTES or len(path_data) > inclusion.LIMIT_BYTES:
        raise NotClosed("closing_malformed", "a leaf or a path longer than there can be one")
    if len(head_data) > unitlog.HEAD_LIMIT_BYTES or len(sig) > sshsig.SIGNATURE_LIMIT_BYTES:
        raise NotClosed("closing_malformed", "a head or a signature longer than there can be one")
    head = unitlog.check_head(head_data, sig, signers)
    if head.unit != unit:
        raise NotClosed("wrong_unit", f"the head is of {head.unit}, the call of {unit}")
    try:
        leaf = jsontext.decode(leaf_data, type=Leaf)
    except ValueError as error:
        raise NotClosed("closing_malformed", f"not a leaf: {error}") from None
    if (leaf.kind, leaf.call_id, leaf.record_sha256) != ("close", call_id, record_sha256):
        raise NotClosed("other_record", f"the leaf is not the close of {call_id} with this record")
    path = inclusion.decode(path_data)
    if path.size != head.size or not path.holds(leaf_data, head.root):
        raise NotClosed("not_in_log", f"the close of {call_id} is not under the head that the unit signed")
    return head
