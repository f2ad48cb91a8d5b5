# SPDX-License-Identifier: Apache-2.0
"""Encodes a recording from the ring, beginning at any sample. The vault's and the journal's thread each have one.

Units of one encoder can follow units of the other, since a unit's position determines its samples. In mu-law both
encoders return equal units.
"""

from __future__ import annotations

from collections.abc import Callable

from linetap.ring import RATE_HZ, Stretch
from linetap_core.codecs.codec import Codec
from linetap_core.records import Gap

Fetch = Callable[
    [int, int], Stretch
]  # fetches samples of the recording from the first to the second, or to the end of a piece
SampleGap = tuple[int, int, str]  # sample, samples, cause


class LineEncoder:
    def __init__(self, codec: Codec, first: int) -> None:
        self._encoder = codec.encoder(first)
        self._first = first
        self._gaps: list[SampleGap] = []

    @property
    def position(self) -> int:
        """The end of the returned units, as a sample."""
        return self._encoder.position

    @property
    def taken(self) -> int:
        """The next sample to fetch."""
        return self._encoder.taken

    def encode_up_to(self, end: int, fetch: Fetch) -> bytes:
        """Returns the units that the samples up to `end` complete."""
        units = []
        while self._encoder.taken < end:
            units.append(self.encode_piece(end, fetch))
        return b"".join(units)

    def encode_piece(self, end: int, fetch: Fetch) -> bytes:
        """Returns the units that the samples of one fetch complete."""
        stretch = fetch(self._encoder.taken, end)
        for sample, samples, cause in stretch.gaps:
            lost = max(sample, self._first)  # earlier samples, with their gaps, are in other units
            if lost < sample + samples:
                self._gaps.append((lost, sample + samples - lost, cause))
        return self._encoder.encode(stretch.samples)

    def finish(self) -> bytes:
        """The last unit of the stream."""
        return self._encoder.finish()

    def take_gaps(self) -> list[SampleGap]:
        """The gaps up to `position` that were not returned yet; later gaps belong to the next units."""
        position, gaps = self._encoder.position, self._gaps
        self._gaps = [(max(at, position), at + n - max(at, position), why) for at, n, why in gaps if at + n > position]
        return [(at, min(n, position - at), why) for at, n, why in gaps if at < position]


# --- The gaps of a recording, in seconds from its first sample --------------------------------------------------------


def gap_of(sample: int, samples: int, cause: str) -> Gap:
    return Gap(round(sample / RATE_HZ, 6), round(samples * 1000 / RATE_HZ, 3), cause)


def append_gap(gaps: list[Gap], gap: Gap) -> list[Gap]:
    """Returns `gaps` with `gap` appended, or merged into the last gap if it continues that gap."""
    if gaps and gaps[-1].cause == gap.cause:
        last = gaps[-1]
        end_s = last.at_s + last.ms / 1000
        if abs(end_s - gap.at_s) < 0.5 / RATE_HZ:
            return [*gaps[:-1], Gap(last.at_s, round(last.ms + gap.ms, 3), gap.cause)]
    return [*gaps, gap]


def gaps_within(gaps: list[Gap], samples: int) -> list[Gap]:
    """Returns the gaps within the first `samples`."""
    end_s = samples / RATE_HZ
    return [
        Gap(gap.at_s, min(gap.ms, round((end_s - gap.at_s) * 1000, 3)), gap.cause) for gap in gaps if gap.at_s < end_s
    ]
