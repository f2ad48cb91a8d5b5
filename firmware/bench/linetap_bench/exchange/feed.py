# SPDX-License-Identifier: Apache-2.0
"""The exchange's feed of the lines: audio rendered ahead of the sound card, levels ahead of the meter."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from linetap.board.wires import Wires
from linetap.ring import I16, RATE_HZ
from linetap_bench.exchange.timeline import Timeline
from linetap_bench.script.timing import PER_MS
from linetap_core.clock import NS_PER_MS, NS_PER_S

BLOCK = 80 * PER_MS
AUDIO_AHEAD = 3 * RATE_HZ  # rendered; a busy machine catches up in between
LEVELS_AHEAD_MS = 500  # beyond any stall that leaves the audio whole
LEVELS_STEP_MS = 100
SHIFT_TOLERATED_MS = 1  # below this the clock's estimate is let wander
ANCHOR_LOOKS = 50  # half a second of periods
NEVER_MS = 1 << 40
TAPS = 24  # a phase of the interpolator


class Interpolator:
    """8 kHz to `factor` x 8 kHz, streaming: a polyphase low-pass at 3.9 kHz. Delays by TAPS / 2 samples (1.5 ms)."""

    def __init__(self, factor: int, lines: int) -> None:
        from scipy.signal import firwin  # an exchange at 8 kHz needs none

        taps = firwin(TAPS * factor, 3900, fs=RATE_HZ * factor, window=("kaiser", 7.0)) * factor
        self._phases: npt.NDArray[np.float64] = taps.reshape(TAPS, factor)[::-1]
        self._past = np.zeros((lines, TAPS - 1))

    def push(self, samples: I16) -> I16:
        """int16 (lines, n) -> int16 (lines, n * factor)."""
        held = np.concatenate([self._past, samples], axis=1)
        self._past = held[:, -(TAPS - 1) :]
        wave = sliding_window_view(held, TAPS, axis=1) @ self._phases
        made: I16 = np.clip(np.rint(wave.reshape(len(samples), -1)), -32768, 32767).astype(np.int16)
        return made


class AudioFeed:
    """Lines on-hook until `begin`, then the script. Positions are samples at 8 kHz since the feed was created."""

    def __init__(self, idle: Timeline, timeline: Timeline, factor: int) -> None:
        self._idle, self._timeline = idle, timeline
        self._factor = factor
        self._interpolator = Interpolator(factor, len(timeline.lines)) if factor > 1 else None
        self._blocks: deque[I16] = deque()
        self._used = 0  # of the first block, at the cable's rate
        self._rendered = 0
        self._taken = 0
        self.begins_at: int | None = None

    def begin(self) -> int:
        """Appends the script to the rendered audio; returns the position of its sample 0."""
        self.begins_at = self._rendered
        return self._rendered

    def take(self, frames: int) -> I16:
        """The next int16 (lines, frames) at the cable's rate."""
        parts: list[I16] = [np.zeros((len(self._timeline.lines), 0), np.int16)] if frames == 0 else []
        while frames > 0:
            if not self._blocks:
                self._render()
            part = self._blocks[0][:, self._used : self._used + frames]
            parts.append(part)
            frames -= part.shape[1]
            self._used += part.shape[1]
            self._taken += part.shape[1]
            if self._used == self._blocks[0].shape[1]:
                self._blocks.popleft()
                self._used = 0
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def render_ahead(self) -> None:
        """Renders one block, unless there is enough."""
        ahead = AUDIO_AHEAD if self.begins_at is not None else 2 * BLOCK  # the beginning need not wait for long
        if self._rendered - self._taken // self._factor < ahead:
            self._render()

    def _render(self) -> None:
        if self.begins_at is None:
            block = self._idle.audio(self._rendered, BLOCK)
        else:
            block = self._timeline.audio(self._rendered - self.begins_at, BLOCK)
        self._rendered += BLOCK
        self._blocks.append(block if self._interpolator is None else self._interpolator.push(block))


class Anchor:
    """When sample 0 is heard, by CLOCK_MONOTONIC: the earliest estimate of the last looks, since a wake-up can only
    be late."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._looks: deque[int] = deque(maxlen=ANCHOR_LOOKS)

    def look(self, consumed: int, now_ns: int) -> int:
        """`consumed` samples had left the sound card's buffer before `now_ns`; returns the nanoseconds of sample 0."""
        self._looks.append(now_ns - consumed * NS_PER_S // self._rate_hz)
        return min(self._looks)

    def forget(self) -> None:
        self._looks.clear()


class LevelFeed:
    """Keeps the wires filled ahead, so that a level is read together with its sound."""

    def __init__(self, wires: Wires, timeline: Timeline, now_ns: int) -> None:
        self._wires, self._timeline = wires, timeline
        self._shift_ms = NEVER_MS
        self._until_ms = now_ns // NS_PER_MS - LEVELS_STEP_MS

    def update(self, script_ns: int | None, now_ns: int) -> None:
        """`script_ns`: when the script's start is heard, None until that is known. Writes the missing levels."""
        now_ms = now_ns // NS_PER_MS
        shift_ms = NEVER_MS if script_ns is None else round(script_ns / NS_PER_MS)
        if abs(shift_ms - self._shift_ms) > SHIFT_TOLERATED_MS:
            self._shift_ms = shift_ms
            self._until_ms = now_ms + 1
        target = now_ms + LEVELS_AHEAD_MS
        if target - self._until_ms < LEVELS_STEP_MS:
            return
        self._until_ms = max(self._until_ms, now_ms - LEVELS_STEP_MS)
        self._wires.put(
            self._until_ms, *self._timeline.levels(self._until_ms - self._shift_ms, target - self._until_ms)
        )
        self._until_ms = target
