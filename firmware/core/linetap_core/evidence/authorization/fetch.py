# SPDX-License-Identifier: Apache-2.0
"""The bodies of `fetch`, for unit and desk: a window of a sealed call's files, its close in the log, the note that its
copy is complete, the list of the index's segments, and a window of them. Pure.

A window begins in one file and continues through the following ones, in the order of `FILES`, so that one signature and
one round trip are enough for most calls; in the index it continues in the order of the segments' names. Only files of a
sealed call, and sealed segments of the index, can be requested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from linetap_core.evidence.authorization.command import CommandFault
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.digest import is_sha256

VERB = "fetch"
BLOCK_BYTES = 128 << 10
MOST_BYTES = 4 << 20  # of a window
FILES = (sealed.RECORD, sealed.SIGNATURE, sealed.KEY, sealed.META)  # then the parts, by their numbers
LIST = "list"  # in place of a segment's name: the list of all segments (evidence/calls/indexhead.py)
# Only its form, so that the path stays below the index's folder; the recorder checks the name.
_SEGMENT = re.compile(r"[0-9a-z][0-9a-z.-]{9,40}/[12]\d{3}-\d\d-\d\d-\d{3,6}\.age", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,11}")


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A request for `most` bytes of the call, from byte `first` of `file`; fewer at the call's end."""

    call_id: str
    file: str
    first: Annotated[int, Meta(ge=0)] = msgspec.field(name="from")
    most: Annotated[int, Meta(ge=1, le=MOST_BYTES)]

    def body(self) -> dict[str, str]:
        return {"call_id": self.call_id, "file": self.file, "from": str(self.first), "most": str(self.most)}


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """A note that the desk has the whole call with this record's SHA-256."""

    call_id: str
    record_sha256: str

    def body(self) -> dict[str, str]:
        return {"call_id": self.call_id, "copied": self.record_sha256}


class Close(msgspec.Struct, frozen=True, kw_only=True):
    """A request for the closing (closing.py) of the call with this record's SHA-256."""

    call_id: str
    record_sha256: str

    def body(self) -> dict[str, str]:
        return {"call_id": self.call_id, "close": self.record_sha256}


class ListSegments(msgspec.Struct, frozen=True, kw_only=True):
    """A request for the list of the index's segments. The answer has its signed head; if that names another list than
    the desk's, windows of LIST fetch the list.
    """

    def body(self) -> dict[str, str]:
        return {"index": LIST}


class IndexWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A request for `most` bytes of the index, from byte `first` of `file`: a segment's name below the index's folder,
    or LIST.
    """

    file: str
    first: Annotated[int, Meta(ge=0)] = msgspec.field(name="from")
    most: Annotated[int, Meta(ge=1, le=MOST_BYTES)]

    def body(self) -> dict[str, str]:
        return {"index": self.file, "from": str(self.first), "most": str(self.most)}


FetchBody = Window | Copied | Close | ListSegments | IndexWindow


def parse(body: Mapping[str, str]) -> FetchBody:
    """The body of a fetch command; CommandFault if it has none of these forms."""
    if "index" in body:
        return _of_index(body)
    if not sealed.CALL_ID.fullmatch(body.get("call_id", "")):
        raise CommandFault("command_malformed", "call_id: a call id expected")
    for name, kind in (("copied", Copied), ("close", Close)):
        if body.keys() == {"call_id", name}:
            if not is_sha256(body[name]):
                raise CommandFault("command_malformed", f"{name}: the SHA-256 of record.json expected")
            return kind(call_id=body["call_id"], record_sha256=body[name])
    if body.keys() != {"call_id", "file", "from", "most"}:
        text = "the body of fetch is call_id and copied, call_id and close, or call_id, file, from, most"
        raise CommandFault("command_malformed", text)
    if not is_file(body["file"]):
        raise CommandFault("command_malformed", "file: the name of one of a sealed call's expected")
    first, most = _span(body)
    return Window(call_id=body["call_id"], file=body["file"], first=first, most=most)


def _of_index(body: Mapping[str, str]) -> ListSegments | IndexWindow:
    if body == ListSegments().body():
        return ListSegments()
    if body.keys() != {"index", "from", "most"}:
        raise CommandFault("command_malformed", f"the body of fetch is index: {LIST}, or index, from, most")
    if body["index"] != LIST and not _SEGMENT.fullmatch(body["index"]):
        raise CommandFault("command_malformed", f"index: {LIST}, or a segment's name below the index expected")
    first, most = _span(body)
    return IndexWindow(file=body["index"], first=first, most=most)


def _span(body: Mapping[str, str]) -> tuple[int, int]:
    """The first byte of a window and its length."""
    if not (_NUMBER.fullmatch(body["from"]) and _NUMBER.fullmatch(body["most"])):
        raise CommandFault("command_malformed", "from and most: numbers expected")
    most = int(body["most"])
    if not 1 <= most <= MOST_BYTES:
        raise CommandFault("command_malformed", f"most: 1 to {MOST_BYTES} expected")
    return int(body["from"]), most


def is_file(name: str) -> bool:
    return name in FILES or sealed.PART_NAME.fullmatch(name) is not None


def ordered(names: Iterable[str]) -> list[str]:
    """The files of a call among these names, in the order of a window."""
    return sorted(filter(is_file, names), key=lambda name: (FILES.index(name) if name in FILES else len(FILES), name))


def segments(names: Iterable[str]) -> list[str]:
    """The segments of an index among these names, in the order of a window."""
    return sorted(filter(_SEGMENT.fullmatch, names))
