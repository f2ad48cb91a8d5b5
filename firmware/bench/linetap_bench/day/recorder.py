# SPDX-License-Identifier: Apache-2.0
"""Runs an hour of the day through the recorder: detectors, hook logic and call table, a card of many lines at once.

The code is that of `linetap replay`, with a vault that keeps the records without sealing them. No step waits for a
clock.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from linetap.config.profile import KR_PSTN
from linetap.config.schema import Card, Config, Keys, Line, Recording
from linetap.notices import Notice
from linetap.recorder.calls.context import LineMemory, Shared
from linetap.recorder.calls.ports import CallSnapshot, Stretches
from linetap.recorder.core import Recorder
from linetap.recorder.replay.card import ReplayCard
from linetap.recorder.replay.command import slots_at_once
from linetap.recorder.replay.events import Levels
from linetap.ring import I16, SLOT_FRAMES, SLOT_MS
from linetap_bench.exchange.linetimeline import fronts
from linetap_bench.exchange.timeline import Timeline
from linetap_bench.script.scriptkeys import Script
from linetap_bench.script.timing import PER_MS
from linetap_bench.sounds.voices import Voices
from linetap_core.clock import NS_PER_S
from linetap_core.records import CallEvent, CallRecord, ClockRecord


class Kept:
    """A VaultPort that keeps the records."""

    def __init__(self) -> None:
        self.records: list[CallRecord] = []

    def refused(self) -> str | None:
        return None

    def report(self, event: CallEvent) -> None: ...
    def snapshot(self, call_id: str, snapshot: CallSnapshot) -> None: ...
    def open(self, call_id: str, line: int, first_frame: int) -> None: ...
    def permit(self, call_id: str, frame: int, withheld: Stretches = ()) -> None: ...
    def remember_fault(self, line: int, since_ns: int | None) -> None: ...

    def close(self, call_id: str, end_frame: int | None, record: CallRecord, withheld: Stretches = ()) -> None:  # noqa: ARG002
        self.records.append(record)


START_NS = 1_795_824_000_000_000_000  # 2026-11-28 00:00 UTC
HOUR_NS = 3600 * NS_PER_S
BLOCK_SLOTS = 2000  # rendered at once: 10 s
LINES = 32
# Ranges over the lines, in no order; our estimate for codec, ALSA's buffers and an exchange's hybrid.
ECHO_MS, ECHO_STEP = (12, 90), 29

Progress = Callable[[float], None]


def config_of(lines: list[int], recording: Recording) -> Config:
    """A unit with these lines on one card. Its keys are placeholders: nothing is sealed."""
    return Config(
        unit="bench-day",
        keys=Keys(custodians=["none"], overflow_epoch="none"),
        card=[Card(channels=LINES)],
        line=[Line(number=number, channel=channel) for channel, number in enumerate(lines, 1)],
        recording=recording,
    )


def rendered(script: Script, lines: list[int], voices: Voices) -> tuple[I16, Levels]:
    """The script's audio (lines, frames) and levels, one for each millisecond."""
    # a line's place on the card determines its front end
    timeline = Timeline(script, voices, list(range(1, script.lines + 1)))
    chosen = [timeline.lines[number - 1] for number in lines]
    slots = -(-script.duration_ms // SLOT_MS)
    audio = np.zeros((len(lines), slots * SLOT_FRAMES), np.int16)
    bits = np.zeros((3, len(lines), slots * SLOT_MS), np.bool_)
    volts = np.zeros((len(lines), slots), np.int16)
    for index, line in enumerate(chosen):
        for slot in range(0, slots, BLOCK_SLOTS):
            n = min(BLOCK_SLOTS, slots - slot)
            first, ms = slot * SLOT_FRAMES, slot * SLOT_MS
            audio[index, first : first + n * SLOT_FRAMES] = line.audio(first, n * SLOT_FRAMES)
            volts_ms = line.volts.render(ms, n * SLOT_MS)
            span = slice(ms, ms + n * SLOT_MS)
            bits[0, index, span] = line.hook.render(ms, n * SLOT_MS) != 0
            bits[1, index, span] = line.ring.render(ms, n * SLOT_MS) != 0
            bits[2, index, span] = volts_ms > 0
            volts[index, slot : slot + n] = volts_ms[::SLOT_MS]
    assert audio.shape[1] == slots * SLOT_MS * PER_MS
    return audio, Levels(bits[0], bits[1], bits[2], volts)


def start_of(hour: int) -> int:
    return START_NS + hour * HOUR_NS


def echo_of(line: int) -> tuple[int, float]:
    """The delay in frames and the gain of a notice's echo on this line, by the drawing of its front end."""
    late_ms = ECHO_MS[0] + (line * ECHO_STEP) % (ECHO_MS[1] - ECHO_MS[0])
    return late_ms * PER_MS, 10 ** (fronts(LINES)[line - 1].echo_db / 20)


def follow(
    config: Config,
    audio: I16,
    levels: Levels,
    notices: dict[str, Notice],
    hour: int,
    memories: dict[int, LineMemory],
) -> tuple[list[CallRecord], dict[int, LineMemory]]:
    """The records of the hour, and the lines' memory for the next one. The notices are mixed into `audio`."""
    lines = config.lines_of(1)
    profiles, echoes = [KR_PSTN] * len(lines), [echo_of(line.number) for line in lines]
    card = ReplayCard(lines, audio, levels, notices, start_of(hour), set(), profiles, echoes)
    kept = Kept()
    shared = Shared(config, notices, card, card, kept, lambda _line: ClockRecord(synced=False))
    recorder = Recorder(shared, memories, examine=False)
    most = slots_at_once(config)
    while (batch := card.next(most)) is not None:
        recorder.follow(1, batch)
    recorder.cut_off(1, card.end_batch(), "audio_ended")
    return kept.records, {number: memory.of_another_ring() for number, memory in recorder.memories().items()}
