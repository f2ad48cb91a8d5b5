# SPDX-License-Identifier: Apache-2.0
"""While a notice is on the line: whether a fax or a modem sends its tone beneath it.

Ten looks a second, and only at lines that play one. What was held is not kept over a restart: half a second of hearing.
"""

from __future__ import annotations

import numpy as np

from linetap.recorder.calls.context import LineContext
from linetap.recorder.signals.event import Event
from linetap.recorder.signals.notice.maskedtones import EVERY, LENGTH, carrier_beneath
from linetap.ring import I16, RATE_HZ, Batch


class UnderNotice:
    def __init__(self) -> None:
        self._held: I16 = np.zeros(0, np.int16)
        self._end = 0  # the frame behind what is held

    def follow(self, line: LineContext, batch: Batch, index: int) -> list[Event]:
        """`fax` events of this batch, at most one."""
        playing = line.memory.playing
        if playing is None or batch.gap is not None:
            self._held = self._held[:0]
            return []
        if self._end != batch.frame:
            self._held = self._held[:0]
        self._held = np.concatenate([self._held, batch.audio[index]])[-LENGTH - batch.frames :]
        self._end = batch.frame + batch.frames
        notice = next((each for each in line.around.notices.values() if each.tag == playing.tag), None)
        if playing.started is None or notice is None:
            return []
        longest = line.profile.beneath.delay_max_ms * RATE_HZ // 1000
        for frame in range(-(-(batch.frame + 1) // EVERY) * EVERY, self._end + 1, EVERY):
            first = frame - LENGTH - (self._end - len(self._held))
            if first < 0 or not playing.started + EVERY <= frame <= playing.started + playing.frames + longest:
                continue
            sent = notice.between(frame - LENGTH - longest - playing.started, frame - playing.started)
            if found := carrier_beneath(self._held[first : first + LENGTH], sent, line.profile.beneath):
                return [Event(frame, "fax", frame - LENGTH, found)]
        return []
