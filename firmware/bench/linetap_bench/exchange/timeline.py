# SPDX-License-Identifier: Apache-2.0
"""A script in playable form, in real time or as files: the edges of each line's levels and the sounds on it.

Audio and levels of any stretch are available in blocks of any size, with the same result; sample 8k is millisecond k.
Only the edges, the start of each sound, and each utterance once are stored. The files are lines.wav and events.jsonl,
without a notice, which `linetap replay` adds.
"""

from __future__ import annotations

import heapq
import json
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from linetap.ring import I16, RATE_HZ, Bits
from linetap_bench.exchange import callplay
from linetap_bench.exchange.linetimeline import LineTimeline, fronts
from linetap_bench.script.scriptkeys import Script
from linetap_bench.script.timing import PER_MS, times_of
from linetap_bench.sounds.voices import Voices
from linetap_core.errors import BadInput


class Timeline:
    """The lines of a script, in the order of `numbers`."""

    def __init__(self, script: Script, voices: Voices, numbers: list[int]) -> None:
        """DeviceFault `no_speech` if a voice of the script's people is missing."""
        self.duration_ms = script.duration_ms
        self.lines = [
            LineTimeline(script.setup(number), script.seed, front)
            for number, front in zip(numbers, fronts(len(numbers)), strict=True)
        ]
        by_number = dict(zip(numbers, self.lines, strict=True))
        for call in script.call:
            callplay.play(call, by_number[call.line], script.language, voices)
        self._incoming = [
            [(t.start, t.end) for call in script.call if (call.line, call.direction) == (number, "in")
             for t in [times_of(call)]]
            for number in numbers
        ]  # fmt: skip
        self._smdr = sorted((round(line.at_s * 1000), line.text) for line in script.smdr)

    def audio(self, first: int, n: int) -> I16:
        """int16 (lines, n)."""
        return np.stack([line.audio(first, n) for line in self.lines])

    def levels(self, from_ms: int, n: int) -> tuple[Bits, Bits, Bits, I16]:
        """hook, ring, polarity: bool (lines, n); volts: int16 (lines, n), hundredths. Idle outside the script."""
        hook = np.stack([line.hook.render(from_ms, n) for line in self.lines]) != 0
        ring = np.stack([line.ring.render(from_ms, n) for line in self.lines]) != 0
        volts = np.stack([line.volts.render(from_ms, n) for line in self.lines]).astype(np.int16)
        return hook, ring, volts > 0, volts

    def lifted(self, row: int, ms: int) -> bool:
        """Whether the handset of the line in row `row` is off its cradle."""
        return bool(self.lines[row].hook.render(ms, 1)[0])

    def is_incoming(self, row: int, ms: int) -> bool:
        """Whether the call on that line is incoming."""
        return any(start <= ms < end for start, end in self._incoming[row])

    def events(self) -> Iterator[dict[str, Any]]:
        """The entries of events.jsonl, ordered by `t`: the loop's first voltage, then every change and SMDR line."""
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


BLOCK = 60 * RATE_HZ
MAX_WAV_BYTES = (1 << 32) - 4096  # RIFF sizes have 32 bits


def render(script: Script, voices: Voices, folder: Path) -> tuple[Path, Path]:
    """Writes both files into `folder` and returns their paths. BadInput if the WAV would be too long."""
    samples = script.duration_ms * PER_MS
    if samples * 2 * script.lines > MAX_WAV_BYTES:
        raise BadInput(f"{script.lines} lines of {script.duration_ms / 1000:g} s do not fit a WAV of 4 GiB")
    timeline = Timeline(script, voices, list(range(1, script.lines + 1)))
    folder.mkdir(parents=True, exist_ok=True)
    audio, events = folder / "lines.wav", folder / "events.jsonl"
    with wave.open(str(audio), "wb") as file:
        file.setnchannels(script.lines)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        for first in range(0, samples, BLOCK):
            block = timeline.audio(first, min(BLOCK, samples - first))
            file.writeframesraw(block.T.astype("<i2").tobytes())
    with events.open("w") as lines:
        lines.writelines(json.dumps(event) + "\n" for event in timeline.events())
    return audio, events
