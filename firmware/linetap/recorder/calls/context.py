# SPDX-License-Identifier: Apache-2.0
"""One line as the actions of the call table see it: what it remembers, what surrounds it, and their common words."""

from __future__ import annotations

from linetap.clock import rfc3339
from linetap.config.profile import Profile
from linetap.config.schema import Line
from linetap.recorder.calls.call import Call, State
from linetap.recorder.calls.memory import LineMemory, Surroundings
from linetap.records import CallEvent, EventKind
from linetap.ring import RATE_HZ, Batch

FRAMES_PER_MS = RATE_HZ // 1000


class LineContext:
    def __init__(self, config: Line, profile: Profile, around: Surroundings, memory: LineMemory) -> None:
        self.config = config
        self.profile = profile
        self.around = around
        self.policy = around.config.recording
        self.memory = memory
        self.batch: Batch  # the one being followed: it turns frames into UTC

    @property
    def call(self) -> Call:
        assert self.memory.call is not None
        return self.memory.call

    @property
    def notice(self) -> str:
        """The id of the notice that this line plays."""
        return self.config.notice or self.policy.notice

    def go(self, state: State, frame: int, deadline: int | None = None) -> None:
        self.memory.state, self.memory.deadline = state, deadline
        self.memory.since_ns = self.utc_ns(frame)

    def utc_ns(self, frame: int) -> int:
        return self.batch.utc_ns_at(frame)

    def rfc3339(self, frame: int) -> str:
        return rfc3339(self.utc_ns(frame))

    def report(self, kind: EventKind, frame: int, mark: str | None = None) -> None:
        call = self.call
        self.around.vault.report(
            CallEvent(
                seq=0,
                event=kind,
                at=self.rfc3339(frame),
                unit=self.around.config.unit,
                call_id=call.call_id,
                line=call.line,
                direction=call.direction,
                disposition=call.disposition if kind in ("ended", "missed") else None,
                why=call.why or None,
                duration_s=call.duration_s if kind == "ended" else None,
                notice=call.notices[-1].id if kind == "notice" else None,
                mark=mark,
            )
        )
