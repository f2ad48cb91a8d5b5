# SPDX-License-Identifier: Apache-2.0
"""When a line has a fault and when it is well again: half a second of a card against the limits of its lines.

The limits are each line's profile, or what was learnt of the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linetap.config.profile import Profile
from linetap.learned import Learned
from linetap.recorder.signals.health.block import F32, HUM_SECONDS, SECONDS, Block, Lines

LASTING = (
    "line_cut", "line_short", "line_reversed", "battery_low", "battery_24v", "short_loop", "silent_off_hook",
    "sound_on_hook", "hum", "stuck_off_hook",
)  # fmt: skip
ON_HOOK_S = 30.0  # the time over which the share of sound is measured
REST_SINKS_V = 0.01  # a block: the voltage at rest is the highest of the last minutes


class Limits:
    """Arrays (lines,), named as in HealthNumbers."""

    def __init__(self, profiles: Sequence[Profile], learned: Sequence[Learned | None]) -> None:
        health = [profile.health for profile in profiles]

        def each(name: str) -> F32:
            return np.array([getattr(numbers, name) for numbers in health], np.float32)

        def known(name: str) -> tuple[Lines, F32]:
            found = [getattr(of_line, name) if of_line else None for of_line in learned]
            return np.array([x is not None for x in found], np.bool_), np.array([x or 0.0 for x in found], np.float32)

        self.cut_v, self.cut_s, self.steady_v, self.hook_v = (
            each("cut_v"),
            each("cut_s"),
            each("steady_v"),
            each("hook_v"),
        )
        self.short_s, self.reversed_s, self.battery_s = each("short_s"), each("reversed_s"), each("battery_s")
        self.short_loop_s, self.short_loop_drop_v = each("short_loop_s"), each("short_loop_drop_v")
        self.sound_dbm0, self.silent_dbm0, self.silent_s = each("sound_dbm0"), each("silent_dbm0"), each("silent_s")
        self.on_hook_share = each("on_hook_share")
        self.hum_dbm0, self.hum_alone_db, self.hum_s = each("hum_dbm0"), each("hum_alone_db"), each("hum_s")
        self.stuck_s = each("stuck_s")
        self.clip_at: NDArray[np.int32] = each("clip_at").astype(np.int32)
        self.clip_share, self.clip_times = each("clip_share"), each("clip_times")
        self.faint_dbm0, self.faint_above_db = each("faint_dbm0"), each("faint_above_db")
        self.faint_s, self.faint_loud_s = each("faint_s"), each("faint_loud_s")
        self.margin_db, self.margin_v, self.clear_s = each("clear_margin_db"), each("clear_margin_v"), each("clear_s")
        self.on_hook_known, on_hook_v = known("on_hook_v")
        self.off_hook_known, off_hook_v = known("off_hook_v")
        self.polarity_known, reversed_ = known("reversed")
        self.reversed: Lines = reversed_ > 0
        self.short_v: F32 = np.where(self.off_hook_known, off_hook_v * each("short_share"), each("short_v"))
        low_v: F32 = np.where(self.on_hook_known, on_hook_v * each("battery_low_share"), each("battery_low_v"))
        self.battery_low_v = low_v
        self.pbx_low_v = np.array([numbers.battery_24v[0] for numbers in health], np.float32)
        self.pbx_high_v = np.array([numbers.battery_24v[1] for numbers in health], np.float32)


class Use(NamedTuple):
    """The lines' use in this half second, (lines,): a line that changed in it is neither `off` nor `on`."""

    off: Lines
    on: Lines
    active: Lines  # a voice or a digit was heard
    noticed: Lines  # a notice is played
    audible: Lines  # its audio is that of the line


def seconds() -> F32:
    """(faults, 1): the time that a block stands for."""
    return np.array([[HUM_SECONDS if name == "hum" else SECONDS] for name in LASTING], np.float32)


def lasts(limits: Limits) -> F32:
    """(faults, lines): how long each condition must have held."""
    return np.stack([
        limits.cut_s, limits.short_s, limits.reversed_s, limits.battery_s, limits.battery_s, limits.short_loop_s,
        limits.silent_s, np.full_like(limits.silent_s, SECONDS), limits.hum_s, limits.stuck_s,
    ])  # fmt: skip


