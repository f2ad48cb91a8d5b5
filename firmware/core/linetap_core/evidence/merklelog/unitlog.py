# SPDX-License-Identifier: Apache-2.0
"""The leaves of a unit's log, and its signed tree head, as the recorder writes them and the desk checks them.

A leaf holds hashes, names and times, and nothing personal: it is never deleted. Of a call that was ended, the leaf
`end` keeps what its record says of the end, without who the caller was or who ended it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from linetap_core import jsontext
from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.errors import Refusal
from linetap_core.evidence.digest import Sha256
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer, require_trust
from linetap_core.records import PublicRecord

FOLDER = "log"
HEAD = "head.json"
COPY = "head.copy"  # head and signature once more, in one file, so that one rotten file leaves the other
KEPT = re.compile(r"log\.before-([1-9]\d{0,5})", re.ASCII)  # a log that did not fit its head, as it was found
HEAD_LIMIT_BYTES = 4096
COPY_LIMIT_BYTES = 16 << 10

Kind = Literal[
    "open",  # a call's recording begins
    "close",  # a call is sealed: record_sha256, disposition, until, sigsum (the unit's signature, sigsum.py)
    "end",  # a call that was ended by staff's code or its time: how, as its record says (evidence/merklelog/unitlog.py)
    "gap",  # missing parts of a call: gaps (their number), ms, causes
    "notice_failure",  # a call whose notice was not played to its end, or not heard: why, proof
    "refused",  # a call that was not recorded because the vault took nothing: why
    "config",  # sha256 of the effective configuration; before a command changes it also the former one, and the changes
    "weakening",  # id, step (asked, found, held, in_effect, confirmed, cancelled, withdrawn), by, codes, what, signers
    "in_force",  # once a day and at each change: sha256 with which the next start is compared
    "key_list",
    "hold",  # of a call: its end, or ended
    "index",  # a segment of the index as it is going to be: file, sha256, and the call it is written for; adopted
    "roles",  # the roles from now on: version, sha256 of the document
    "copy",  # the desk has one of a call: record_sha256
    "amendment",  # the first end of a call, or another than in its record: sha256 of the document, until, number
    "destruction",  # one call is gone from the vault: call_id; or by the desk's report an epoch's key is: epoch, sha256
    "command",  # its signer is known: verb, role, counter, code
    "walk",  # a walk test: sha256 of its report
    "update",  # the result of an update: version, sha256 of its bundle, by, code (done, or why not)
    "order",  # on the card, before this start: code (taken, retired, or why not), sha256 of it
    "unit_key",  # the unit will sign with another from now on: its fingerprint, key
    "vault",  # which vault this is: its name, number and the one before (vaultname.py)
    "log_begun",  # first in a log that takes another's place: log, before, size and root of its last head, why, kept
    "start",
    "stop",
    "clock_step",  # ms, forward or back
    "heartbeat",  # once an hour: that nothing happened is recorded too
]


class Leaf(msgspec.Struct, kw_only=True):
    """The fields that readers need; a leaf may hold more."""

    kind: str
    at: str
    call_id: str | None = None
    record_sha256: str | None = None
    sha256: str | None = None  # of a document: the configuration, a certificate, a command, a report
    sigsum: str | None = None
    until: str | UnsetType | None = UNSET  # of a close: as in its record; of a hold and an amendment: its end
    ended: bool = False  # of a hold
    situation: str | None = None  # of an end, as the five below: EndRecord
    code_at: str | None = None
    released_at: str | None = None
    seen_by: str | None = None
    ended_at: str | None = None
    ended_by: str | None = None
    number: int = 0  # of a call's amendment
    epoch: str | None = None
    file: str | None = None  # of the index, below its folder
    seq: int | None = None  # the newest event of the outbox when this was written
    ms: float = 0
    verb: str | None = None  # of a command
    id: str | None = None  # of a weakening, as the three below
    step: str | None = None
    by: str | None = None  # of an end too
    codes: list[str] = []
    log: str = ""  # of a log that begins anew, as `before`: which it is, and which was before


class Head(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tree head. `root` in hexadecimal; `origin` is the fingerprint of the key that signs it. `log`: the name of
    the log, which distinguishes a log that began anew from a truncated one; empty in a vault without a name."""

    unit: str
    size: Annotated[int, Meta(ge=0, lt=1 << 62)]  # which every database can count
    root: Sha256
    at: str
    origin: str
    log: Annotated[str, Meta(pattern=r"^([0-9a-f]{16})?\Z")] = ""


class HeadCopy(msgspec.Struct, frozen=True):
    """The content of COPY: the bytes of head.json and of its signature."""

    head: str
    sig: str


def encode_copy(copy: HeadCopy) -> bytes:
    """The bytes of the file."""
    return msgspec.json.encode(copy)


class BadHead(Refusal):
    """Not a tree head, or not signed by the key that it names."""

    code = "bad_head"


def encode_head(head: Head) -> bytes:
    """The exact bytes that are signed."""
    return msgspec.json.encode(head)


def decode_head(data: bytes) -> Head:
    """BadHead unless `data` is a head in the exact bytes of `encode_head`."""
    try:
        head = jsontext.decode(data, type=Head)
        parse_rfc3339(head.at)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise BadHead(f"not a tree head: {error}") from None
    if encode_head(head) != data:
        raise BadHead("not a tree head as a unit writes it: the file was changed")
    return head


def check_head(data: bytes, armored: bytes, signers: list[Signer] | None, seen: datetime | None = None) -> Head:
    """Returns the head, if its unit has signed it; the key is checked only if there are `signers`. `seen`: when another
    party received it, for a head of an unsynchronised clock.

    Otherwise a Refusal (BadHead or a SignatureFault).
    """
    head = decode_head(data)
    key = sshsig.check(data, armored, namespaces.HEAD)
    if keys.fingerprint(key) != head.origin:
        raise BadHead(f"the head names the key {head.origin}, and {keys.fingerprint(key)} signed it")
    if signers is not None:
        require_trust(key, namespaces.HEAD, signers, head.unit, from_utc_ns(parse_rfc3339(head.at)), seen)
    return head


FIELDS = ("situation", "by", "code_at", "released_at", "seen_by", "ended_at", "ended_by")


def fields_of(record: PublicRecord) -> dict[str, str | None] | None:
    """None: the unit did not end this call."""
    end = record.end
    if not end:
        return None
    return {
        "situation": end.situation,
        "by": end.by,
        "code_at": end.code_at,
        "released_at": end.released_at,
        "seen_by": end.seen_by,
        "ended_at": record.ended_at,
        "ended_by": record.ended_by,
    }


def fields_in(leaf: Leaf) -> dict[str, str | None]:
    """The same of a leaf."""
    return {name: getattr(leaf, name) for name in FIELDS}
