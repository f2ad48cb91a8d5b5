# SPDX-License-Identifier: Apache-2.0
"""Writes a recording as a WAV stream, plain or encrypted, in blocks."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from linetap_core.codecs.codec import RATE_HZ
from linetap_core.errors import BadInput
from linetap_core.evidence.sealing import age

_WIDTH_BYTES = 2
_BLOCK = 1 << 20  # samples
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_LIMIT_BYTES = 0xFFFFFFFF - _HEADER.size  # the header counts in 32 bits


def header(samples: int) -> bytes:
    """The 44-byte header for `samples` samples; BadInput for more than a WAV file can count."""
    size = samples * _WIDTH_BYTES
    if size > _LIMIT_BYTES:
        raise BadInput(f"{samples} samples do not fit into a WAV file")
    return _HEADER.pack(
        *(b"RIFF", _HEADER.size - 8 + size, b"WAVE"),
        *(b"fmt ", 16, 1, 1, RATE_HZ, RATE_HZ * _WIDTH_BYTES, _WIDTH_BYTES, 8 * _WIDTH_BYTES),
        *(b"data", size),
    )


def stream(samples: int, parts: Iterable[NDArray[np.int16]]) -> Iterator[bytes]:
    """16-bit PCM, 8 kHz, mono, of `samples` samples in `parts`."""
    yield header(samples)
    for part in parts:
        for at in range(0, len(part), _BLOCK):
            yield part[at : at + _BLOCK].astype("<i2").tobytes()


def write(file: BinaryIO, blocks: Iterable[bytes], recipient: str) -> None:
    """Writes the blocks as they are, or as one age file to `recipient`."""
    if not recipient:
        file.writelines(blocks)
        return
    writer = age.AgeWriter([recipient])
    file.write(writer.header)
    for block in blocks:
        file.write(writer.write(block))
    file.write(writer.finish())
