# SPDX-License-Identifier: Apache-2.0
"""The events on one line, fed to the recorder in batches of any size; its requests to the vault are stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from linetap.config import profile_of
from linetap.config.schema import Config
from linetap.learned import Learned
from linetap.notices import notices_of
from linetap.recorder.calls.context import LineMemory, Shared
from linetap.recorder.calls.ports import CallSnapshot, Stretches
from linetap.recorder.core import Recorder
from linetap.recorder.replay.card import ReplayCard
from linetap.recorder.replay.events import Levels
from linetap.ring import I16, NO_VOLTS, RATE_HZ, SLOT_FRAMES, Batch
from linetap.ring.batch import gap_batch
from linetap_core.errors import DeviceFault
from linetap_core.records import CallEvent, CallRecord, ClockRecord

START_NS = 1_795_647_360_123_000_000  # 2026-11-25T22:56:00.123Z


@dataclass
class Kept:
    """A vault that stores its inputs."""

    skip_reason: str | None = None
    events: list[CallEvent] = field(default_factory=list)
    opened: list[tuple[str, int, int]] = field(default_factory=list)
    permitted: dict[str, list[int]] = field(default_factory=dict)
    closed: list[tuple[str, int | None, CallRecord]] = field(default_factory=list)

    withheld: dict[str, Stretches] = field(default_factory=dict)
    declared: dict[str, Stretches] = field(default_factory=dict)  # the same during the call
    faults: list[tuple[int, int | None]] = field(default_factory=list)
    snapshots: dict[str, CallSnapshot] = field(default_factory=dict)

    def refused(self) -> str | None:
        return self.skip_reason

    def report(self, event: CallEvent) -> None:
        self.events.append(event)

    def snapshot(self, call_id: str, snapshot: CallSnapshot) -> None:
        self.snapshots[call_id] = snapshot

    def open(self, call_id: str, line: int, first_frame: int) -> None:
        self.opened.append((call_id, line, first_frame))

    def permit(self, call_id: str, frame: int, withheld: Stretches = ()) -> None:
        self.permitted.setdefault(call_id, []).append(frame)
        known = list(self.declared.get(call_id, ()))
        assert list(withheld[: len(known)]) == known, "what was withheld stays so: silence may be written in its place"
        self.declared[call_id] = withheld

    def close(self, call_id: str, end_frame: int | None, record: CallRecord, withheld: Stretches = ()) -> None:
        self.closed.append((call_id, end_frame, record))
        self.withheld[call_id] = withheld

    def remember_fault(self, line: int, since_ns: int | None) -> None:
        self.faults.append((line, since_ns))

    def names(self) -> list[str]:
        return [event.event for event in self.events]

    @property
    def records(self) -> list[CallRecord]:
        return [record for _, _, record in self.closed]


class Card(ReplayCard):
    """A replay's card whose capture can be made to fail."""

    deaf_to_commands = False  # accepts commands, but plays nothing
    absent = False  # accepts no commands

    def frame_now(self, line: int) -> int:  # noqa: ARG002 - no capture is behind it
        return 0

    def play(self, line: int, notice: str, at_frame: int) -> None:
        if self.absent:
            raise DeviceFault("peer_absent", "no capture")
        if not self.deaf_to_commands:
            super().play(line, notice, at_frame)

    def return_nothing(self) -> None:
        """Makes the lines deaf: played audio does not return."""
        self._deaf = set(self._place.values())


@lru_cache(maxsize=16)
def noise_of(peak: int, lines: int, samples: int) -> I16:
    """Noise, generated once: most stories of a file have equal numbers of lines and samples."""
    return np.random.default_rng(3).integers(-peak, peak, (lines, samples)).astype(np.int16)


