# SPDX-License-Identifier: Apache-2.0
"""A script as something that can be played: per line the edges of its levels and the sounds on it.

Audio and levels of any stretch can be asked for, in blocks of any size, with the same result; sample 8k is
millisecond k. Nothing is held but the edges, where each sound begins, and each utterance once.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from linetap.bench import callplay, synth, timing
from linetap.bench.fronts import Front, fronts
from linetap.bench.levels import Track, bounce, shake
from linetap.bench.scriptkeys import LineSetup, Script
from linetap.bench.synth import Hum, Noise, Sound
from linetap.bench.timing import PER_MS
from linetap.bench.voices import Voices
from linetap.ring import I16, Bits

__all__ = ["PER_MS", "LineTimeline", "Timeline"]

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


class Timeline:
    """All lines in the order of `numbers`."""

    def __init__(self, script: Script, voices: Voices, numbers: list[int]) -> None:
        """DeviceFault `no_speech` when the script's people cannot be given a voice."""
        self.duration_ms = script.duration_ms
        self.lines = [
            LineTimeline(script.setup(number), script.seed, front)
            for number, front in zip(numbers, fronts(len(numbers)), strict=True)
        ]
        by_number = dict(zip(numbers, self.lines, strict=True))
        for call in script.call:
            callplay.play(call, by_number[call.line], script.language, voices)
        self._smdr = sorted((round(line.at_s * 1000), line.text) for line in script.smdr)

    def audio(self, first: int, n: int) -> I16:
        """int16 (lines, n)."""
        return np.stack([line.audio(first, n) for line in self.lines])

    def levels(self, from_ms: int, n: int) -> tuple[Bits, Bits, Bits, I16]:
        """hook, ring, polarity: bool (lines, n); volts: int16 (lines, n), hundredths. Outside the script: idle."""
        hook = np.stack([line.hook.render(from_ms, n) for line in self.lines]) != 0
        ring = np.stack([line.ring.render(from_ms, n) for line in self.lines]) != 0
        volts = np.stack([line.volts.render(from_ms, n) for line in self.lines]).astype(np.int16)
        return hook, ring, volts > 0, volts

    def events(self) -> Iterator[dict[str, Any]]:
        """events.jsonl, ordered by `t`: the loop's voltage at the start, then every change and what the PBX prints."""
        yield from ({"t": 0.0, "line": x.setup.number, "volts": int(x.volts.render(0, 1)[0]) / 100} for x in self.lines)
        streams = [_events(line) for line in self.lines]
        streams.append([((ms, 0), {"t": ms / 1000, "smdr": text}) for ms, text in self._smdr])
        yield from (event for _, event in heapq.merge(*streams, key=lambda item: item[0]))


def _events(line: LineTimeline) -> list[tuple[tuple[int, int], dict[str, Any]]]:
    number = line.setup.number
    found = [((ms, number), {"t": ms / 1000, "line": number, "ring": v}) for ms, v in line.ring.edges()]
    found += [((ms, number), {"t": ms / 1000, "line": number, "hook": v}) for ms, v in line.hook.edges()]
    found += [((ms, number), {"t": ms / 1000, "line": number, "volts": v / 100}) for ms, v in line.volts.edges() if ms]
    return sorted(found, key=lambda item: item[0])
