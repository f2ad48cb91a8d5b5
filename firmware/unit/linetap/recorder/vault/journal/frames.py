# SPDX-License-Identifier: Apache-2.0
"""What lies in a journal file: frames one behind the other, each of which proves itself or does not count.

    magic LTJ1 | generation u64 | number u32 | length u32 | CRC-32 of all of it but this | the entries, msgpack

A file is overwritten in place, so old frames lie behind the new ones: those of the highest generation count. A frame
that is not whole is passed over, and the next one is looked for: a flipped bit costs the frame it is in.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from linetap.recorder.vault.recordings.entries import Entry

MAGIC = b"LTJ1"
_FIELDS = struct.Struct("<4sQIII")
HEADER_BYTES = _FIELDS.size
_CRC_BYTES = 4  # the last of them
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Entry])


@dataclass(frozen=True, slots=True)
class Run:
    """The frames of one file, in the order in which they were written."""

    generation: int
    frames: list[list[Entry]]


def encode(generation: int, number: int, entries: list[Entry]) -> bytearray:
    frame = bytearray(HEADER_BYTES)
    _ENCODER.encode_into(entries, frame, HEADER_BYTES)
    _FIELDS.pack_into(frame, 0, MAGIC, generation, number, len(frame) - HEADER_BYTES, 0)
    with memoryview(frame) as view:
        crc = zlib.crc32(view[HEADER_BYTES:], zlib.crc32(view[: HEADER_BYTES - _CRC_BYTES]))
    frame[HEADER_BYTES - _CRC_BYTES : HEADER_BYTES] = crc.to_bytes(_CRC_BYTES, "little")
    return frame


def read(data: bytes | bytearray) -> Run | None:
    """What counts of a file's bytes; None where no frame is whole."""
    view, at = memoryview(data), 0
    newest, found = 0, dict[int, list[Entry]]()
    while (at := data.find(MAGIC, at)) >= 0:
        head = _head_at(view, at)
        entries = None if head is None or head.generation < newest else _entries(view[head.begin : head.end])
        if head is None or entries is None:
            at = at + len(MAGIC) if head is None else head.end
            continue
        if head.generation > newest or not found:
            newest, found = head.generation, {}
        found[head.number] = entries
        at = head.end
    return Run(newest, [found[number] for number in sorted(found)]) if found else None


class _Head(NamedTuple):
    generation: int
    number: int
    begin: int  # of the entries
    end: int


def _head_at(view: memoryview, at: int) -> _Head | None:
    """Of the frame that begins there, if it is whole."""
    begin = at + HEADER_BYTES
    if begin > len(view):
        return None
    _, generation, number, length, crc = _FIELDS.unpack_from(view, at)
    end = begin + length
    if end > len(view) or zlib.crc32(view[begin:end], zlib.crc32(view[at : begin - _CRC_BYTES])) != crc:
        return None
    return _Head(generation, number, begin, end)


def _entries(body: memoryview) -> list[Entry] | None:
    """None for what another version has written."""
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError):
        return None
