# SPDX-License-Identifier: Apache-2.0
"""What lies in a journal file: frames one behind the other, each of which proves itself or does not count.

    magic LTJ1 | generation u64 | number u32 | length u32 | CRC-32 of all of it but this | the entries, msgpack

A file is overwritten in place, so old frames lie behind the new ones: reading ends at the first frame that is not
whole, is of another generation than the file's first one, or does not bear the next number.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import msgspec

from linetap.recorder.vault.journal.entries import Entry

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
    """What counts of a file's bytes; None where not even its first frame is whole."""
    view = memoryview(data)
    at, generation, frames = 0, 0, list[list[Entry]]()
    while (found := _frame_at(view, at, len(frames), generation)) is not None:
        generation, end, entries = found
        frames.append(entries)
        at = end
    return Run(generation, frames) if frames else None


def _frame_at(view: memoryview, at: int, number: int, generation: int) -> tuple[int, int, list[Entry]] | None:
    """Generation, end, and entries of the frame that should be there."""
    begin = at + HEADER_BYTES
    if begin > len(view):
        return None
    magic, found, found_number, length, crc = _FIELDS.unpack_from(view, at)
    end = begin + length
    if magic != MAGIC or found_number != number or (number and found != generation) or end > len(view):
        return None
    if zlib.crc32(view[begin:end], zlib.crc32(view[at : begin - 4])) != crc:
        return None
    try:
        return found, end, _DECODER.decode(view[begin:end])
    except ValueError:
        return None
