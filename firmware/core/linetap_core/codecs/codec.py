# SPDX-License-Identifier: Apache-2.0
"""The interface of a codec, for the recorder, which encodes, and the desk, which decodes.

A call's audio is one **stream**, even if stored in several parts: a header, then units. Size and duration of a unit
follow from its position alone. The size of a part therefore determines its samples, and a recording continues after a
restart or a power cut without any secret. A codec with units of variable size cannot be used.

The size of a unit divides 64 KiB: a chunk of an age file then ends at the end of a unit, and so does a part that is
truncated to whole chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from linetap_core.errors import Refusal

if TYPE_CHECKING:  # numpy is not needed to count bytes
    import numpy as np
    from numpy.typing import NDArray

RATE_HZ = 8000


class CodecMissing(Refusal):
    """A codec's library is not installed."""

    code = "codec_missing"


class Undecodable(Refusal):
    """The bytes are not an output of the codec."""

    code = "undecodable"


class Encoder(Protocol):
    """Encodes a recording from any unit on. Samples are numbered from the first of the call.

    `position`: the end, in samples, of the returned bytes. `taken`: the next sample that `encode` expects. For a new
    encoder this may be before its first unit: these samples only let it settle, and no bytes are returned for them.
    """

    position: int
    taken: int

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Encodes samples; returns the units complete so far, possibly none."""

    def finish(self) -> bytes:
        """Returns the rest as the last unit of the stream; afterwards `position` equals `taken`."""


class Decoder(Protocol):
    """Decodes the parts of one call, in order."""

    def decode(self, part: bytes, samples: int) -> NDArray[np.int16]:
        """Returns exactly `samples` samples; Undecodable if the part has fewer."""


class Codec(Protocol):
    """A codec. `name`: in unit.toml and in records. `suffix`: of the names of files with a stream.

    `unit`: samples in a unit. `delay`: number of samples after a unit's last one that are needed to complete it.
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
        """Raises CodecMissing unless encoding and decoding are possible here."""

    def samples(self, stream_bytes: int) -> int:
        """Samples in the whole units of the first `stream_bytes` of a stream."""

    def possible(self, stream_bytes: int) -> range:
        """The possible numbers of samples of a finished stream of that size; none if no stream has the size."""

    def offset(self, sample: int) -> int:
        """The position in the stream of the unit with this sample."""

    def encoder(self, first: int) -> Encoder:
        """An encoder from the sample `first` on, the beginning of a unit. CodecMissing."""

    def decoder(self) -> Decoder:
        """A decoder. CodecMissing."""


def part_offset(codec: Codec, first: int) -> int:
    """The position in the stream of the part that begins with this sample: the first part has the header."""
    return codec.offset(first) if first else 0
