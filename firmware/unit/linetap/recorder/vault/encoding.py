# SPDX-License-Identifier: Apache-2.0
"""A recording out of the ring, encoded from one sample on. The vault's thread and the journal's have one each.

Units of one can follow units of the other, since a unit lies where its place in the stream says. In mu-law they are the
same bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from linetap.ring import Stretch
from linetap_core.codecs.codec import Codec

Fetch = Callable[[int, int], Stretch]  # the recording from a sample on, up to another or to where another piece begins
SampleGap = tuple[int, int, str]  # sample, samples, cause


class LineEncoder:
    """`gaps`: those found since they were last taken."""

    def __init__(self, codec: Codec, first: int) -> None:
        self._encoder = codec.encoder(first)
        self._first = first
        self.gaps: list[SampleGap] = []

    @property
    def position(self) -> int:
        """The sample up to which its bytes go."""
        return self._encoder.position

    @property
    def taken(self) -> int:
        """The sample that it fetches next."""
        return self._encoder.taken

    def encode_up_to(self, end: int, fetch: Fetch) -> bytes:
        """The units that are whole with the samples up to `end`."""
        units = []
        while self._encoder.taken < end:
            units.append(self.encode_piece(end, fetch))
        return b"".join(units)

    def encode_piece(self, end: int, fetch: Fetch) -> bytes:
        """The same with as much as one fetch gives."""
        stretch = fetch(self._encoder.taken, end)
        for sample, samples, cause in stretch.gaps:
            lost = max(sample, self._first)  # the samples before that are in other units, and so is their gap
            if lost < sample + samples:
                self.gaps.append((lost, sample + samples - lost, cause))
        return self._encoder.encode(stretch.samples)

    def finish(self) -> bytes:
        """The last unit of the stream."""
        return self._encoder.finish()

    def take_gaps(self) -> list[SampleGap]:
        gaps, self.gaps = self.gaps, []
        return gaps
