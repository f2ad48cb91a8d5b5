# SPDX-License-Identifier: Apache-2.0
"""A script as lines.wav and events.jsonl, as fast as the machine goes; no notice is in it, `linetap replay` adds it."""

from __future__ import annotations

import json
import wave
from pathlib import Path

from linetap.ring import RATE_HZ
from linetap_bench.script import Script
from linetap_bench.timeline import Timeline
from linetap_bench.timing import PER_MS
from linetap_bench.voices import Voices
from linetap_core.errors import BadInput

BLOCK = 60 * RATE_HZ
MAX_WAV_BYTES = (1 << 32) - 4096  # RIFF counts in 32 bits


def render(script: Script, voices: Voices, folder: Path) -> tuple[Path, Path]:
    """Writes both files into `folder` and returns their paths. BadInput when a WAV cannot be that long."""
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
