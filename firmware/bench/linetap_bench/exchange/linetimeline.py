# SPDX-License-Identifier: Apache-2.0
"""One simulated line: the edges of its hook, ringing and voltage, and the sounds on it, by millisecond.

Levels are edges: hook, ring detector, and the loop's voltage, whose sign is polarity. The effect of a card's front ends
on the sound follows the table of the circuit drawing (board/frontend.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from linetap.board.frontend import CAPTURED_DB, ECHO_DB, NEIGHBOUR_DB, RINGING_DBM0
from linetap.ring import I16
from linetap_bench.script import timing
from linetap_bench.script.scriptkeys import LineSetup
from linetap_bench.script.timing import PER_MS
from linetap_bench.sounds import synth
from linetap_bench.sounds.synth import Hum, Noise, Sound

SHAKE_BATTERY_V, SHAKE_PEAK_V = -48.0, 106.0  # 75 Vrms of ringing on top of the battery
SHAKE_THRESHOLD_V = 21.0
RINGING_HZ = 20.03  # 20 nominal: no ringing generator is synchronous with a meter's clock


class Track:
    """A value that changes at given milliseconds. Edges may be added in any order; the last added at one time wins."""

    def __init__(self, start: int) -> None:
        self._edges: dict[int, int] = {-1: start}
        self._times = np.zeros(0, np.int64)
        self._values = np.zeros(0, np.int32)

    def set(self, ms: int, value: int) -> None:
        self._edges[ms] = value
        self._times = np.zeros(0, np.int64)

    def clear(self, ms: int, end_ms: int) -> None:
        """Removes the edges of [ms, end_ms]."""
        self._edges = {at: value for at, value in self._edges.items() if not ms <= at <= end_ms}
        self._times = np.zeros(0, np.int64)

    def render(self, from_ms: int, n: int) -> npt.NDArray[np.int32]:
        """int32 (n,) from millisecond `from_ms` on; the starting value applies before the first edge."""
        if not len(self._times):
            ordered = sorted(self._edges.items())
            self._times = np.array([ms for ms, _ in ordered], np.int64)
            self._values = np.array([value for _, value in ordered], np.int32)
        at = np.searchsorted(self._times, np.arange(from_ms, from_ms + n), side="right") - 1
        return self._values[np.maximum(at, 0)]

    def edges(self) -> list[tuple[int, int]]:
        """Edges that change the value, as (ms, value), from 0 on."""
        changes = []
        value = self._edges[-1]
        for ms in sorted(self._edges):
            if ms >= 0 and self._edges[ms] != value:
                value = self._edges[ms]
                changes.append((ms, value))
        return changes


def bounce(track: Track, ms: int, value: int, bounce_ms: int, rng: np.random.Generator) -> None:
    """Adds a contact's edges: it closes or opens at `ms` and settles on `value` after at most `bounce_ms`."""
    track.set(ms, value)
    at, level = ms, value
    while True:
        at += int(rng.integers(1, 4))
        level = 1 - level
        if at >= ms + bounce_ms:
            break
        track.set(at, level)
    track.set(ms + bounce_ms, value)


def shake(track: Track, ms: int, end_ms: int) -> None:
    """Adds ringing as a comparator without a filter sees it: |v| falls below the threshold twice a cycle, 3.6 ms each
    time.

    75 Vrms at 20 Hz on -48 V against 21 V, sampled once a millisecond as the meter does.
    """
    at = np.arange(ms, end_ms)
    volts = SHAKE_BATTERY_V + SHAKE_PEAK_V * np.sin(2 * np.pi * RINGING_HZ * (at - ms) / 1000)
    closed = (np.abs(volts) < SHAKE_THRESHOLD_V).astype(int)
    for i in np.flatnonzero(np.diff(closed, prepend=0)):
        track.set(int(at[i]), int(closed[i]))
    track.set(end_ms, 0)


LEAK = 10 ** (-NEIGHBOUR_DB.low / 20)  # from a line into each neighbour


class Front(NamedTuple):
    """The front end of one line: captured share of its level, returned share of a notice, level of ringing."""

    captured_db: float
    echo_db: float
    ringing_dbm0: float


def fronts(lines: int) -> list[Front]:
    """The front ends of a card, from the lowest levels within the parts' tolerances to the highest."""
    figures = (CAPTURED_DB, ECHO_DB, RINGING_DBM0)
    columns = [np.linspace(each.low, each.high, lines).tolist() for each in figures]
    return [Front(*levels) for levels in zip(*columns, strict=True)]


