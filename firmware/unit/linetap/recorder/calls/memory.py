# SPDX-License-Identifier: Apache-2.0
"""What a line remembers from one batch to the next."""

from __future__ import annotations

import msgspec

from linetap.recorder.calls.call import Call, Key, State
from linetap.recorder.calls.evidence.decision import Evidence
from linetap.recorder.signals.dtmf.signature import Signature
from linetap.recorder.signals.hook.hookline import HookLine
from linetap.recorder.signals.notice.played import PlayedNotice


class LineMemory(msgspec.Struct):
    """All that a restarted recorder must know of a line."""

    hook: HookLine = msgspec.field(default_factory=HookLine)
    state: State = "idle"
    since_ns: int = 0
    named_ns: int = -1  # the newest time that a call of this line was named after, in this boot
    deadline: int | None = None
    seen_from: int = -1  # the frame at which the last gap ended: what was before it nobody saw
    call: Call | None = None
    evidence: Evidence = msgspec.field(default_factory=Evidence)  # of an answer, while one is awaited
    open_last: int = -1  # the last frame, while an answer was awaited, at which the loop was open
    look_at: int | None = None  # the frame up to which the line is looked at next for it
    playing: PlayedNotice | None = None
    heard: list[Key] = []  # digits while nobody used the line: an exchange may say who calls
    continues: str | None = None  # the call that ended by tone on a line that is still held
    near_digit_dbm0: float | None = None  # level of digits that were certainly dialled here
    near_end: list[Signature] = []  # of such digits, the last ones
    unheard_calls: int = 0  # running, whose notice was played to its end and not heard, for whatever reason
    deaf_calls: int = 0  # running, on a line so quiet that nothing but a fault explains it
    deaf_first_ns: int | None = None  # the first of these
    deaf_since_ns: int | None = None  # the line is at fault
    echo_delay_ms: float | None = None  # when the line returns what is played on it, as several notices have shown
    delays_ms: list[float] = []  # of the last notices that came back when nobody knew, or at another time than known
    on_trial: bool = False  # a walk test asks for it

    def of_another_ring(self) -> LineMemory:
        """What is true of the line itself, whichever ring its frames are of."""
        return LineMemory(
            near_digit_dbm0=self.near_digit_dbm0, near_end=self.near_end,
            unheard_calls=self.unheard_calls, deaf_calls=self.deaf_calls,
            deaf_first_ns=self.deaf_first_ns, deaf_since_ns=self.deaf_since_ns, named_ns=self.named_ns,
        )  # fmt: skip
