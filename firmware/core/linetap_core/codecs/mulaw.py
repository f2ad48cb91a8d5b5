# SPDX-License-Identifier: Apache-2.0
"""G.711 mu-law as an .au stream: a byte a sample."""

from __future__ import annotations

import struct
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

    def decode(self, part: bytes, samples: int) -> NDArray[np.int16]:
        import numpy as np

        from linetap_core.codecs import g711

        at = 0
        if not self._begun and part:
            if not part.startswith(HEADER):
                raise Undecodable("does not begin as an .au stream of mu-law at 8 kHz")
            at = len(HEADER)
        self._begun = True
        if len(part) - at != samples:
            raise Undecodable(f"{len(part) - at} samples decoded, {samples} in the record")
        return g711.decode(np.frombuffer(part, np.uint8, offset=at) if samples else np.empty(0, np.uint8))