def sink(rest_v: F32, block: Block, use: Use, limits: Limits) -> F32:
    """The voltage of each line at rest, from the one before."""
    volts = np.abs(block.volts)
    at_rest = block.still & use.on & (volts >= limits.cut_v)
    rest: F32 = np.where(at_rest, np.maximum(volts, rest_v - REST_SINKS_V), rest_v)
    return rest


def sound(block: Block, limits: Limits) -> Lines:
    """Whether there is a person's or the exchange's sound: neither line noise nor hum."""
    found: Lines = block.level_dbm0 >= np.maximum(limits.sound_dbm0, block.hum_dbm0 + limits.margin_db)
    return found


def sounding(share: F32, sound: Lines, block: Block, use: Use, limits: Limits, rest_v: F32) -> F32:
    """The share of the last half minute on-hook with a sound, from the one before; off-hook resets it."""
    dropped = block.still & (np.abs(block.volts) < rest_v - limits.short_loop_drop_v)  # reported as a short loop
    known = use.on & block.calm & use.audible & ~use.noticed & ~dropped
    moved: F32 = share + np.float32(SECONDS / ON_HOOK_S) * (sound - share)
    now: F32 = np.where(known, moved, share)
    return np.where(use.off, np.float32(0), now)


def conditions(block: Block, use: Use, limits: Limits, sound: Lines, rest_v: F32, share: F32) -> tuple[Lines, Lines]:
    """(ill, well), each (faults, lines); where neither holds, the state stays."""
    rows = [*_of_voltage(block, use, limits, sound, rest_v), *_of_audio(block, use, limits, share)]
    return np.stack([ill for ill, _ in rows]), np.stack([well for _, well in rows])


def _of_voltage(block: Block, use: Use, limits: Limits, sound: Lines, rest_v: F32) -> list[tuple[Lines, Lines]]:
    """Without a meter none of these holds."""
    still, volts = block.still, np.abs(block.volts)
    quiet = ~sound
    cut = still & (volts < limits.cut_v)
    fed = block.metered & ~(still & (volts < limits.cut_v + limits.margin_v))  # a ringing line has a battery
    alive = still & ~cut
    at_rest = alive & use.on
    right = (block.volts > 0) == limits.reversed
    pbx = (volts >= limits.pbx_low_v) & (volts <= limits.pbx_high_v) & ~limits.on_hook_known
    # On a short loop that was not learnt the HOOK pin still shows on-hook: a voice, and a drop of some volts.
    lifted = use.off | (use.on & (volts < rest_v - limits.short_loop_drop_v))
    high = alive & (volts >= limits.hook_v)
    return [
        (cut, fed),
        (
            alive & use.off & (volts < limits.short_v) & quiet,
            alive & (sound | use.on | (volts >= limits.short_v + limits.margin_v)),
        ),
        (at_rest & limits.polarity_known & ~right, at_rest & (right | ~limits.polarity_known)),
        (
            at_rest & (volts < limits.battery_low_v) & quiet & ~pbx,
            at_rest & ((volts >= limits.battery_low_v + limits.margin_v) | pbx),
        ),
        (at_rest & pbx & quiet, (at_rest & ~pbx) | limits.on_hook_known),
        (high & lifted & sound, limits.off_hook_known | (alive & use.off & (volts < limits.hook_v))),
    ]


def _of_audio(block: Block, use: Use, limits: Limits, share: F32) -> list[tuple[Lines, Lines]]:
    cut = block.still & (np.abs(block.volts) < limits.cut_v)  # reported already; nothing can be heard on it
    level, hum = block.level_dbm0, block.hum_dbm0
    known = block.hum_known & use.audible
    return [
        (
            use.off & ~cut & (level < limits.silent_dbm0) & ~use.noticed & use.audible,
            (level >= limits.silent_dbm0 + limits.margin_db) | cut,
        ),
        (use.on & (share >= limits.on_hook_share), use.off | (share < limits.on_hook_share / 3)),
        # Under speech it is not judged; music has components at the mains' harmonics, but never little else.
        (
            known & (hum >= limits.hum_dbm0) & (level <= hum + limits.hum_alone_db),
            known & (hum < limits.hum_dbm0 - limits.margin_db),
        ),
        (use.off & ~cut & ~use.active, use.on | use.active),
    ]
