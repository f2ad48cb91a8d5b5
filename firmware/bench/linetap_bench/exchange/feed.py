# SPDX-License-Identifier: Apache-2.0
"""The exchange's feed of the lines: audio rendered ahead for the sound card, levels ahead for the meter."""

from __future__ import annotations

import queue
import threading
from collections import deque
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from linetap.board.wires import Wires
from linetap.ring import I16, RATE_HZ, Bits
from linetap_bench.exchange.linetimeline import with_leaks
from linetap_bench.exchange.meterlines import MeterVolts
from linetap_bench.exchange.releasing import Released
from linetap_bench.exchange.timeline import Timeline
from linetap_bench.script.timing import PER_MS
from linetap_core.clock import NS_PER_MS, NS_PER_S
from linetap_core.durable.files import replace_in_ram

BLOCK = 80 * PER_MS
AUDIO_AHEAD = 3 * RATE_HZ  # rendered ahead; a busy machine catches up in this time
LEVELS_AHEAD_MS = 500  # longer than any stall that leaves the audio whole
LEVELS_STEP_MS = 100
SHIFT_TOLERATED_MS = 1  # smaller changes of the clock's estimate are ignored
ANCHOR_LOOKS = 50  # half a second of periods
NEVER_MS = 1 << 40
TAPS = 24  # per phase of the interpolator


class Interpolator:
    """8 kHz to `factor` x 8 kHz, streaming: a polyphase low-pass at 3.9 kHz. Delays by TAPS / 2 samples (1.5 ms)."""

    def __init__(self, factor: int, lines: int) -> None:
        from scipy.signal import firwin  # an exchange at 8 kHz does not interpolate

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
    """Audio of lines that are on-hook until `begin`, and then follow the script. Positions are samples at 8 kHz since
    the feed was created.
    """

    def __init__(self, idle: Timeline, timeline: Timeline, factor: int) -> None:
        self._idle, self._timeline = idle, timeline
        self._factor = factor
        self._interpolator = Interpolator(factor, len(timeline.lines)) if factor > 1 else None
        self._blocks: deque[I16] = deque()  # (2, lines, n): the script, and the same with leaks
        self._used = 0  # of the first block, at the cable's rate
        self._rendered = 0
        self._taken = 0
        self.begins_at: int | None = None

    def begin(self) -> int:
        """Appends the script to the rendered audio; returns the position of its sample 0."""
        self.begins_at = self._rendered
        return self._rendered

    def take(self, frames: int) -> tuple[I16, I16]:
        """Returns the next frames of the script, and the same with the leaks between lines: int16 (lines, frames), at
        the cable's rate.
        """
        parts: list[I16] = [np.zeros((2, len(self._timeline.lines), 0), np.int16)] if frames == 0 else []
        while frames > 0:
            if not self._blocks:
                self._render()
            part = self._blocks[0][:, :, self._used : self._used + frames]
            parts.append(part)
            frames -= part.shape[2]
            self._used += part.shape[2]
            self._taken += part.shape[2]
            if self._used == self._blocks[0].shape[2]:
                self._blocks.popleft()
                self._used = 0
        script, leaked = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
        return script, leaked

    def render_ahead(self) -> None:
        """Renders one block if less than AUDIO_AHEAD is rendered."""
        ahead = AUDIO_AHEAD if self.begins_at is not None else 2 * BLOCK  # a short wait before the script
        if self._rendered - self._taken // self._factor < ahead:
            self._render()

    def _render(self) -> None:
        if self.begins_at is None:
            block = self._idle.audio(self._rendered, BLOCK)
        else:
            block = self._timeline.audio(self._rendered - self.begins_at, BLOCK)
        self._rendered += BLOCK
        if self._interpolator is not None:
            block = self._interpolator.push(block)
        self._blocks.append(np.stack([block, with_leaks(block.astype(np.float64))]))


