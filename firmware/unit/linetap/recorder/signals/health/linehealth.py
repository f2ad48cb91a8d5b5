# SPDX-License-Identifier: Apache-2.0
"""Detects the faults of all lines of a card, half a second at a time, and faults of speech over whole calls.

Each fault has a condition that must have held for a time, and a condition that clears it. Batches are only collected
until half a second is complete, so that frequent reading of the ring costs almost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from linetap.config.profile import Profile
from linetap.config.schema import Line
from linetap.learned import Learned
from linetap.recorder.signals.health import rules
from linetap.recorder.signals.health.rules import (
    F32,
    FRAMES,
    LASTING,
    SECONDS,
    SLOTS,
    Block,
    BlockMeasure,
    FaultLimits,
    Lines,
    LineUse,
)
from linetap.ring import I16, SLOT_FRAMES, SLOT_MS, Batch, Bits

ROWS = 8
_CLIPS, _CLIPPING, _FLOOR, _FAINT, _LOUD, _TIME, _CLIPPED, _TOO_QUIET = range(ROWS)
_NO_FLOOR = 100.0
CODES = (*LASTING[:-1], "clipped", "too_quiet", LASTING[-1])  # the order in which they are reported
_MS = SLOTS * SLOT_MS
_SECONDS = rules.seconds()


class CallHealth:
    """Clipped and too quiet speech on all lines of a card, which only a whole call can show."""

    def __init__(self, lines: int) -> None:
        self._state: F32 = np.zeros((ROWS, lines), np.float32)

    def follow(self, block: Block, limits: FaultLimits, talking: Lines, over: Lines) -> None:
        """Adds a block. `talking`: lines in use throughout, with no sound but speech; `over`: no longer in use."""
        state, level = self._state, block.level_dbm0
        fresh = talking & (state[_TIME] == 0)
        state[_FLOOR, fresh] = _NO_FLOOR
        state[_TIME, talking] += SECONDS
        clips = talking & (block.clipped > limits.clip_share)
        state[_CLIPS] += clips & (state[_CLIPPING] == 0)
        state[_CLIPPING] = np.where(talking, clips, state[_CLIPPING])
        state[_FLOOR] = np.where(talking, np.minimum(state[_FLOOR], level), state[_FLOOR])
        loud = talking & (level >= limits.faint_dbm0)
        state[_LOUD, loud] += SECONDS
        state[_FAINT, talking & ~loud & (level >= state[_FLOOR] + limits.faint_above_db)] += SECONDS
        self._judge(limits, over)

    def _judge(self, limits: FaultLimits, over: Lines) -> None:
        """Judges the calls: clipping is reported at once and cleared by a whole call without it; too quiet speech is
        reported at the call's end.
        """
        state = self._state
        state[_CLIPPED, state[_CLIPS] >= limits.clip_times] = 1
        spoken = state[_LOUD] >= limits.faint_loud_s
        state[_CLIPPED, over & spoken & (state[_CLIPS] * 2 < limits.clip_times)] = 0
        state[_TOO_QUIET, over & ~spoken & (state[_FAINT] >= limits.faint_s)] = 1
        state[_TOO_QUIET, over & spoken] = 0
        state[:_CLIPPED, over] = 0

    @property
    def clipped(self) -> Lines:
        found: Lines = self._state[_CLIPPED] > 0
        return found

    @property
    def too_quiet(self) -> Lines:
        found: Lines = self._state[_TOO_QUIET] > 0
        return found


class _Piece(NamedTuple):
    audio: I16
    volts: I16
    hook: Bits
    ring: Bits
    noticed: Bits  # (lines, slots)


class Reading(NamedTuple):
    """The last whole half second of a line.

    `on_hook` None: the hook changed; `volts` None: unknown or not constant; `level_dbm0` None: a notice was on the
    line, or its audio is not captured.
    """

    on_hook: bool | None
    volts: float | None
    level_dbm0: float | None


class LineHealth:
    """The faults of the lines of one card."""

    def __init__(self, lines: Sequence[Line], profiles: Sequence[Profile], learned: Mapping[int, Learned]) -> None:
        """The lines of one card and their profiles, in the order of its ring; `learned` by line number."""
        self._lines, self._profiles = list(lines), list(profiles)
        self._audible: Lines = np.array([not line.exempt for line in lines], np.bool_)  # an exempt line has zeros
        self._meter = BlockMeasure(len(lines))
        self._ill_s, self._well_s, self._ill = np.zeros((3, len(LASTING), len(lines)), np.float32)
        self._rest_v: F32 = np.zeros(len(lines), np.float32)
        self._share: F32 = np.zeros(len(lines), np.float32)  # share of the time on-hook with a sound
        self._was_used: Lines = np.zeros(len(lines), np.bool_)
        self._calls = CallHealth(len(lines))
        self.learn(learned)
        self._used_all: Lines = np.ones(len(lines), np.bool_)
        self._used_any: Lines = np.zeros(len(lines), np.bool_)
        self._active: Lines = np.zeros(len(lines), np.bool_)
        self._waiting: list[_Piece] = []
        self._slots = 0
        self._read: tuple[Block, LineUse] | None = None

    def learn(self, learned: Mapping[int, Learned]) -> None:
        """Judges by these measurements from now on; a fault clears once the line is sound by the new measurements."""
        self._limits = FaultLimits(self._profiles, [learned.get(line.number) for line in self._lines])
        self._lasts = rules.lasts(self._limits)

    def follow(self, batch: Batch, in_use: Lines, active: Lines | None = None) -> None:
        """Follows a batch. `in_use` (lines,): the loop is closed; `active` (lines,): a voice or a digit in this batch.

        A line long in use without voice and digit is stuck. `active` None: no line is reported as stuck.
        """
        if batch.gap is not None:
            self._drop()
            return
        self._waiting.append(_Piece(batch.audio, batch.volts, batch.hook, batch.ring, (batch.notice != 0).T))
        self._slots += batch.frames // SLOT_FRAMES
        present = True if active is None else active
        self._used_all &= in_use
        self._used_any |= in_use
        self._active |= present
        if self._slots >= SLOTS:
            self._judge_waiting()
            if self._slots:
                self._used_all &= in_use
                self._used_any |= in_use
                self._active |= present

    def troubles(self, index: int) -> list[str]:
        """Codes of the faults of the line at `index`, in the order of CODES."""
        codes = {code for code, ill in zip(LASTING, self._ill[:, index].tolist(), strict=True) if ill}
        if self._calls.clipped[index]:
            codes.add("clipped")
        if self._calls.too_quiet[index]:
            codes.add("too_quiet")
        return [code for code in CODES if code in codes]

    def reading(self, index: int) -> Reading | None:
        """The reading of the line at `index`; None before the first half second, and after a gap."""
        if self._read is None:
            return None
        block, use = self._read
        on, off, audible = bool(use.on[index]), bool(use.off[index]), bool(use.audible[index] & ~use.noticed[index])
        return Reading(
            on if on or off else None,
            float(block.volts[index]) if block.still[index] else None,
            float(block.level_dbm0[index]) if audible else None,
        )

    def _drop(self) -> None:
        """Discards an incomplete half second at a gap in the audio."""
        self._waiting, self._slots, self._read = [], 0, None
        self._begin()

    def _begin(self) -> None:
        """Starts new arrays: the last half second's `Use` keeps its arrays."""
        lines = len(self._lines)
        self._used_all, self._used_any, self._active = (np.full(lines, now, np.bool_) for now in (True, False, False))

    def _judge_waiting(self) -> None:
        """Judges all complete half seconds; the remainder waits."""
        piece = self._waiting[0]
        if len(self._waiting) > 1:
            piece = _Piece(*(np.concatenate(parts, axis=1) for parts in zip(*self._waiting, strict=True)))
        while self._slots >= SLOTS:
            self._half_second(piece)
            piece = _Piece(
                piece.audio[:, FRAMES:], piece.volts[:, SLOTS:], piece.hook[:, _MS:], piece.ring[:, _MS:],
                piece.noticed[:, SLOTS:],
            )  # fmt: skip
            self._slots -= SLOTS
        self._waiting = [piece] if self._slots else []
        self._begin()

    def _half_second(self, piece: _Piece) -> None:
        limits = self._limits
        block = self._meter.read(
            piece.audio[:, :FRAMES], piece.volts[:, :SLOTS], piece.hook[:, :_MS], piece.ring[:, :_MS],
            limits.steady_v, limits.clip_at,
        )  # fmt: skip
        noticed = piece.noticed[:, :SLOTS].any(axis=1)
        use = LineUse(self._used_all, ~self._used_any, self._active, noticed, self._audible)
        self._read = block, use
        sound = rules.sound(block, limits)
        self._share[:] = rules.sounding(self._share, sound, block, use, limits, self._rest_v)
        ill, well = rules.conditions(block, use, limits, sound, self._rest_v, self._share)
        self._rest_v[:] = rules.rest_voltage(self._rest_v, block, use, limits)
        self._last(ill, well)
        over = self._was_used & use.on
        self._was_used = (self._was_used | use.off) & ~use.on
        self._calls.follow(block, limits, use.off & block.calm & ~noticed & self._audible, over)

    def _last(self, ill: Lines, well: Lines) -> None:
        self._ill_s[:] = np.where(well, 0, self._ill_s + _SECONDS * ill)
        self._well_s[:] = np.where(ill, 0, self._well_s + _SECONDS * well)
        stays = (self._ill > 0) & (self._well_s < self._limits.clear_s)
        self._ill[:] = (self._ill_s >= self._lasts) | stays
