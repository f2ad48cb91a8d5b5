# SPDX-License-Identifier: Apache-2.0
"""A meter and its reader in one process, with a clock moved by the test: nothing waits in real time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from linetap.board.interface import PERIOD_MS, Levels
from linetap.board.meter.decide import Decider
from linetap.board.meter.limits import LimitArrays, LineLimits, limits_of
from linetap.board.meter.reader import Reader
from linetap.config.profile import MeterNumbers
from linetap.ring import I16
from linetap_bench.exchange.meter import NONE, Faults, Measures, Meter
from linetap_bench.exchange.meterlines import VoltsAt
from linetap_core.clock import NS_PER_MS, ManualClock

START_NS = 5_000_000 * NS_PER_MS
BATCH_MS = 40
BEHIND_MS = 40
NUMBERS = MeterNumbers()
PLAIN = limits_of(NUMBERS, 3.0)
Wave = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]  # seconds to volts


def hundredths(volts: npt.ArrayLike) -> I16:
    made: I16 = np.rint(np.asarray(volts) * 100).astype(np.int16)
    return made


def volts_at(*waves: Wave) -> VoltsAt:
    """One wave a line, in seconds since START_NS."""

    def at(first_ms: int, n: int) -> I16:
        seconds = (np.arange(first_ms, first_ms + n) - START_NS // NS_PER_MS) / 1000
        return hundredths([wave(seconds) for wave in waves])

    return at


def steps(*levels: tuple[float, float]) -> Wave:
    """(from second, volts), in order."""
    begins = np.array([round(second, 6) for second, _ in levels])
    level = np.array([volts for _, volts in levels], np.float64)

    def wave(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        at = np.searchsorted(begins, np.round(seconds, 6), side="right") - 1
        volts: npt.NDArray[np.float64] = level[np.maximum(at, 0)]
        return volts

    return wave


def ringing(battery: float, rms: float, hz: float, begin: float, end: float, phase: float = 0.0) -> Wave:
    def wave(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        on = (seconds >= begin) & (seconds < end)
        wave: npt.NDArray[np.float64] = on * rms * np.sqrt(2) * np.sin(2 * np.pi * hz * (seconds - begin) + phase)
        return battery + wave

    return wave


class Cable:
    """The reader's port, with or without a meter at its other end."""

    def __init__(self, meter: Measures, clock: ManualClock) -> None:
        self.meter = meter
        self._clock = clock
        self.open = True
        self.deaf = False  # the meter continues, but its data are lost
        self.inserted = b""
        self.lost: list[str] = []

    def ready(self, _now_ns: int) -> bool:
        return self.open

    def read(self) -> bytes:
        data, self.inserted = self.inserted, b""
        sent = self.meter.sent_until(self._clock.monotonic_ns())
        return data + (b"" if self.deaf else sent)

    def write(self, data: bytes) -> None:
        if not self.deaf:
            self.meter.receive(data, self._clock.monotonic_ns())

    def lose(self, why: str) -> None:
        self.lost.append(why)

    def close(self) -> None:
        self.open = False


class MeterRig:
    def __init__(
        self,
        volts: VoltsAt,
        lines: int = 1,
        faults: Faults = NONE,
        limits: Sequence[LineLimits] | None = None,
        beginning_us: int = 0,
        seed: int = 1,
        channels: Sequence[int] | None = None,
    ) -> None:
        self.clock = ManualClock(monotonic_ns=START_NS)
        self.meter = Meter(volts, lines, START_NS, faults, seed, beginning_us)
        self.cable = Cable(self.meter, self.clock)
        decider = Decider(LimitArrays(limits or [PLAIN] * lines), [NUMBERS] * lines)
        self.reader = Reader(self.cable, channels or range(lines), decider, self.clock)

    def run(self, seconds: float) -> list[Levels | None]:
        """Reads like capture: four periods at a time, each with the delay reported by the card."""
        found: list[Levels | None] = []
        for _ in range(round(seconds * 1000 / BATCH_MS)):
            self.clock.advance(BATCH_MS * NS_PER_MS)
            last = self.clock.monotonic_ns() - BEHIND_MS * NS_PER_MS
            backs = range(BATCH_MS - PERIOD_MS, -1, -PERIOD_MS)
            found += [self.reader.levels(last - back * NS_PER_MS) for back in backs]
        return found

    def heard(self, seconds: float) -> Levels:
        """The same in one piece; `second` gives the times of its milliseconds."""
        return joined(self.run(seconds))


def joined(found: Sequence[Levels | None]) -> Levels:
    """The levels; while the meter was silent, on-hook and no volts."""
    lines = next(len(levels.volts) for levels in found if levels is not None)
    none = np.zeros((lines, PERIOD_MS), np.bool_)
    empty = Levels(none, none, none, np.full(lines, -32768, np.int16))
    whole = [levels or empty for levels in found]
    return Levels(
        np.concatenate([levels.hook for levels in whole], axis=1),
        np.concatenate([levels.ring for levels in whole], axis=1),
        np.concatenate([levels.polarity for levels in whole], axis=1),
        np.stack([levels.volts for levels in whole], axis=1),
    )


def second(index: int) -> float:
    """The time of millisecond `index` of the first `heard`, in seconds since START_NS."""
    return (index - BEHIND_MS) / 1000


def edges(bits: npt.NDArray[np.bool_]) -> list[tuple[float, bool]]:
    """(second, new level) of one line's bits from the first `heard` on; the initial level is False."""
    at = np.flatnonzero(np.diff(bits.astype(np.int8), prepend=0))
    return [(round(second(int(i)), 3), bool(bits[i])) for i in at]
