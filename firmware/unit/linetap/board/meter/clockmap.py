# SPDX-License-Identifier: Apache-2.0
"""The meter's clock as CLOCK_MONOTONIC: offset and drift, from beats that the meter returns with its own time.

A beat reaches the meter some time after its stamp, never before; when linetap reads the answer does not matter. So the
least delayed beat of each stretch of time counts, and a straight line through the first and the last of them is the
drift. Times at which samples were read were rejected: capture reads every 40 ms, in step with a codec, and would be
wrong by up to that for as long as the two clocks keep step.
"""

from __future__ import annotations

from collections import deque

from linetap_core.clock import NS_PER_S

STRETCH_NS = 5 * NS_PER_S
STRETCHES = 8
DRIFT_AFTER_NS = 2 * STRETCH_NS  # before, the delays' jitter exceeds the drift's effect
DRIFT_MAX = 300e-6  # crystals have 100 ppm at most, twice
RESTARTED_NS = 1 * NS_PER_S  # a larger contradiction between beats: the meter counts from another zero


class ClockMap:
    """Unknown (`known` is False) until the first beat has come back."""

    def __init__(self) -> None:
        self._least: deque[tuple[int, int]] = deque(maxlen=STRETCHES)  # (sent, meter's time - sent), ns
        self._began_ns = 0
        self._base = 0  # the line: origin, offset, slope
        self._offset = 0
        self.drift = 0.0

    @property
    def known(self) -> bool:
        return bool(self._least)

    def forget(self) -> None:
        self._least.clear()
        self.drift = 0.0

    def add_beat(self, sent_ns: int, meter_us: int) -> bool:
        """A beat sent at `sent_ns` reached the meter at its `meter_us`. Returns False if the meter now counts from
        another zero.
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
        if len(self._least) > 2:  # the current stretch may have only delayed beats so far
            (first, ahead), (last, later) = self._least[0], self._least[-2]
            if last - first >= DRIFT_AFTER_NS:
                self.drift = max(-DRIFT_MAX, min(DRIFT_MAX, (later - ahead) / (last - first)))
        last = self._base = self._least[-1][0]
        self._offset = min(round(value + self.drift * (last - at)) for at, value in self._least)

    def _ahead_at(self, mono_ns: int) -> int:
        return self._offset + round(self.drift * (mono_ns - self._base))

    def meter_us(self, mono_ns: int) -> int:
        """Returns what the meter's clock shows at `mono_ns`; may be negative before it started."""
        return (mono_ns + self._ahead_at(mono_ns)) // 1000
