# SPDX-License-Identifier: Apache-2.0
"""The types that a reader returns: whole slots, a gap, or a stretch of one line's past audio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linetap.ring.layout import GAP_CAUSES, GAP_OVERRUN, GAP_RESTART, I16, NS_PER_FRAME, SLOT_FRAMES, SLOT_MS, Bits


@dataclass(slots=True)
class Batch:
    """Consecutive whole slots, or one gap. Arrays are copies; lines are in the order of the card's line list.

    `hook`, `ring`, `polarity`: bool (lines, milliseconds); `volts`: int16 0.01 V (lines, slots); `notice` (tag) and
    `notice_frame` (the notice's frame at the slot's first sample; if negative, the number of samples before its
    start): (slots, lines); `audio`: int16 (lines, frames). In a gap, `gap` is the cause and the arrays are empty.
    """

    seq: int
    frame: int
    frames: int
    mono_ns: int
    utc_ns: int
    gap: str | None
    hook: Bits
    ring: Bits
    polarity: Bits
    volts: I16
    notice: npt.NDArray[np.uint32]
    notice_frame: npt.NDArray[np.int32]
    flags: npt.NDArray[np.uint32]
    audio: I16

    def utc_ns_at(self, frame: int) -> int:
        return self.utc_ns + (frame - self.frame) * NS_PER_FRAME


@dataclass(slots=True)
class Stretch:
    """A stretch of one line's audio; `gaps` are (frame, frames, cause), silent in `samples`."""

    samples: I16
    gaps: list[tuple[int, int, str]]


def unpack_bits(words: npt.NDArray[np.uint16]) -> Bits:
    """Unpacks ten-bit words (slots, lines), first millisecond lowest, to bool (lines, slots * 10)."""
    bits = (words[:, :, None] >> np.arange(SLOT_MS, dtype=np.uint16)) & 1
    return bits.transpose(1, 0, 2).reshape(words.shape[1], -1).astype(np.bool_)


def batch_of(slots: npt.NDArray[Any], seq: int) -> Batch:
    """A batch of the copied audio slots, without gaps among them, up to the first that is not contiguous."""
    follows = slots["frame"] == slots["frame"][0] + SLOT_FRAMES * np.arange(len(slots))
    slots = slots if follows.all() else slots[: int(np.argmin(follows))]
    return Batch(
        seq=seq,
        frame=int(slots["frame"][0]),
        frames=len(slots) * SLOT_FRAMES,
        mono_ns=int(slots["mono_ns"][0]),
        utc_ns=int(slots["utc_ns"][0]),
        gap=None,
        hook=unpack_bits(slots["hook"]),
        ring=unpack_bits(slots["ring"]),
        polarity=unpack_bits(slots["polarity"]),
        volts=slots["volts"].T,
        notice=slots["notice"],
        notice_frame=slots["notice_frame"],
        flags=slots["flags"],
        audio=slots["audio"].transpose(1, 0, 2).reshape(slots["audio"].shape[1], -1),
    )


def gap_batch(lines: int, seq: int, frame: int, frames: int, mono_ns: int, utc_ns: int, cause: str) -> Batch:
    no_bits = np.zeros((lines, 0), np.bool_)
    return Batch(
        seq, frame, frames, mono_ns, utc_ns, cause, no_bits, no_bits, no_bits, np.zeros((lines, 0), np.int16),
        np.zeros((0, lines), np.uint32), np.zeros((0, lines), np.int32), np.zeros(0, np.uint32),
        np.zeros((lines, 0), np.int16),
    )  # fmt: skip


def assemble(info: npt.NDArray[Any], audio: I16, valid: Bits, first: int, end: int) -> Stretch:
    """Joins slots into one array of samples, with silence and a named gap in place of missing audio."""
    plain = bool(valid.all()) and not bool((info["flags"] & (GAP_OVERRUN | GAP_RESTART)).any())
    start = int(info["frame"][0])
    if plain and start <= first and start + audio.size >= end:
        return Stretch(audio.reshape(-1)[first - start : end - start].copy(), [])
    samples = np.zeros(end - first, np.int16)
    gaps: list[tuple[int, int, str]] = []
    reached = first
    for i in range(len(info)):
        at, frames, flags = int(info["frame"][i]), int(info["frames"][i]), int(info["flags"][i])
        cause = next((text for flag, text in GAP_CAUSES.items() if flags & flag), None)
        if cause is None:
            frames = min(frames, audio.shape[1])  # a slot has no more, even if its header states more
        a, b = max(at, first), min(at + frames, end)
        if not valid[i] or b <= a:
            continue
        if a > reached:
            _add_gap(gaps, reached, a - reached, "ring_overtaken")
        if cause:
            _add_gap(gaps, a, b - a, cause)
        else:
            samples[a - first : b - first] = audio[i, a - at : b - at]
        reached = b
    if reached < end:
        _add_gap(gaps, reached, end - reached, "ring_overtaken")
    return Stretch(samples, gaps)


def _add_gap(gaps: list[tuple[int, int, str]], frame: int, frames: int, cause: str) -> None:
    if gaps and gaps[-1][2] == cause and gaps[-1][0] + gaps[-1][1] == frame:
        frame, frames = gaps[-1][0], gaps.pop()[1] + frames
    gaps.append((frame, frames, cause))
