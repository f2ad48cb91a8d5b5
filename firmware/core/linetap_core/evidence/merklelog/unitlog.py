# SPDX-License-Identifier: Apache-2.0
"""The leaves of a unit's log and its signed tree head, written by the recorder and checked by the desk.

A leaf has hashes, names and times, and no personal data: it is never deleted. For a call that the unit ended, the leaf
`end` repeats its record's fields of the end, without the caller and the person who ended it.
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
from linetap_core.evidence.signing import namespaces, sshsig, unitnames
from linetap_core.evidence.signing.signers import Signer, require_trust
from linetap_core.records import PublicRecord

FOLDER = "log"
HEAD = "head.json"
COPY = "head.copy"  # head and signature again in one file, in case one file is damaged
KEPT = re.compile(r"log\.before-([1-9]\d{0,5})", re.ASCII)  # a log that did not fit its head, kept as found
HEAD_LIMIT_BYTES = 4096
COPY_LIMIT_BYTES = 16 << 10

Kind = Literal[
    "open",  # a call's recording begins
    "close",  # a call is sealed: record_sha256, disposition, until, sigsum (the unit's signature, sigsum.py)
    "end",  # a call ended by a staff code or by its longest time: the record's fields of the end
    "gap",  # missing parts of a call: gaps (their number), ms, causes
    "notice_failure",  # a call whose notice did not play to its end, or was not heard: why, proof
    "refused",  # a call that was not recorded because the vault could not be written: why
    "config",  # sha256 of the effective configuration; before a command's change also the former one, and the changes
    "weakening",  # id, step (asked, found, held, in_effect, confirmed, cancelled, withdrawn), by, codes, what, signers
    "in_force",  # once a day and at each change: sha256 that the next start compares
    "key_list",
    "hold",  # of a call: its end, or that it was ended
    "index",  # a segment of the index before it is written: file, sha256, the call that causes it; adopted
    "roles",  # the roles from now on: version, sha256 of the document
    "copy",  # the desk has a copy of a call: record_sha256
    "amendment",  # the first end of a call, or one that differs from its record: sha256 of the document, until, number
    "certificate",  # of officers of a group, after which others can still open the epoch: epoch, sha256, file
    "destruction",  # removal of one call: call_id; or of an epoch's key, as the desk reports: epoch, sha256, file
    "command",  # a command of a known signer: verb, role, counter, code
    "walk",  # a walk test: sha256 of its report
    "update",  # the result of an update: version, sha256 of its bundle, by, code (done, or why not)
    "order",  # an order on the card before this start: code (taken, retired, or why not), its sha256
    "unit_key",  # the unit will sign with another key from now on: its fingerprint, key
    "vault",  # this vault: its name, number and predecessor (vaultname.py)
    "log_begun",  # first leaf of a log that replaces another: log, before, size and root of its last head, why, kept
    "start",
    "stop",
    "clock_step",  # ms, forward or back
    "heartbeat",  # once an hour, so that the absence of events is recorded too
]


class Leaf(msgspec.Struct, kw_only=True):
    """The fields that readers need; a leaf may have more."""

    kind: str
    at: str
    call_id: str | None = None
    record_sha256: str | None = None
    sha256: str | None = None  # of a document: the configuration, a certificate, a command, a report
    sigsum: str | None = None
    until: str | UnsetType | None = UNSET  # of a close: as in its record; of a hold or an amendment: its end
    ended: bool = False  # of a hold
    situation: str | None = None  # of an end, like the next five: EndRecord
    code_at: str | None = None
    released_at: str | None = None
    seen_by: str | None = None
    ended_at: str | None = None
    ended_by: str | None = None
    number: int = 0  # of a call's amendment
    epoch: str | None = None
    file: str | None = None  # of the index or a certificate, below its folder
    seq: int | None = None  # the newest event of the outbox at this time
    ms: float = 0
    verb: str | None = None  # of a command
    id: str | None = None  # of a weakening, like the next three
    step: str | None = None
    by: str | None = None  # also of an end
    codes: list[str] = []
    log: str = ""  # of a log that begins anew: its name; `before`: its predecessor's
    vault: str = ""  # of a vault: its name


class Head(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tree head. `root` in hexadecimal; `origin` is the fingerprint of the signing key. `log`: the name of the log,
    which distinguishes a log that began anew from a truncated one; empty in a vault without a name.
    """

    unit: str
    size: Annotated[int, Meta(ge=0, lt=1 << 62)]  # an integer of every database
    root: Sha256
    at: str
    origin: str
    log: Annotated[str, Meta(pattern=r"^([0-9a-f]{16})?\Z")] = ""


class HeadCopy(msgspec.Struct, frozen=True):
    """The content of COPY: the bytes of head.json and of its signature."""

    head: str
    sig: str


def encode_copy(copy: HeadCopy) -> bytes:
    """The bytes of COPY."""
    return msgspec.json.encode(copy)


class BadHead(Refusal):
    """The bytes are no tree head, or not signed by the key that they name."""

    code = "bad_head"


def encode_head(head: Head) -> bytes:
    """The bytes to sign."""
    return msgspec.json.encode(head)


def decode_head(data: bytes) -> Head:
    """The head in `data`. BadHead unless `data` is the exact output of `encode_head`."""
    try:
        head = jsontext.decode(data, type=Head)
        parse_rfc3339(head.at)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise BadHead(f"not a tree head: {error}") from None
    if encode_head(head) != data:
        raise BadHead("not a tree head as a unit writes it: the file was changed")
    if not unitnames.is_name(head.unit):  # a pattern in a signers' file may allow any, and files are named after it
        raise BadHead(f"not a tree head: {head.unit[:40]!r} is the name of no unit")
    return head


def check_head(data: bytes, armored: bytes, signers: list[Signer] | None, seen: datetime | None = None) -> Head:
    """Returns the head if its unit has signed it; without `signers` the key is not checked. `seen`: when another party
    received it, for a head of an unsynchronised clock.

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
    """The fields of the leaf `end`; None if the unit did not end this call."""
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
    """The fields of an end in a leaf."""
    return {name: getattr(leaf, name) for name in FIELDS}
