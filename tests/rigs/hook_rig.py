# SPDX-License-Identifier: Apache-2.0
"""A line's levels for the hook detector: made of runs, or as a comparator at a threshold sees a voltage."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from linetap.config.profile import KR_PSTN, Profile
from linetap.recorder.signals.events import Event
from linetap.recorder.signals.hook.hookline import FRAMES_PER_MS, HookLine
from linetap.ring import I16, NO_VOLTS, SLOT_MS, Bits

ON, OFF = 0, 1  # hook bits: on-hook, off-hook
MS = FRAMES_PER_MS
BATTERY, SPEAKING, DEAD = -4800, -800, 0  # 0.01 V


def bits(*runs: tuple[int, int]) -> Bits:
    """Runs of (value, milliseconds)."""
    return np.concatenate([np.full(ms, value, np.bool_) for value, ms in runs])


def volts(*runs: tuple[int, int]) -> I16:
    """Runs of (0.01 V, milliseconds), as the meter tells them: at the end of each slot."""
    return np.concatenate([np.full(ms, value, np.int16) for value, ms in runs])[SLOT_MS - 1 :: SLOT_MS]


def meter(hook: Bits) -> I16:
    """The voltages of a healthy line."""
    return np.where(hook, np.int16(SPEAKING), np.int16(BATTERY))[SLOT_MS - 1 :: SLOT_MS]


def follow(
    hook: Bits,
    ring: Bits | None = None,
    polarity: Bits | None = None,
    line_volts: I16 | None = None,
    cuts: list[int] | None = None,
    profile: Profile = KR_PSTN,
) -> list[Event]:
    """Events of the whole (whole slots), fed in the pieces that `cuts` (slots) make of it; the state is encoded
    between the pieces. Without `line_volts` there is no meter.
    """
    whole = -(-len(hook) // SLOT_MS) * SLOT_MS
    hook = np.pad(hook, (0, whole - len(hook)), "edge")
    ring = np.zeros(whole, np.bool_) if ring is None else np.pad(ring, (0, whole - len(ring)))
    polarity = np.zeros(whole, np.bool_) if polarity is None else np.pad(polarity, (0, whole - len(polarity)), "edge")
    slots = whole // SLOT_MS
    words = np.full(slots, NO_VOLTS, np.int16) if line_volts is None else line_volts
    words = np.pad(words, (0, slots - len(words)), "edge")
    line, events = HookLine(), []
    for a, b in pairwise([0, *sorted(cuts or []), slots]):
        ms = slice(a * SLOT_MS, b * SLOT_MS)
        events += line.follow(hook[ms], ring[ms], polarity[ms], words[a:b], a * SLOT_MS * MS, profile)
        line = msgspec.msgpack.decode(msgspec.msgpack.encode(line), type=HookLine)
    return sorted(events, key=lambda event: event.order)


def told(events: list[Event]) -> list[tuple[str, int]]:
    return [(event.name, event.at // MS) for event in events]


def digits(events: list[Event]) -> list[str]:
    return [event.text for event in events if event.name == "digit"]


def named(events: list[Event], *names: str) -> list[Event]:
    return [event for event in events if event.name in names]


def ringing_volts(
    ms: int, hz: float, rms: float, phase: float = 0.0, battery: float = -48.0
) -> npt.NDArray[np.float64]:
    """Volts (ms,), one a millisecond."""
    turns: npt.NDArray[np.float64] = hz * np.arange(ms) / 1000 + phase
    return np.asarray(battery + rms * 2**0.5 * np.sin(2 * np.pi * turns))


def comparator(line_volts: npt.NDArray[np.float64], threshold: float = 21.0) -> Bits:
    return np.abs(line_volts) < threshold
