# SPDX-License-Identifier: Apache-2.0
"""Converts the meter's clock to CLOCK_MONOTONIC: offset and drift, from beats that the meter returns with its own time.

A beat reaches the meter after its stamp, never before; the time of reading the answer is irrelevant. The least delayed
beat of each stretch of time counts, and a straight line through the first and the last of these gives the drift.
Rejected: the times at which samples are read. Capture reads every 40 ms, synchronous with a codec, and would be wrong
by up to 40 ms for as long as the two clocks stay synchronous.
"""

from __future__ import annotations

from collections import deque

from linetap_core.clock import NS_PER_S

STRETCH_NS = 5 * NS_PER_S
STRETCHES = 8
DRIFT_AFTER_NS = 2 * STRETCH_NS  # earlier, the delays' jitter exceeds the drift's effect
DRIFT_MAX = 300e-6  # two crystals with at most 100 ppm each
RESTARTED_NS = 1 * NS_PER_S  # a larger contradiction between beats means that the meter has restarted its count


class ClockMap:
    """The map; unknown (`known` is False) until the first beat has returned."""

    def __init__(self) -> None:
        self._least: deque[tuple[int, int]] = deque(maxlen=STRETCHES)  # (sent, meter's time - sent), ns
        self._began_ns = 0
        self._base = 0  # the straight line: origin, offset, slope
        self._offset = 0
        self.drift = 0.0

    @property
    def known(self) -> bool:
        return bool(self._least)

    def forget(self) -> None:
        self._least.clear()
        self.drift = 0.0

    def add_beat(self, sent_ns: int, meter_us: int) -> bool:
        """Adds a beat sent at `sent_ns` that reached the meter at its `meter_us`. False if the meter has restarted its
        count.
        """
        ahead = meter_us * 1000 - sent_ns
        if not self._least:
            self._least.append((sent_ns, ahead))
            self._began_ns = sent_ns
        elif abs(ahead - self._ahead_at(sent_ns)) > RESTARTED_NS:
            return False
        elif sent_ns - self._began_ns >= STRETCH_NS:
            self._least.append((sent_ns, ahead))
            self._began_ns = sent_ns
        elif ahead - round(self.drift * (sent_ns - self._least[-1][0])) < self._least[-1][1]:
            self._least[-1] = (sent_ns, ahead)
        self._fit()
        return True

    def _fit(self) -> None:
        if len(self._least) > 2:  # the present stretch may have only delayed beats so far
            (first, ahead), (last, later) = self._least[0], self._least[-2]
            if last - first >= DRIFT_AFTER_NS:
                self.drift = max(-DRIFT_MAX, min(DRIFT_MAX, (later - ahead) / (last - first)))
        last = self._base = self._least[-1][0]
        self._offset = min(round(value + self.drift * (last - at)) for at, value in self._least)

    def _ahead_at(self, mono_ns: int) -> int:
        return self._offset + round(self.drift * (mono_ns - self._base))

    def meter_us(self, mono_ns: int) -> int:
        """Returns the meter's time at `mono_ns`; may be negative before the meter's start."""
        return (mono_ns + self._ahead_at(mono_ns)) // 1000
