# SPDX-License-Identifier: Apache-2.0
"""The bodies of `fetch`: a window of a sealed call's files, its close in the log, or a note that its copy is complete.
Pure; both ends use it.

A window begins in one file and continues through the following ones, in the order of `FILES`, so that one signature and
one round trip are enough for most calls. Only files of a sealed call can be requested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from linetap_core.evidence.authorization.command import CommandFault
from linetap_core.evidence.calls import sealed

VERB = "fetch"
BLOCK_BYTES = 128 << 10
MOST_BYTES = 4 << 20  # of a window
FILES = (sealed.RECORD, sealed.SIGNATURE, sealed.KEY, sealed.META)  # then the parts, by their numbers
_NUMBER = re.compile(r"0|[1-9][0-9]{0,11}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """`most` bytes of the call, from byte `first` of `file`; fewer where the call ends."""

    call_id: str
    file: str
    first: Annotated[int, Meta(ge=0)] = msgspec.field(name="from")
    most: Annotated[int, Meta(ge=1, le=MOST_BYTES)]

    def body(self) -> dict[str, str]:
        return {"call_id": self.call_id, "file": self.file, "from": str(self.first), "most": str(self.most)}


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """The desk has the whole call whose record has this SHA-256."""

    call_id: str
    record_sha256: str

    def body(self) -> dict[str, str]:
        return {"call_id": self.call_id, "copied": self.record_sha256}


class Close(msgspec.Struct, frozen=True, kw_only=True):
    """Requests the closing (closing.py) of the call whose record has this SHA-256."""

    call_id: str
    record_sha256: str

    def body(self) -> dict[str, str]:
        return {"call_id": self.call_id, "close": self.record_sha256}


def asked(body: Mapping[str, str]) -> Window | Copied | Close:
    """Returns the body of a fetch command; CommandFault if it is none of these."""
    if not sealed.CALL_ID.fullmatch(body.get("call_id", "")):
        raise CommandFault("command_malformed", "call_id: a call id expected")
    for name, kind in (("copied", Copied), ("close", Close)):
        if body.keys() == {"call_id", name}:
            if not _SHA256.fullmatch(body[name]):
                raise CommandFault("command_malformed", f"{name}: the SHA-256 of record.json expected")
            return kind(call_id=body["call_id"], record_sha256=body[name])
    if body.keys() != {"call_id", "file", "from", "most"}:
        text = "the body of fetch is call_id and copied, call_id and close, or call_id, file, from, most"
        raise CommandFault("command_malformed", text)
    if not is_file(body["file"]):
        raise CommandFault("command_malformed", "file: the name of one of a sealed call's expected")
    if not (_NUMBER.fullmatch(body["from"]) and _NUMBER.fullmatch(body["most"])):
        raise CommandFault("command_malformed", "from and most: numbers expected")
    most = int(body["most"])
    if not 1 <= most <= MOST_BYTES:
        raise CommandFault("command_malformed", f"most: 1 to {MOST_BYTES} expected")
    return Window(call_id=body["call_id"], file=body["file"], first=int(body["from"]), most=most)


def is_file(name: str) -> bool:
    return name in FILES or sealed.PART_NAME.fullmatch(name) is not None


def ordered(names: Iterable[str]) -> list[str]:
    """The files of a call among these names, in the order of a window."""
    return sorted(filter(is_file, names), key=lambda name: (FILES.index(name) if name in FILES else len(FILES), name))
