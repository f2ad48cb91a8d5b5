# SPDX-License-Identifier: Apache-2.0
"""The conditions under which faults of a line begin and end: half a second of a card against the lines' limits.

The limits come from each line's profile, or from the learning of the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linetap.config.profile import Profile
from linetap.learned import Learned
from linetap.ring import I16, NO_VOLTS, RATE_HZ, SLOT_FRAMES, Bits
from linetap_core.codecs.g711 import POWER_0DBM0

# --- Half a second of a card: voltages, levels, hum and clipping of all lines at once. No judgement here --------------


SLOTS = 50
FRAMES = SLOTS * SLOT_FRAMES
SECONDS = FRAMES / RATE_HZ
HUM_TURNS = 8  # blocks between two measurements of a line's hum, which is constant
HUM_SECONDS = HUM_TURNS * SECONDS
HARMONICS = 4
MAINS_HZ = (50.0, 60.0)
NOTHING_DBM0 = -120.0

F32 = NDArray[np.float32]
Lines = NDArray[np.bool_]
_POWER_0DBM0_DB = np.float32(10 * np.log10(POWER_0DBM0))


@dataclass(slots=True)
class Block:
    """Measurements of half a second, arrays (lines,). Numbers that the masks mark as unknown are meaningless."""

    metered: Lines  # the voltage is known throughout
    still: Lines  # it is known and constant: no ringing, no pulse, no flash
    calm: Lines  # without noise from hook or ringing
    volts: F32  # its sign is the polarity
    level_dbm0: F32  # of all but DC
    clipped: F32  # share of the samples
    hum_dbm0: F32  # as last measured
    hum_known: Lines  # it was measured in this block


def dbm0(power: F32) -> F32:
    """Mean squares of int16 samples in dBm0."""
    level: F32 = 10 * np.log10(np.maximum(power, 1e-9), dtype=np.float32) - _POWER_0DBM0_DB
    return level


class BlockMeasure:
    """Measures blocks. Its only state is each line's hum and the next line to measure for hum."""

    def __init__(self, lines: int) -> None:
        window = np.hanning(FRAMES + 1)[:-1]
        hz = np.array([mains * k for mains in MAINS_HZ for k in range(1, HARMONICS + 1)])
        phase = np.arange(FRAMES)[:, None] * (2 * np.pi / RATE_HZ) * hz
        waves = np.hstack([np.cos(phase), np.sin(phase)]) * (window / window.sum())[:, None]
        self._waves: F32 = (waves * np.sqrt(2)).astype(np.float32)  # a sine's projection squared is its power
        self._mean: F32 = np.full(FRAMES, 1 / FRAMES, np.float32)
        self._hum_dbm0: F32 = np.full(lines, NOTHING_DBM0, np.float32)
        self._turn = 0

    def read(self, audio: I16, volts: I16, hook: Bits, ring: Bits, still_v: F32, clip_at: NDArray[np.int32]) -> Block:
        """The block of int16 `audio` (lines, FRAMES), `volts` in 0.01 V (lines, SLOTS), hook and ring (lines, ms)."""
        lines = len(audio)
        rings = ring.any(axis=1)
        lowest = volts.min(axis=1)
        low, high = lowest.astype(np.float32) / 100, volts.max(axis=1).astype(np.float32) / 100
        metered = lowest != NO_VOLTS
        # Relative to the first sample: a codec stuck at any value is exactly silent.
        samples = np.subtract(audio, audio[:, :1], dtype=np.float32)
        mean = samples @ self._mean
        power: F32 = (np.einsum("ls,ls->l", samples, samples) / FRAMES - mean * mean).astype(np.float32)
        clipped = np.zeros(lines, np.float32)
        for line in np.flatnonzero((audio.max(axis=1) >= clip_at) | (audio.min(axis=1) <= -clip_at)):
            clipped[line] = np.count_nonzero(np.abs(audio[line].astype(np.int32)) >= clip_at[line]) / FRAMES
        # Clipping adds components at all sums and differences of its tones; ringing, at multiples of 20 Hz.
        calm = ~rings & (hook.all(axis=1) | ~hook.any(axis=1))
        plain = calm & (clipped == 0)
        known = np.zeros(lines, np.bool_)
        known[self._turn :: HUM_TURNS] = plain[self._turn :: HUM_TURNS]
        self._turn = (self._turn + 1) % HUM_TURNS
        self._hum_dbm0[known] = dbm0(self._hum(samples[known] - mean[known, None]))
        still = metered & (high - low <= still_v) & ~rings
        middle: F32 = ((low + high) / 2).astype(np.float32)
        return Block(metered, still, calm, middle, dbm0(power), clipped, self._hum_dbm0, known)

    def _hum(self, samples: F32) -> F32:
        """The power in the harmonics of the louder mains frequency."""
        parts = samples @ self._waves
        half = parts.shape[1] // 2
        power = parts[:, :half] ** 2 + parts[:, half:] ** 2
        mains: F32 = power.reshape(len(samples), len(MAINS_HZ), HARMONICS).sum(axis=2).max(axis=1)
        return mains


# ----------------------------------------------------------------------------------------------------------------------


LASTING = (
    "line_cut", "line_short", "line_reversed", "battery_low", "battery_high", "battery_24v", "short_loop",
    "silent_off_hook", "sound_on_hook", "hum", "stuck_off_hook",
)  # fmt: skip
ON_HOOK_S = 30.0  # the time over which the share of sound is measured
REST_SINKS_V = 0.01  # V a block: the rest voltage is the highest of the last minutes


