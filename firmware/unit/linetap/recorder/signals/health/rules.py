# SPDX-License-Identifier: Apache-2.0
"""When a line is ill, and when it is well again: half a second of a card against its limits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from linetap.recorder.signals.health.block import F32, HUM_SECONDS, SECONDS, Block, Lines
from linetap.recorder.signals.health.limits import Limits

LASTING = (
    "line_cut", "line_short", "line_reversed", "battery_low", "battery_24v", "short_loop", "silent_off_hook",
    "sound_on_hook", "hum", "stuck_off_hook",
)  # fmt: skip
ON_HOOK_S = 30.0  # over so long it is asked how much of it had a sound
REST_SINKS_V = 0.01  # a block: what a line has at rest is its highest voltage of the last minutes


class Use(NamedTuple):
    """What the call table says of this half second, (lines,): neither `off` nor `on` is a line that changed in it."""

    off: Lines
    on: Lines
    active: Lines  # a voice or a digit was heard
    noticed: Lines  # a notice is played
    audible: Lines  # its audio is that of the line


def seconds() -> F32:
    """(troubles, 1): for how long a block speaks."""
    return np.array([[HUM_SECONDS if name == "hum" else SECONDS] for name in LASTING], np.float32)


def lasts(limits: Limits) -> F32:
    """(troubles, lines): how long each must have been."""
    return np.stack([
        limits.cut_s, limits.short_s, limits.reversed_s, limits.battery_s, limits.battery_s, limits.short_loop_s,
        limits.silent_s, np.full_like(limits.silent_s, SECONDS), limits.hum_s, limits.stuck_s,
    ])  # fmt: skip


def sink(rest_v: F32, block: Block, use: Use, limits: Limits) -> F32:
    """The voltage that each line has at rest, from what it was."""
    volts = np.abs(block.volts)
    at_rest = block.still & use.on & (volts >= limits.cut_v)
    rest: F32 = np.where(at_rest, np.maximum(volts, rest_v - REST_SINKS_V), rest_v)
    return rest


def sound(block: Block, limits: Limits) -> Lines:
    """Somebody, or the exchange: neither a line's noise nor hum."""
    found: Lines = block.level_dbm0 >= np.maximum(limits.sound_dbm0, block.hum_dbm0 + limits.margin_db)
    return found


def sounding(share: F32, sound: Lines, block: Block, use: Use, limits: Limits, rest_v: F32) -> F32:
    """How much of the last half minute on-hook had a sound, from what it was; a hook that is seen begins it anew."""
    dropped = block.still & (np.abs(block.volts) < rest_v - limits.short_loop_drop_v)  # told as a short loop
    known = use.on & block.calm & use.audible & ~use.noticed & ~dropped
    moved: F32 = share + np.float32(SECONDS / ON_HOOK_S) * (sound - share)
    now: F32 = np.where(known, moved, share)
    return np.where(use.off, np.float32(0), now)


def conditions(block: Block, use: Use, limits: Limits, sound: Lines, rest_v: F32, share: F32) -> tuple[Lines, Lines]:
    """(ill, well), each (troubles, lines); what is neither leaves things as they are."""
    rows = [*_of_voltage(block, use, limits, sound, rest_v), *_of_audio(block, use, limits, share)]
    return np.stack([ill for ill, _ in rows]), np.stack([well for _, well in rows])


def _of_voltage(block: Block, use: Use, limits: Limits, sound: Lines, rest_v: F32) -> list[tuple[Lines, Lines]]:
    """Where there is no meter, every one of them is neither."""
    still, volts = block.still, np.abs(block.volts)
    quiet = ~sound
    cut = still & (volts < limits.cut_v)
    fed = block.metered & ~(still & (volts < limits.cut_v + limits.margin_v))  # one that rings has a battery
    alive = still & ~cut
    at_rest = alive & use.on
    right = (block.volts > 0) == limits.reversed
    pbx = (volts >= limits.pbx_low_v) & (volts <= limits.pbx_high_v) & ~limits.on_hook_known
    # On a short loop that was not learnt the HOOK pin still says on-hook: there is a voice, and a drop of some volts.
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
    cut = block.still & (np.abs(block.volts) < limits.cut_v)  # told already; nothing can be heard on it
    level, hum = block.level_dbm0, block.hum_dbm0
    known = block.hum_known & use.audible
    return [
        (
            use.off & ~cut & (level < limits.silent_dbm0) & ~use.noticed & use.audible,
            (level >= limits.silent_dbm0 + limits.margin_db) | cut,
        ),
        (use.on & (share >= limits.on_hook_share), use.off | (share < limits.on_hook_share / 3)),
        # Under speech nothing is said of it; music has parts at the mains' harmonics, but never little else.
        (
            known & (hum >= limits.hum_dbm0) & (level <= hum + limits.hum_alone_db),
            known & (hum < limits.hum_dbm0 - limits.margin_db),
        ),
        (use.off & ~cut & ~use.active, use.on | use.active),
    ]