@dataclass
class Story:
    """Levels of the lines of a unit, written as (from second, to second, value)."""

    config: Config
    seconds: float
    vault: Kept = field(default_factory=Kept)
    noise_peak: int = 3000
    followed: list[Batch] = field(default_factory=list)
    card_kind: type[Card] = Card

    def __post_init__(self) -> None:
        lines = len(self.config.line)
        ms = round(self.seconds * 1000)
        self.bits = np.zeros((3, lines, ms), np.bool_)
        self.card = self.card_kind(
            self.config.lines_of(1),
            noise_of(self.noise_peak, lines, ms * 8).copy(),
            Levels(self.bits[0], self.bits[1], self.bits[2], np.full((lines, ms // 10), NO_VOLTS, np.int16)),
            notices_of(self.config),
            START_NS,
            set(),
            [profile_of(self.config, line.profile) for line in self.config.lines_of(1)],
        )
        self.recorder = self.new_recorder({})

    def new_recorder(self, memories: dict[int, LineMemory]) -> Recorder:
        shared = Shared(
            self.config, self.card.notices, self.card, self.card, self.vault, lambda _line: ClockRecord(synced=True)
        )
        return Recorder(shared, memories)

    def off_hook(self, start_s: float, end_s: float, line: int = 1) -> Self:
        self.bits[0, line - 1, round(start_s * 1000) : round(end_s * 1000)] = True
        return self

    def on_hook(self, start_s: float, end_s: float, line: int = 1) -> Self:
        self.bits[0, line - 1, round(start_s * 1000) : round(end_s * 1000)] = False
        return self

    def ring(self, start_s: float, end_s: float, line: int = 1) -> Self:
        self.bits[1, line - 1, round(start_s * 1000) : round(end_s * 1000)] = True
        return self

    def reverse(self, start_s: float, end_s: float, line: int = 1) -> Self:
        self.bits[2, line - 1, round(start_s * 1000) : round(end_s * 1000)] = True
        return self

    def sound(self, at_s: float, samples: npt.NDArray[Any], line: int = 1) -> Self:
        """Adds a sound to the line's, truncated at its end."""
        audio, first = self.card._audio[line - 1], round(at_s * RATE_HZ)
        n = min(len(samples), len(audio) - first)
        audio[first : first + n] = np.clip(audio[first : first + n] + samples[:n], -32768, 32767).astype(np.int16)
        return self

    def step(self, batch_slots: int) -> bool:
        """Feeds one batch; False at the end."""
        batch = self.card.next(batch_slots)
        if batch is not None:
            self.recorder.follow(1, batch)
            self.followed.append(batch)
        return batch is not None

    def learnt(self, when: str) -> None:
        """Marks line 1 as learnt."""
        self.recorder.update_learned({1: Learned(learned_at=when)})

    def restart(self) -> None:
        """Continues with another recorder: the lines' state from its encoding, the detectors by replaying audio."""
        raw = msgspec.msgpack.encode(self.recorder.memories())
        self.recorder = self.new_recorder(msgspec.msgpack.decode(raw, type=dict[int, LineMemory]))
        for batch in self.followed:
            self.recorder.restore_detectors(1, batch)

    def gap(self, from_s: float, to_s: float, batch_slots: int = 25) -> Self:
        """Runs up to `to_s` with capture dead from `from_s` on: one gap, without any levels of that time."""
        while self.card._position * SLOT_FRAMES < from_s * RATE_HZ and self.step(batch_slots):
            pass
        first = last = self.card.next(batch_slots)
        assert first is not None
        while self.card._position * SLOT_FRAMES < to_s * RATE_HZ and (batch := self.card.next(batch_slots)) is not None:
            last = batch
        assert last is not None
        frames = last.frame + last.frames - first.frame
        gap = gap_batch(len(first.hook), first.seq, first.frame, frames, first.mono_ns, first.utc_ns, "capture_restart")
        self.recorder.follow(1, gap)
        self.followed.append(gap)
        return self

    def tell(self, batch_slots: int = 25) -> Kept:
        """Runs to the end, in batches like those of a replay."""
        while self.step(batch_slots):
            pass
        return self.vault