class FaultLimits:
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
        self.battery_high_s = each("battery_high_s")
        most_v = each("battery_high_v")
        share_v = on_hook_v * each("battery_high_share")
        self.battery_high_v: F32 = np.where(self.on_hook_known, np.minimum(share_v, most_v), most_v)
        self.pbx_low_v = np.array([numbers.battery_24v[0] for numbers in health], np.float32)
        self.pbx_high_v = np.array([numbers.battery_24v[1] for numbers in health], np.float32)


class LineUse(NamedTuple):
    """The lines' use in this half second, (lines,): a line with a hook change is neither `off` nor `on`."""

    off: Lines
    on: Lines
    active: Lines  # a voice or a digit was detected
    noticed: Lines  # a notice is played
    audible: Lines  # its audio is that of the line


def seconds() -> F32:
    """The time that a block represents, (faults, 1)."""
    return np.array([[HUM_SECONDS if name == "hum" else SECONDS] for name in LASTING], np.float32)


def lasts(limits: FaultLimits) -> F32:
    """The seconds for which each condition must have held, (faults, lines)."""
    return np.stack([
        limits.cut_s, limits.short_s, limits.reversed_s, limits.battery_s, limits.battery_high_s, limits.battery_s,
        limits.short_loop_s, limits.silent_s, np.full_like(limits.silent_s, SECONDS), limits.hum_s, limits.stuck_s,
    ])  # fmt: skip


def rest_voltage(rest_v: F32, block: Block, use: LineUse, limits: FaultLimits) -> F32:
    """The voltage of each line at rest, updated from the previous one."""
    volts = np.abs(block.volts)
    at_rest = block.still & use.on & (volts >= limits.cut_v)
    rest: F32 = np.where(at_rest, np.maximum(volts, rest_v - REST_SINKS_V), rest_v)
    return rest


def sound(block: Block, limits: FaultLimits) -> Lines:
    """Whether there is sound of a person or of the exchange, beyond line noise and hum."""
    found: Lines = block.level_dbm0 >= np.maximum(limits.sound_dbm0, block.hum_dbm0 + limits.margin_db)
    return found


def sounding(share: F32, sound: Lines, block: Block, use: LineUse, limits: FaultLimits, rest_v: F32) -> F32:
    """The share of the last half minute on-hook with a sound, updated from the previous share; off-hook resets it."""
    dropped = block.still & (np.abs(block.volts) < rest_v - limits.short_loop_drop_v)  # reported as a short loop
    known = use.on & block.calm & use.audible & ~use.noticed & ~dropped
    moved: F32 = share + np.float32(SECONDS / ON_HOOK_S) * (sound - share)
    now: F32 = np.where(known, moved, share)
    return np.where(use.off, np.float32(0), now)


def conditions(
    block: Block, use: LineUse, limits: FaultLimits, sound: Lines, rest_v: F32, share: F32
) -> tuple[Lines, Lines]:
    """The conditions (ill, well), each (faults, lines); if neither holds, the state stays."""
    rows = [*_voltage_conditions(block, use, limits, sound, rest_v), *_of_audio(block, use, limits, share)]
    return np.stack([ill for ill, _ in rows]), np.stack([well for _, well in rows])


def _voltage_conditions(
    block: Block, use: LineUse, limits: FaultLimits, sound: Lines, rest_v: F32
) -> list[tuple[Lines, Lines]]:
    """Conditions of the faults that the voltage shows; without a meter there are none."""
    still, volts = block.still, np.abs(block.volts)
    quiet = ~sound
    cut = still & (volts < limits.cut_v)
    fed = block.metered & ~(still & (volts < limits.cut_v + limits.margin_v))  # a ringing line has a battery
    alive = still & ~cut
    at_rest = alive & use.on
    right = (block.volts > 0) == limits.reversed
    pbx = (volts >= limits.pbx_low_v) & (volts <= limits.pbx_high_v) & ~limits.on_hook_known
    # On a short loop that was not learnt, a lifted handset shows only as a voice and a drop of some volts.
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
        # Far above the line's usual voltage: if the card's reading is wrong, a lifted handset seems on-hook.
        (at_rest & (volts >= limits.battery_high_v), at_rest & (volts < limits.battery_high_v - limits.margin_v)),
        (at_rest & pbx & quiet, (at_rest & ~pbx) | limits.on_hook_known),
        (high & lifted & sound, limits.off_hook_known | (alive & use.off & (volts < limits.hook_v))),
    ]


def _of_audio(block: Block, use: LineUse, limits: FaultLimits, share: F32) -> list[tuple[Lines, Lines]]:
    cut = block.still & (np.abs(block.volts) < limits.cut_v)  # already reported; without a battery there is no sound
    level, hum = block.level_dbm0, block.hum_dbm0
    known = block.hum_known & use.audible
    return [
        (
            use.off & ~cut & (level < limits.silent_dbm0) & ~use.noticed & use.audible,
            (level >= limits.silent_dbm0 + limits.margin_db) | cut,
        ),
        (use.on & (share >= limits.on_hook_share), use.off | (share < limits.on_hook_share / 3)),
        # Hum is not judged under speech; music has components at the mains' harmonics, but always others too.
        (
            known & (hum >= limits.hum_dbm0) & (level <= hum + limits.hum_alone_db),
            known & (hum < limits.hum_dbm0 - limits.margin_db),
        ),
        (use.off & ~cut & ~use.active, use.on | use.active),
    ]
