# SPDX-License-Identifier: Apache-2.0
"""The day's calls on the lines: hours of at most 250, one call after another on each line.

Each call is drawn from the day's seed and its own number alone, so that more calls change none of those before.
"""

from __future__ import annotations

import msgspec
import numpy as np

from linetap_bench.day.draw import Draw
from linetap_bench.day.mix import MIX, drawn
from linetap_bench.day.recorder import LINES
from linetap_bench.day.truth import DayCall, truth_of
from linetap_bench.scriptkeys import Script
from linetap_bench.timing import times_of
from linetap_bench.voices import Voices

CALLS_AN_HOUR = 256  # eight on each line; all of an hour's audio is in memory
BEFORE_S, BETWEEN_S = 1.0, (2.5, 5.0)  # longer than any flash
AFTER_S = 12.0  # a line that stopped ringing is a missed call after 8 s


def calls_of_day(seed: int, count: int, voices: Voices, kinds: list[str] | None = None) -> list[DayCall]:
    """`kinds`: of these alone."""
    calls: list[DayCall] = []
    free_s = np.zeros(LINES)
    for number in range(1, count + 1):
        hour, place = divmod(number - 1, CALLS_AN_HOUR)
        if place == 0:
            free_s = np.array([BEFORE_S + 0.37 * n for n in range(LINES)])
        draw = Draw(np.random.default_rng([seed, number]))
        kind, sketch = drawn(draw, kinds or list(MIX))
        line = int(free_s.argmin())
        call = msgspec.structs.replace(sketch.call, line=line + 1, start_s=round(float(free_s[line]), 3))
        ends_ms = times_of(call).end
        missed_s = AFTER_S if call.direction == "in" and call.outcome != "answered" else 0.0
        free_s[line] = ends_ms / 1000 + missed_s + draw.between(*BETWEEN_S)
        calls.append(DayCall(number=number, hour=hour, call=call, truth=truth_of(kind, sketch, call, voices)))
    return calls


def script_of(calls: list[DayCall], seed: int) -> Script:
    """Of one hour."""
    hour = calls[0].hour
    return Script(
        lines=LINES,
        seed=seed * 1000 + hour,
        call=[each.call for each in calls],
        duration_s=max(each.truth.ended_ms for each in calls) / 1000 + AFTER_S,
    )
