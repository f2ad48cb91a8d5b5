# SPDX-License-Identifier: Apache-2.0
"""The gaps of a recording, in seconds from its first sample."""

from __future__ import annotations

from linetap.ring import RATE_HZ
from linetap_core.records import Gap


def gap_of(sample: int, samples: int, cause: str) -> Gap:
    return Gap(round(sample / RATE_HZ, 6), round(samples * 1000 / RATE_HZ, 3), cause)


def joined(gaps: list[Gap], gap: Gap) -> list[Gap]:
    """Returns `gaps` with `gap` appended, merged with the last one if it continues it."""
    if gaps and gaps[-1].cause == gap.cause:
        last = gaps[-1]
        end_s = last.at_s + last.ms / 1000
        if abs(end_s - gap.at_s) < 0.5 / RATE_HZ:
            return [*gaps[:-1], Gap(last.at_s, round(last.ms + gap.ms, 3), gap.cause)]
    return [*gaps, gap]


def within(gaps: list[Gap], samples: int) -> list[Gap]:
    """Returns the gaps within the first `samples`."""
    end_s = samples / RATE_HZ
    return [
        Gap(gap.at_s, min(gap.ms, round((end_s - gap.at_s) * 1000, 3)), gap.cause) for gap in gaps if gap.at_s < end_s
    ]
