# SPDX-License-Identifier: Apache-2.0
"""Events in the outbox's files: one text line for each, readable with stock tools and safe in a crash.

    0003a7 9c2f11d0 {"seq":12,"payload":"{...}","sig":"-----BEGIN SSH SIGNATURE-----\n..."}

Length of the JSON in bytes and its CRC-32, in hexadecimal, then the JSON; `cut -c17- FILE | jq -j .payload` prints the
payloads byte for byte. The line end commits the event: it is a space until everything before it is on disk, and then
becomes the newline, in place, so that a full disk cannot refuse it. A reader that waits for the newline never publishes
an event that a power cut could undo. The length is needed because a torn sector can lose the newline of one event and
keep the next: a frame that others follow counts as committed.

A file is named by its first seq. `confirmed.json` beside the files has the number up to which the desk has all events,
and the events that it never received.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from linetap_core import jsontext, rundir, system
from linetap_core.durable.smallfile import SmallFile
from linetap_core.evidence.signing import sshsig

SUFFIX = ".events"
SEGMENT_BYTES = (2048, 4 << 20)  # at least, at most
GENESIS = "0" * 64  # `prev` of the first event
HEADER_BYTES = 16
_CHUNK_BYTES = 1 << 18
_MOST_BYTES = 64 << 20  # of a file: far more than one has
OPEN, COMMITTED = b" ", b"\n"


class Entry(msgspec.Struct, frozen=True):
    """An event. `payload`: the exact signed text; `sig`: its armored SSHSIG, bounded as a property of MQTT is."""

    seq: Annotated[int, Meta(ge=1, lt=1 << 62)]
    payload: str
    sig: Annotated[str, Meta(max_length=sshsig.SIGNATURE_LIMIT_BYTES)]


@dataclass(frozen=True, slots=True)
class Frame:
    """An entry and its place in the file; `committed`: its last byte is the newline."""

    entry: Entry
    start: int
    end: int
    committed: bool


def encode(entry: Entry) -> bytes:
    """The line, not yet committed."""
    body = msgspec.json.encode(entry)
    return b"%06x %08x %s%s" % (len(body), zlib.crc32(body), body, OPEN)


def name_of(first_seq: int) -> str:
    return f"{first_seq:012d}{SUFFIX}"


def path_of(folder: Path, first_seq: int) -> Path:
    return folder / name_of(first_seq)


def first_seqs(folder: Path) -> list[int]:
    """The first seqs of the existing files, in order; empty if the folder is missing or unreadable."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    stems = (name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
    return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdigit())


def scan(data: bytes, base: int = 0) -> Iterator[Frame]:
    """Yields all whole frames of `data` from offset `base` on. Damaged bytes are skipped up to the next newline."""
    at = 0
    while at < len(data):
        frame = _frame_at(data, at, base)
        if frame is not None:
            yield frame
            at = frame.end - base
            continue
        newline = data.find(COMMITTED, at)
        if newline < 0:
            return
        at = newline + 1


def read(path: Path, offset: int = 0) -> Iterator[Frame]:
    """Yields the frames of a file from `offset` on, the start of a frame. FileNotFoundError if it is gone; OSError for
    other objects, which a compromised recorder may have put there.
    """
    with rundir.opened(path.parent, path.name, _MOST_BYTES, copied=True) as (fd, _):
        data, base, at, ended = b"", offset, offset, False
        while not ended:
            more = system.read_at(fd, max(_CHUNK_BYTES, len(data)), at)
            at += len(more)
            ended = not more
            data += more
            end = base
            for frame in scan(data if ended else data[: data.rfind(COMMITTED) + 1], base):
                yield frame
                end = frame.end
            data, base = data[end - base :], end


def _frame_at(data: bytes, at: int, base: int) -> Frame | None:
    header = data[at : at + HEADER_BYTES]
    try:
        length, crc = int(header[:6], 16), int(header[7:15], 16)
    except ValueError:
        return None
    begin = at + HEADER_BYTES
    end = begin + length + 1
    body, mark = data[begin : end - 1], data[end - 1 : end]
    if not mark or zlib.crc32(body) != crc or header[6:7] + header[15:] != b"  ":
        return None  # a damaged last byte of an intact event: not committed
    try:
        entry = jsontext.decode(body, type=Entry)
    except ValueError:  # anyone can make a matching checksum: the content may be arbitrary
        return None
    return Frame(entry, base + at, base + end, mark == COMMITTED)


CONFIRMED = "confirmed.json"  # in the outbox's folder


class Lost(msgspec.Struct, frozen=True):
    """Events dropped before the desk confirmed them, and the number of the event that reports the loss."""

    first: int
    last: int
    word: int


class Confirmed(msgspec.Struct):
    through: Annotated[int, Meta(ge=0)]
    lost: Lost | None = None


CONFIRMED_FILE = SmallFile("confirmed", Confirmed, 4096)
