# SPDX-License-Identifier: Apache-2.0
"""Follows a played notice to its end by capture's entries in the ring: tag and position in every slot.

These entries prove the playing; proof.py proves from the captured audio that the notice was on the line.
"""

from __future__ import annotations

import msgspec

from linetap.recorder.signals.events import Event
from linetap.ring import SLOT_FRAMES, UNDERRUN, Batch


class PlayedNotice(msgspec.Struct):
    """One playing of a notice that the recorder requested."""

    tag: int
    frames: int
    asked_at: int  # the requested frame
    started: int | None = None
    disturbed: bool = False
    done: bool = False

    def follow(self, batch: Batch, index: int) -> list[Event]:
        """The events of one batch of audio slots for the line at `index` of the card."""
        if self.done:
            return []
        if batch.gap is not None:
            if self.started is not None:
                self.disturbed = True  # the line's audio meanwhile is unknown
            return []
        events: list[Event] = []
        tags, positions = batch.notice[:, index], batch.notice_frame[:, index]
        if self.started is None and not bool((tags == self.tag).any()):
            return events
        for slot in range(len(tags)):
            at = batch.frame + slot * SLOT_FRAMES
            if int(tags[slot]) == self.tag:
                self._playing(at, int(positions[slot]), bool(batch.flags[slot] & UNDERRUN), events)
            elif self.started is not None:
                self._finish(at, at, "notice_broken", events)
            if self.done:
                break
        return events

    def _playing(self, at: int, position: int, underrun: bool, events: list[Event]) -> None:
        start = at - position
        if self.started is None:
            if start < self.asked_at - 2 * SLOT_FRAMES:
                return  # an earlier playing of the same notice, which is being stopped
            self.started = start
            events.append(Event(max(start, at), "notice_started", start))
        self.disturbed |= underrun
        end = self.started + self.frames
        if end <= at + SLOT_FRAMES:
            name = "notice_broken" if self.disturbed or start != self.started else "notice_ended"
            self._finish(max(at, end), end, name, events)

    def _finish(self, known: int, at: int, name: str, events: list[Event]) -> None:
        self.done = True
        events.append(Event(known, "notice_ended" if name == "notice_ended" else "notice_broken", at))
