# SPDX-License-Identifier: Apache-2.0
"""What only a whole call can tell: speech that clips again and again, and speech that is far too faint throughout."""

from __future__ import annotations

import numpy as np

from linetap.recorder.signals.health.block import F32, SECONDS, Block, Lines
from linetap.recorder.signals.health.limits import Limits

ROWS = 8
_CLIPS, _CLIPPING, _FLOOR, _FAINT, _LOUD, _TIME, _CLIPPED, _TOO_QUIET = range(ROWS)
_NO_FLOOR = 100.0


class CallHealth:
    """All lines of a card."""

    def __init__(self, lines: int) -> None:
        self._state: F32 = np.zeros((ROWS, lines), np.float32)

    def follow(self, block: Block, limits: Limits, talking: Lines, over: Lines) -> None:
        """`talking`: in use for the whole block, and all that is heard is said; `over`: not in use any more."""
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

    def _judge(self, limits: Limits, over: Lines) -> None:
        """Clipping is told at once and taken back by a whole call without; faintness is told by the call's end."""
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
