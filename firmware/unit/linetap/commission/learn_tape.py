# SPDX-License-Identifier: Apache-2.0
"""One line of a running unit, as its ring shows it: read only, so that capture and recorder go on as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linetap.ring import I16, NO_VOLTS, RATE_HZ, UNDERRUN, Bits, RingReader
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.errors import DeviceFault

_STALLED_S = 2
_LOOK_S = 0.05  # the doorbell is the recorder's: whoever reads it here takes it from there
_MOST_SLOTS = 25


@dataclass(frozen=True, slots=True)
class Piece:
    """Some slots of the line, or a hole (`whole` is False and all is empty)."""

    frame: int
    whole: bool
    hook: Bits  # (milliseconds,)
    ring: Bits
    volts: npt.NDArray[np.float64]  # (slots,), signed; empty where the card has no meter
    notice: npt.NDArray[np.uint32]  # (slots,)
    notice_frame: npt.NDArray[np.int32]
    disturbed: bool  # the playback stream ran dry
    audio: I16

    @property
    def end(self) -> int:
        return self.frame + len(self.audio)


class Tape:
    def __init__(self, reader: RingReader, line: int, clock: Clock) -> None:
        """`line`: its number; the first piece is what comes next."""
        self._reader, self._clock = reader, clock
        self._index = reader.line_numbers.index(line)

    def run(self, seconds: float) -> Iterator[Piece]:
        """What comes in the next `seconds` of the line's own time. DeviceFault `ring_stalled` when nothing comes."""
        piece = self.next()
        end = piece.frame + round(seconds * RATE_HZ)
        yield piece
        while piece.frame < end:
            piece = self.next()
            yield piece

    def next(self) -> Piece:
        late_ns = self._clock.monotonic_ns() + _STALLED_S * NS_PER_S
        while (batch := self._reader.read(_MOST_SLOTS)) is None:
            if self._clock.monotonic_ns() >= late_ns:
                raise DeviceFault("ring_stalled", f"no audio for {_STALLED_S} s: is the card's capture running?")
            self._clock.sleep(_LOOK_S)
        i = self._index
        volts = batch.volts[i]
        metered = batch.gap is None and not bool((volts == NO_VOLTS).any())
        return Piece(
            batch.frame, batch.gap is None, batch.hook[i], batch.ring[i],
            volts / 100 if metered else np.zeros(0), batch.notice[:, i], batch.notice_frame[:, i],
            bool((batch.flags & UNDERRUN).any()), batch.audio[i],
        )  # fmt: skip
