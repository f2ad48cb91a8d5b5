# SPDX-License-Identifier: Apache-2.0
"""What a codec is to the recorder that writes with it and to the desk that reads it.

A call's audio is one **stream**, however many parts it lies in: a header, then units of a size and a length that follow
from their place alone. So the size of a part says which samples are in it, and no one needs a secret to know where a
recording goes on after a restart or a power cut. A codec whose units vary in size cannot be one.

A chunk of an age file must end where a unit ends, or a part that is cut back to whole chunks ends within a unit: units
divide 64 KiB.
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
    """A recording from one sample on. Samples count from the first of the call.

    `position`: the bytes returned so far go up to this sample. `taken`: the sample that `encode` expects next. A new
    encoder may ask for some before its first, so that it is settled when it begins; they are in no unit.
    """

    position: int
    taken: int

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Takes samples; returns the units that are whole now, maybe none."""

    def finish(self) -> bytes:
        """What is left, as the last unit of the stream; `position` is `taken` then."""


class Decoder(Protocol):
    """The parts of one call, in order."""

    def decode(self, part: bytes, samples: int) -> NDArray[np.int16]:
        """Exactly `samples` samples; Undecodable if the part does not hold so many."""


class Codec(Protocol):
    """`name` is what unit.toml and a record call it, `suffix` ends the name of a stream that lies in a file.

    `unit`: samples in a unit. `delay`: so many samples behind a unit's last one are needed before it is whole.
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
        """Samples in the whole units of the first so many bytes of a stream."""

    def possible(self, stream_bytes: int) -> range:
        """How many samples a finished stream of so many bytes may have; none where no stream has that size."""

    def offset(self, sample: int) -> int:
        """Where in the stream the unit begins that has the sample in it."""

    def encoder(self, first: int) -> Encoder:
        """`first`: where a unit begins. CodecMissing."""

    def decoder(self) -> Decoder:
        """CodecMissing."""


def part_offset(codec: Codec, first: int) -> int:
    """Where in the stream the part begins whose first sample that is: the first part has the header."""
    return codec.offset(first) if first else 0