class Anchor:
    """The time of sample 0 on the line, by CLOCK_MONOTONIC: the earliest estimate, since a wake-up can only be late."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._looks: deque[int] = deque(maxlen=ANCHOR_LOOKS)

    def advance(self, consumed: int, now_ns: int) -> int:
        """The nanoseconds of sample 0, if `consumed` samples had left the sound card's buffer by `now_ns`."""
        self._looks.append(now_ns - consumed * NS_PER_S // self._rate_hz)
        return min(self._looks)

    def forget(self) -> None:
        self._looks.clear()


class LevelFeed:
    """Keeps the wires filled ahead, so that the meter reads a level together with its sound. `metered`: the volts are
    those of a card with a meter.
    """

    def __init__(self, wires: Wires, timeline: Timeline, now_ns: int, metered: bool = False) -> None:
        self._wires, self._timeline = wires, timeline
        self._meter = MeterVolts([line.setup for line in timeline.lines]) if metered else None
        self._shift_ms = NEVER_MS
        self._until_ms = now_ns // NS_PER_MS - LEVELS_STEP_MS
        self._open = np.zeros(len(timeline.lines), np.bool_)  # loops held open by a contact

    @property
    def shift_ms(self) -> int:
        """The script's start in milliseconds of the wires."""
        return self._shift_ms

    def hold_open(self, loops: npt.NDArray[np.bool_], now_ns: int) -> None:
        """Opens these loops from now on, bool (lines,); levels already written ahead are replaced."""
        if (loops != self._open).any():
            self._open = loops
            self._until_ms = now_ns // NS_PER_MS + 1

    def update(self, script_ns: int | None, now_ns: int) -> None:
        """Writes the missing levels. `script_ns`: the time of the script's start on the line, None until known."""
        now_ms = now_ns // NS_PER_MS
        shift_ms = NEVER_MS if script_ns is None else round(script_ns / NS_PER_MS)
        if abs(shift_ms - self._shift_ms) > SHIFT_TOLERATED_MS:
            self._shift_ms = shift_ms
            self._until_ms = now_ms + 1
        target = now_ms + LEVELS_AHEAD_MS
        if target - self._until_ms < LEVELS_STEP_MS:
            return
        self._until_ms = max(self._until_ms, now_ms - LEVELS_STEP_MS)
        levels = self._timeline.levels(self._until_ms - self._shift_ms, target - self._until_ms)
        hook, ring, polarity, volts = self._opened(*levels)
        if self._meter is not None:
            volts = self._meter.measured(self._until_ms, hook, ring, volts)
        self._wires.put(self._until_ms, hook, ring, polarity, volts)
        self._until_ms = target

    def _opened(self, hook: Bits, ring: Bits, polarity: Bits, volts: I16) -> tuple[Bits, Bits, Bits, I16]:
        for row in np.flatnonzero(self._open):
            idle = round(self._timeline.lines[row].setup.on_hook_v * 100)
            hook[row] = False
            volts[row] = np.sign(volts[row]) * idle
        return hook, ring, polarity, volts


# --- The exchange's signal on each line, sample for sample, echo included: the reference for a recording --------------
# `line-NN.s16` (little-endian, the cable's rate, one for each line) and `exchange.json`: `rate_hz`, `lines`, `samples`,
# `start_mono_ns` (when sample 0 was heard, CLOCK_MONOTONIC), `script_sample` (where the script began), `anchors`
# ([sample, mono_ns] wherever the cable's clock jumped), `underruns`, `overruns`, `realtime` (without it JACK may skip a
# period without notifying either end of the cable), `releases` (openings of a loop, and the outcome of the call),
# `left_open` (lines whose loop is still open).


END_S = 30


class Played(msgspec.Struct, kw_only=True):
    rate_hz: int
    lines: list[int]
    samples: int = 0
    start_mono_ns: int = 0
    script_sample: int | None = None
    anchors: list[tuple[int, int]] = []
    underruns: int = 0
    overruns: int = 0
    realtime: bool = True
    releases: list[Released] = []  # by the card's contacts
    left_open: list[int] = []  # lines whose loop a contact still holds open at the end


class PlayedLog:
    """The log of played samples. Its own thread writes the files: a slow disk must not stop the exchange."""

    def __init__(self, folder: Path, played: Played) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._queue: queue.SimpleQueue[I16 | None] = queue.SimpleQueue()
        files = [path_of(folder, number).open("wb") for number in played.lines]
        self._thread = threading.Thread(target=self._write, args=(files,), name="played-log", daemon=True)
        self._thread.start()

    def add(self, block: I16) -> None:
        """Appends int16 (lines, n), which the caller must not change afterwards."""
        self._queue.put(block)

    def close(self, played: Played) -> None:
        self._queue.put(None)
        self._thread.join(END_S)
        replace_in_ram(self._folder / "exchange.json", msgspec.json.encode(played))

    def _write(self, files: list[IO[bytes]]) -> None:
        while (block := self._queue.get()) is not None:
            for file, samples in zip(files, block.astype("<i2"), strict=True):
                file.write(samples.tobytes())
        for file in files:
            file.close()


def path_of(folder: Path, number: int) -> Path:
    return folder / f"line-{number:02d}.s16"


def read_log(folder: Path) -> Played:
    return msgspec.json.decode((folder / "exchange.json").read_bytes(), type=Played)


def read_played(folder: Path) -> tuple[Played, dict[int, I16]]:
    """The log and the samples of each line."""
    played = read_log(folder)
    return played, {n: np.fromfile(path_of(folder, n), "<i2").astype(np.int16) for n in played.lines}