def beside(lines: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The sum of its two neighbours for each line, (lines, n)."""
    sums = np.zeros_like(lines)
    sums[1:] += lines[:-1]
    sums[:-1] += lines[1:]
    return sums


def with_leaks(lines: npt.NDArray[np.float64]) -> I16:
    """int16 (lines, n): what the card captures of these lines, each with its leak into its neighbours."""
    made: I16 = np.clip(np.rint(lines + LEAK * beside(lines)), -32768, 32767).astype(np.int16)
    return made


FOREVER = 1 << 62
_NOISE, _CLICK, _BOUNCE, _DENSE = range(4)  # numbers of a line's random streams


class LineTimeline:
    """One line. `start` of a sound and all audio positions are samples from the script's start."""

    def __init__(self, setup: LineSetup, seed: int, front: Front) -> None:
        self.setup = setup
        captured_db = front.captured_db if setup.captured_db is None else setup.captured_db
        self._gain = 10 ** (captured_db / 20)
        self._ringing_dbm0 = front.ringing_dbm0 - captured_db
        self.key = (seed, setup.number)
        self._sign = 1 if setup.reversed else -1
        self.hook, self.ring = Track(0), Track(0)
        self.volts = Track(self._sign * round(setup.on_hook_v * 100))  # hundredths of a volt
        self._sounds: list[tuple[int, Sound]] = [(0, Noise((*self.key, _NOISE), setup.noise_dbm0, FOREVER))]
        if setup.hum_dbm0 is not None:
            self._sounds.append((0, Hum(setup.hum_dbm0, FOREVER)))
        self._own = [*self._sounds]
        self._spans: npt.NDArray[np.int64] | None = None

    def add(self, ms: int, sound: Sound) -> None:
        self._sounds.append((ms * PER_MS, sound))
        self._spans = None

    def audio(self, first: int, n: int) -> I16:
        """int16 (n,) from sample `first` on, as captured: ringing is clipped at full scale."""
        if self._spans is None:
            self._spans = np.array([(start, start + sound.length) for start, sound in self._sounds], np.int64)
        out = np.zeros(n)
        for i in np.flatnonzero((self._spans[:, 0] < first + n) & (self._spans[:, 1] > first)):
            start, sound = self._sounds[i]
            a, b = max(start, first), min(start + sound.length, first + n)
            out[a - first : b - first] += sound.render(a - start, b - a)
        return np.clip(np.rint(out * self._gain), -32768, 32767).astype(np.int16)

    def idle_audio(self, first: int, n: int, sound: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64]:
        """float64 (n,): the line's own noise and `sound`, which the exchange sends in place of the call."""
        out = np.zeros(n) if sound is None else sound
        for _, noise in self._own:
            out = out + noise.render(first, n)
        return out * self._gain

    def off_hook(self, ms: int, bounce_ms: int, reversed_: bool = False) -> None:
        self._hook(ms, 1, bounce_ms)
        self.volts.set(ms, self._loop(self.setup.off_hook_v, reversed_))

    def on_hook(self, ms: int, bounce_ms: int, reversed_: bool = False) -> None:
        self._hook(ms, 0, bounce_ms)
        self.volts.set(ms, self._loop(self.setup.on_hook_v, reversed_))

    def reverse(self, ms: int, reversed_: bool) -> None:
        self.volts.set(ms, self._loop(self.setup.off_hook_v, reversed_))

    def break_loop(self, ms: int, length_ms: int) -> None:
        """Removes the battery during the break: a comparator would otherwise still read a closed loop."""
        self.volts.set(ms, 0)
        self.volts.set(ms + length_ms, self._loop(self.setup.off_hook_v, False))

    def pulse(self, ms: int) -> None:
        """Adds one dial pulse: a dial's contact breaks without significant bounce."""
        self.off_hook(ms + timing.PULSE_BREAK_MS, 0)
        self.on_hook(ms, 0)

    def burst(self, ms: int, end_ms: int, shaken: bool) -> None:
        """Adds one burst of ringing; if the call is answered in it, the hook's later edges win."""
        self.ring.set(ms, 1)
        self.ring.set(end_ms, 0)
        if shaken:
            shake(self.hook, ms, end_ms)
        self.add(ms, synth.Tones([(synth.RINGING_HZ, self._ringing_dbm0)], (end_ms - ms) * PER_MS))

    def dense(self, ms: int, end_ms: int, dbm0: float) -> None:
        self.add(ms, Noise((*self.key, _DENSE, ms), dbm0, (end_ms - ms) * PER_MS))

    def _hook(self, ms: int, value: int, bounce_ms: int) -> None:
        bounce(self.hook, ms, value, bounce_ms, np.random.default_rng([*self.key, _BOUNCE, ms]))
        self.add(ms, synth.click((*self.key, _CLICK, ms)))

    def _loop(self, volts: float, reversed_: bool) -> int:
        return (-self._sign if reversed_ else self._sign) * round(volts * 100)
