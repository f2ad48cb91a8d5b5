# SPDX-License-Identifier: Apache-2.0
"""G.711 mu-law as an .au stream: a byte a sample."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from linetap_core.codecs.codec import RATE_HZ, Undecodable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Magic, offset of the audio, its length (unknown), encoding 1 = 8-bit mu-law, rate, channels; then the annotation that
# readers expect, which ends in a zero byte.
HEADER = struct.pack(">4sIIIII8s", b".snd", 32, 0xFFFFFFFF, 1, RATE_HZ, 1, b"linetap\0")


class MuLaw:
    name = "mulaw"
    suffix = ".au"
    header = HEADER
    unit = 1
    delay = 0

    def require(self) -> None:
        pass

    def samples(self, stream_bytes: int) -> int:
        return max(0, stream_bytes - len(HEADER))

    def possible(self, stream_bytes: int) -> range:
        held = self.samples(stream_bytes)
        return range(held, held + 1)

    def offset(self, sample: int) -> int:
        return len(HEADER) + sample

    def encoder(self, first: int) -> MuLawEncoder:
        return MuLawEncoder(first)

    def decoder(self) -> MuLawDecoder:
        return MuLawDecoder()


class MuLawEncoder:
    def __init__(self, first: int) -> None:
        self.position = self.taken = first

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        from linetap_core.codecs import g711

        self.taken += len(samples)
        self.position = self.taken
        return g711.encode(samples).tobytes()

    def finish(self) -> bytes:
        return b""


class MuLawDecoder:
    def __init__(self) -> None:
        self._begun = False

    def decode(self, part: Iterable[bytes], samples: int) -> Iterator[NDArray[np.int16]]:
        import numpy as np

        from linetap_core.codecs import g711

        begin, held = b"" if self._begun else HEADER, 0
        for block in part:
            common = min(len(begin), len(block))
            if block[:common] != begin[:common]:
                raise _no_stream()
            begin = begin[common:]
            held += len(block) - common
            if held <= samples:  # of more, all are counted
                yield g711.decode(np.frombuffer(block, np.uint8, offset=common))
            self._begun = True
        if 0 < len(begin) < len(HEADER):
            raise _no_stream()
        if held != samples:
            raise Undecodable(f"{held} samples decoded, {samples} in the record")


def _no_stream() -> Undecodable:
    return Undecodable("does not begin as an .au stream of mu-law at 8 kHz")
