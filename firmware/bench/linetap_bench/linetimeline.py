# SPDX-License-Identifier: Apache-2.0
"""One simulated line: the edges of its hook, ringing and voltage, and the sounds on it, each at its millisecond."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from linetap.ring import I16
from linetap_bench import synth, timing
from linetap_bench.fronts import Front
from linetap_bench.levels import Track, bounce, shake
from linetap_bench.scriptkeys import LineSetup
from linetap_bench.synth import Hum, Noise, Sound
from linetap_bench.timing import PER_MS

FOREVER = 1 << 62
_NOISE, _CLICK, _BOUNCE, _DENSE = range(4)  # random streams of a line


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
        self.volts = Track(self._sign * round(setup.on_hook_v * 100))  # hundredths
        self._sounds: list[tuple[int, Sound]] = [(0, Noise((*self.key, _NOISE), setup.noise_dbm0, FOREVER))]
        if setup.hum_dbm0 is not None:
            self._sounds.append((0, Hum(setup.hum_dbm0, FOREVER)))
        self._spans: npt.NDArray[np.int64] | None = None

    def add(self, ms: int, sound: Sound) -> None:
        self._sounds.append((ms * PER_MS, sound))
        self._spans = None

    def audio(self, first: int, n: int) -> I16:
        """int16 (n,) from sample `first` on, as it is captured: ringing is cut off at full scale."""
        if self._spans is None:
            self._spans = np.array([(start, start + sound.length) for start, sound in self._sounds], np.int64)
        out = np.zeros(n)
        for i in np.flatnonzero((self._spans[:, 0] < first + n) & (self._spans[:, 1] > first)):
            start, sound = self._sounds[i]
            a, b = max(start, first), min(start + sound.length, first + n)
            out[a - first : b - first] += sound.render(a - start, b - a)
        return np.clip(np.rint(out * self._gain), -32768, 32767).astype(np.int16)

    def off_hook(self, ms: int, bounce_ms: int, reversed_: bool = False) -> None:
        self._hook(ms, 1, bounce_ms)
        self.volts.set(ms, self._loop(self.setup.off_hook_v, reversed_))

    def on_hook(self, ms: int, bounce_ms: int, reversed_: bool = False) -> None:
        self._hook(ms, 0, bounce_ms)
        self.volts.set(ms, self._loop(self.setup.on_hook_v, reversed_))

    def reverse(self, ms: int, reversed_: bool) -> None:
        self.volts.set(ms, self._loop(self.setup.off_hook_v, reversed_))

    def break_loop(self, ms: int, length_ms: int) -> None:
        """The exchange takes the battery away: without it a comparator still reads a closed loop."""
        self.volts.set(ms, 0)
        self.volts.set(ms + length_ms, self._loop(self.setup.off_hook_v, False))

    def pulse(self, ms: int) -> None:
        """One dial pulse: dials break without bounce worth the name."""
        self.off_hook(ms + timing.PULSE_BREAK_MS, 0)
        self.on_hook(ms, 0)

    def burst(self, ms: int, end_ms: int, shaken: bool) -> None:
        """One burst of ringing; where it is answered the hook's own edges come after it and win."""
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
