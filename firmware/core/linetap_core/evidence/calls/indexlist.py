# SPDX-License-Identifier: Apache-2.0
"""The list of the segments of a unit's index, with their SHA-256: whoever searches copies of the index learns from it
which segments are missing, changed, or newer at the unit. One JSON document, named by its signed head (indexhead.py).
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linetap_core import jsontext
from linetap_core.evidence.calls import index
from linetap_core.evidence.calls.indexhead import BadList, ListHead
from linetap_core.evidence.digest import Sha256

MOST_SEGMENTS = 30_000  # ten years of three classes

Why = Literal["changed", "missing", "not_logged"]


class ListedSegment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    file: Annotated[str, Meta(max_length=64)]  # below the index's folder: 2027-01-24/2026-11-24-001.age
    size: Annotated[int, Meta(ge=1, le=index.SEGMENT_LIMIT_BYTES)]
    sha256: Sha256


class Unlisted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A segment that is not as the unit's log has it: the unit does not vouch for it."""

    file: Annotated[str, Meta(max_length=64)]
    why: Why


class IndexList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In the order of their names."""

    segments: Annotated[list[ListedSegment], Meta(max_length=MOST_SEGMENTS)]
    unlisted: Annotated[list[Unlisted], Meta(max_length=MOST_SEGMENTS)] = []


def encode(found: IndexList | ListHead) -> bytes:
    return msgspec.json.encode(found)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read(data: bytes, head: ListHead) -> IndexList:
    """The list that the head names; BadList if these bytes are another."""
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
    """Whether this is a segment's name below the index's folder; it may become a path."""
    folder, _, file = name.partition("/")
    return index.parse_folder(folder) is not None and index.parse_segment(file) is not None
