# SPDX-License-Identifier: Apache-2.0
"""A simulated meter's samples and decisions: the volts on the simulated wires, judged by linetap's own decider with the
limits that the meter was sent.

The program of a real meter (hardware/meter/line.c) follows the same rules with other code, and tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from linetap.board.meter import protocol as wire
from linetap.board.meter.decide import Decider
from linetap.board.meter.limits import LimitArrays, LineLimits, limits_of
from linetap.board.wires import Wires
from linetap.config.profile import KR_PSTN, MeterNumbers
from linetap.ring import I16, Bits
from linetap_bench.exchange.linetimeline import RINGING_HZ, SHAKE_PEAK_V
from linetap_bench.script.scriptkeys import LineSetup

NOMINAL_VOLTS = 4800  # the battery voltage under ringing
MOST_VOLTS = 26_500  # hundredths of a volt


class MeterVolts:
    """The volts that a card's meter measures: a script has ringing and a bouncing contact as bits."""

    def __init__(self, setups: Sequence[LineSetup]) -> None:
        self._open = np.array([[round(setup.on_hook_v * 100)] for setup in setups])
        self._closed = np.array([[round(setup.off_hook_v * 100)] for setup in setups])

    def measured(self, from_ms: int, hook: Bits, ring: Bits, given: I16) -> I16:
        """int16 (lines, n), 0.01 V, from millisecond `from_ms` of the wires on. A line without volts stays so."""
        volts = given.astype(np.int64)
        closed = np.abs(volts) < (self._open + self._closed) / 2
        bounces = (hook != closed) & ~ring & (volts != 0)
        volts = np.where(bounces, np.sign(volts) * np.where(hook, self._closed, self._open), volts)
        if ring.any():
            at_s = np.arange(from_ms, from_ms + volts.shape[1]) / 1000
            swing = SHAKE_PEAK_V * 100 * np.sin(2 * np.pi * RINGING_HZ * at_s) / NOMINAL_VOLTS
            volts = np.clip(np.rint(volts + ring * np.abs(volts) * swing), -MOST_VOLTS, MOST_VOLTS)
        return volts.astype(np.int16)


VoltsAt = Callable[[int, int], I16]


def volts_on(wires: Wires) -> VoltsAt:
    """The volts that an exchange of a card with a meter puts on these wires."""
    return lambda first_ms, n: wires.samples(first_ms + n, n)[3]


HOOK, RING, PULSE = (wire.EDGES.index(name) for name in ("hook", "ring", "pulse"))
MOST = 32767  # hundredths of a volt

Edge = tuple[int, int, int, bool]  # sample, channel, index in protocol.EDGES, level


class MeterLines:
    """Edges of a card's lines. An edge of hook or ringing comes `delay_ms` after its sample, a pulse at once."""

    def __init__(self, channels: int) -> None:
        numbers = MeterNumbers()
        self._limits = [limits_of(numbers, KR_PSTN.no_line_v)] * channels
        self._decider = Decider(LimitArrays(self._limits), [numbers] * channels)
        self._before: tuple[Bits, Bits] | None = None  # hook and ring at the last decided sample
        self._loop: npt.NDArray[np.bool_] | None = None  # after each line's last pulse edge

    def set_limits(self, payload: bytes) -> list[tuple[int, int]]:
        """Applies the payload of a `limits` frame: off-hook and on-hook limit of each channel. Other channels keep
        theirs.
        """
        channels = payload[0]
        words = np.frombuffer(payload[1 : 1 + (len(payload) - 1) // 2 * 2], "<u2")
        if len(words) < 2 * channels:
            return []
        words = np.minimum(words, MOST)
        more = len(words) >= 4 * channels
        for i in range(min(channels, len(self._limits))):
            old = self._limits[i]
            low, high = words[2 * i : 2 * i + 2] / 100
            fall, no_line = words[2 * (channels + i) :][:2] / 100 if more else (old.fall_v, old.no_line_v)
            self._limits[i] = LineLimits(low, high, fall, no_line, old.on_hook_v, old.off_hook_v)
        self._decider.limits = LimitArrays(self._limits)
        return [(int(low), int(high)) for low, high in words[: 2 * channels].reshape(-1, 2)]

    def push(self, first: int, volts: I16, frame: int) -> list[list[Edge]]:
        """Accepts samples int16 (channels, n), 0.01 V, from number `first` on. Returns for each `frame` samples the
        edges that are known at their end, in order.
        """
        known: list[list[Edge]] = [[] for _ in range(0, volts.shape[1], frame)]
        hook, ring, _ = self._decider.push(volts)
        for each in self._pulses(first, *self._decider.at_once):
            known[(each[0] - first) // frame].append(each)
        before = self._before or (hook[:, :1], ring[:, :1])
        for edge, bits, last in ((HOOK, hook, before[0]), (RING, ring, before[1])):
            changed = bits != np.concatenate([last, bits[:, :-1]], axis=1)
            if changed.any():
                for channel, at in np.argwhere(changed).tolist():
                    dated = first + at - self._decider.delay_ms
                    known[at // frame].append((dated, channel, edge, bool(bits[channel, at])))
        self._before = hook[:, -1:], ring[:, -1:]
        return [sorted(edges) for edges in known]

    def _pulses(self, first: int, loop: Bits, ring: Bits) -> Iterator[Edge]:
        if self._loop is None:
            self._loop = loop[:, 0].copy()
        for channel in np.flatnonzero((loop != self._loop[:, None]).any(axis=1)).tolist():
            for at, level in enumerate(loop[channel].tolist()):
                if level != self._loop[channel] and not ring[channel, at]:
                    self._loop[channel] = level
                    yield first + at, channel, PULSE, level
