# SPDX-License-Identifier: Apache-2.0
"""The limits of all lines of a card as arrays: each line's profile, and before it what was learnt of the line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from linetap.config.profile import Profile
from linetap.learned import Learned
from linetap.recorder.signals.health.block import F32, Lines


class Limits:
    """Arrays (lines,), under the names of HealthNumbers and these."""

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
