# SPDX-License-Identifier: Apache-2.0
"""The list of the segments of a unit's index with their SHA-256, and its signed head.

The list shows a reader of copies which segments are missing, changed, or newer at the unit. It is one JSON document;
the head names it by its SHA-256 and has the time up to which it is complete. The unit signs a new head with each
request, so that an unchanged list is not sent again.

The head is signed in the namespace of the log's heads: a separate one would be in no existing signers' file. `leaves`
only grows within a log, so that an older head is recognised.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linetap_core import jsontext
from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import index
from linetap_core.evidence.digest import Sha256
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer, require_trust

HEAD_LIMIT_BYTES = 2048
LIST_LIMIT_BYTES = 5 << 20

# For each log the desk's copy has `list-<log>.json`, `head-<log>.json`, and the head's signature.
PREFIXES = _LIST, _HEAD = "list-", "head-"
_LOG = r"[0-9a-f]{16}"
LIST_FILE = re.compile(rf"{_LIST}({_LOG})\.json", re.ASCII)
HEAD_FILE = re.compile(rf"{_HEAD}({_LOG})\.json", re.ASCII)
SIGNATURE_FILE = re.compile(rf"{_HEAD}({_LOG})\.json{re.escape(namespaces.SUFFIX)}", re.ASCII)
_NO_LOG = "0" * 16  # for a log without a name


class ListHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The head. `log`: the name of the unit's log, `leaves`: its size. `at`: the list is complete up to this time."""

    suite: Literal["linetap-index-list-1"] = "linetap-index-list-1"
    unit: str
    log: str
    leaves: Annotated[int, Meta(ge=0, lt=1 << 62)]
    at: str
    sha256: Sha256  # of the list, like `size`
    size: Annotated[int, Meta(ge=1, le=LIST_LIMIT_BYTES)]


class SignedListHead(msgspec.Struct, frozen=True, kw_only=True):
    """The head's exact text, and its armored signature."""

    head: Annotated[str, Meta(max_length=HEAD_LIMIT_BYTES)]
    sig: Annotated[str, Meta(max_length=sshsig.SIGNATURE_LIMIT_BYTES)]


def list_file(log: str) -> str:
    return f"{_LIST}{log or _NO_LOG}.json"


def head_file(log: str) -> str:
    return f"{_HEAD}{log or _NO_LOG}.json"


class BadList(Refusal):
    """The data is no unit's list of its index, or not the list's head."""

    code = "index_list"


def check_head(signed: SignedListHead, unit: str, signers: Sequence[Signer]) -> ListHead:
    """The head if it is this unit's, signed by one of these signers; otherwise BadList or SignatureFault."""
    document = signed.head.encode("utf-8", "replace")
    key = sshsig.check(document, signed.sig.encode("ascii", "replace"), namespaces.HEAD)
    try:
        found = jsontext.decode(document, type=ListHead)
        at = from_utc_ns(parse_rfc3339(found.at))
    except ValueError as error:
        raise BadList(f"not the head of an index's list: {error}") from None
    if found.unit != unit:
        raise BadList(f"it is of {found.unit!r}")
    require_trust(key, namespaces.HEAD, list(signers), unit, at)
    return found


def is_older(found: ListHead, than: ListHead) -> bool:
    """Whether a head of the same log is older than another. Between two logs the time decides."""
    if found.log == than.log:
        return (found.leaves, found.at) < (than.leaves, than.at)
    return found.at < than.at


MOST_SEGMENTS = 30_000  # ten years of three classes

Why = Literal["changed", "missing", "not_logged"]


class ListedSegment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    file: Annotated[str, Meta(max_length=64)]  # path below the index's folder: 2027-01-24/2026-11-24-001.age
    size: Annotated[int, Meta(ge=1, le=index.SEGMENT_LIMIT_BYTES)]
    sha256: Sha256


class Unlisted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A segment that differs from the unit's log: the unit does not vouch for it."""

    file: Annotated[str, Meta(max_length=64)]
    why: Why


class IndexList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The segments of an index, in the order of their names."""

    segments: Annotated[list[ListedSegment], Meta(max_length=MOST_SEGMENTS)]
    unlisted: Annotated[list[Unlisted], Meta(max_length=MOST_SEGMENTS)] = []


def encode(found: IndexList | ListHead) -> bytes:
    return msgspec.json.encode(found)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read(data: bytes, head: ListHead) -> IndexList:
    """The list that the head names; BadList if these are other bytes."""
    if (len(data), digest(data)) != (head.size, head.sha256):
        raise BadList("the list is not the one that its head names")
    try:
        found = jsontext.decode(data, type=IndexList)
    except ValueError as error:
        raise BadList(f"not the list of an index: {error}") from None
    names = [each.file for each in found.segments]
    if names != sorted(set(names)) or not all(map(is_segment, names)):
        raise BadList("its segments are not in order, or one of them is none")
    return found


def is_segment(name: str) -> bool:
    """Whether this is a segment's name below the index's folder, safe to use as a path."""
    folder, _, file = name.partition("/")
    return index.parse_folder(folder) is not None and index.parse_segment(file) is not None
