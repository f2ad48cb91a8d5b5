# SPDX-License-Identifier: Apache-2.0
"""The interface of a codec, for the recorder, which encodes, and the desk, which decodes.

A call's audio is one **stream**, even if it is stored in several parts: a header, then units. Size and duration of a
unit follow from its position alone. So the samples of a part follow from its size, and a recording continues after a
restart or a power cut without any secret. A codec with units of variable size cannot be used.

The size of a unit divides 64 KiB: a chunk of an age file then ends at the end of a unit, and so does a part that is
truncated to whole chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from linetap_core.errors import Refusal

if TYPE_CHECKING:  # counting bytes needs no numpy
    import numpy as np
    from numpy.typing import NDArray

RATE_HZ = 8000


class CodecMissing(Refusal):
    """A codec's library is not installed."""

    code = "codec_missing"


class Undecodable(Refusal):
    """The bytes are not what the codec writes."""

    code = "undecodable"


class Encoder(Protocol):
    """Encodes a recording, beginning at any unit. Samples are numbered from the first of the call.

    `position`: the end, in samples, of the returned bytes. `taken`: the next sample that `encode` expects. For a new
    encoder this may be before its first unit: it settles on these samples and returns nothing for them.
    """

    position: int
    taken: int

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Takes samples; returns the units that are complete now, possibly none."""

    def finish(self) -> bytes:
        """Returns the rest as the last unit of the stream; afterwards `position` equals `taken`."""


class Decoder(Protocol):
    """Decodes the parts of one call, in order."""

    def decode(self, part: bytes, samples: int) -> NDArray[np.int16]:
        """Exactly `samples` samples; Undecodable if the part holds fewer."""


class Codec(Protocol):
    """`name`: in unit.toml and in records. `suffix`: of the name of a file that holds a stream.

    `unit`: samples in a unit. `delay`: the number of samples after a unit's last one that complete it.
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
        """CodecMissing unless it can encode and decode here."""

    def samples(self, stream_bytes: int) -> int:
        """Samples in the whole units of the first `stream_bytes` of a stream."""

    def possible(self, stream_bytes: int) -> range:
        """The possible numbers of samples of a finished stream of so many bytes; none if no stream has that size."""

    def offset(self, sample: int) -> int:
        """The place in the stream of the unit that has the sample."""

    def encoder(self, first: int) -> Encoder:
        """`first`: where a unit begins. CodecMissing."""

    def decoder(self) -> Decoder:
        """CodecMissing."""


def part_offset(codec: Codec, first: int) -> int:
    """The place in the stream of the part that begins with that sample: the first part has the header."""
    return codec.offset(first) if first else 0
