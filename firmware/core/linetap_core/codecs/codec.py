# SPDX-License-Identifier: Apache-2.0
"""The interface of a codec, for the recorder, which encodes, and the desk, which decodes.

A call's audio is one **stream**, even if it is stored in several parts: a header, then units. Size and duration of a
unit follow from its position alone. The samples of a part therefore follow from its size, and a recording continues
after a restart or a power cut without any secret. A codec with units of variable size cannot be used.

The size of a unit divides 64 KiB, so that a chunk of an age file, and a part truncated to whole chunks, ends at the end
of a unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from linetap_core.errors import Refusal

if TYPE_CHECKING:  # numpy is not loaded for counting bytes
    import numpy as np
    from numpy.typing import NDArray

RATE_HZ = 8000


class CodecMissing(Refusal):
    """A codec's library is not installed."""

    code = "codec_missing"


class Undecodable(Refusal):
    """The bytes are no output of the codec."""

    code = "undecodable"


class Encoder(Protocol):
    """Encodes a recording, beginning at any unit. Samples are numbered from the first of the call.

    `position`: the end, in samples, of the returned bytes. `taken`: the next sample that `encode` expects. In a new
    encoder, `taken` may be before the first unit: the encoder settles on these samples and returns no units for them.
    """

    position: int
    taken: int

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Encodes samples; returns the completed units, possibly none."""

    def finish(self) -> bytes:
        """Returns the rest as the last unit of the stream; afterwards `position` equals `taken`."""


class Decoder(Protocol):
    """Decodes the parts of one call, in order."""

    def decode(self, part: Iterable[bytes], samples: int) -> Iterator[NDArray[np.int16]]:
        """Exactly `samples` samples of a part that arrives in blocks of any size, as they arrive; Undecodable if the
        part has another number."""


class Codec(Protocol):
    """A codec. `name`: the name in unit.toml and in records. `suffix`: the suffix of the name of a file with a stream.

    `unit`: samples in a unit. `delay`: the number of samples after a unit's last sample that complete the unit.
    """

    @property
    def name(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def header(self) -> bytes: ...
    @property
    def unit(self) -> int: ...
    @property
    def delay(self) -> int: ...

    def require(self) -> None:
        """CodecMissing unless the codec can encode and decode on this machine."""

    def samples(self, stream_bytes: int) -> int:
        """The number of samples in the whole units of the first `stream_bytes` of a stream."""

    def possible(self, stream_bytes: int) -> range:
        """The possible numbers of samples of a finished stream of this size; empty if no stream has it."""

    def offset(self, sample: int) -> int:
        """The offset in the stream of the unit that has the sample."""

    def encoder(self, first: int) -> Encoder:
        """An encoder. `first`: the first sample of a unit. May raise CodecMissing."""

    def decoder(self) -> Decoder:
        """A decoder. May raise CodecMissing."""


def part_offset(codec: Codec, first: int) -> int:
    """The offset in the stream of the part that begins with sample `first`: the first part has the header."""
    return codec.offset(first) if first else 0
