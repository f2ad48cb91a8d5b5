# SPDX-License-Identifier: Apache-2.0
"""The context of a line for the actions of the call table: its memory, objects of all lines, common operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from linetap.config.profile import Profile
from linetap.config.schema import Config, Line
from linetap.learned import Learned
from linetap.notices import Notice
from linetap.recorder.calls.call import Anchor, Call, Key, State, new_call_id
from linetap.recorder.calls.evidence.decision import Evidence
from linetap.recorder.calls.evidence.windows import first_window
from linetap.recorder.calls.ports import AudioSource, CapturePort, VaultPort
from linetap.recorder.signals.dtmf.press import Signature
from linetap.recorder.signals.events import Event
from linetap.recorder.signals.hook.hookline import HookLine
from linetap.recorder.signals.notice.played import PlayedNotice
from linetap.ring import NS_PER_FRAME, RATE_HZ, Batch
from linetap_core.clock import rfc3339
from linetap_core.records import CallEvent, CallRecord, ClockRecord, EventKind, Mark, NoticeProof

FRAMES_PER_MS = RATE_HZ // 1000
MOST_MARKS = 32
MOST_FOREIGN_MARKS = 4  # by the far end; the rest is reserved for staff
FOREIGN = ("_far", "_uncertain")
NO_FRAMES: npt.NDArray[np.int64] = np.zeros(0, np.int64)


class LineMemory(msgspec.Struct):
    """The state of a line, kept in the checkpoint for a restarted recorder."""

    hook: HookLine = msgspec.field(default_factory=HookLine)
    state: State = "idle"
    since_ns: int = 0
    named_ns: int = -1  # the newest time in a call name of this line, in this boot
    deadline: int | None = None
    seen_from: int = -1  # the frame at which the last gap ended
    call: Call | None = None
    evidence: Evidence = msgspec.field(default_factory=Evidence)  # for an answer, while one is awaited
    open_last: int = -1  # the last frame, while an answer was awaited, at which the loop was open
    next_window: int | None = msgspec.field(default=None, name="look_at")  # frame of the next examination
    playing: PlayedNotice | None = None
    idle_keys: list[Key] = []  # digits on-hook: they may be caller ID
    continues: str | None = None  # the call that ended by tone while the handset stayed off-hook
    near_digit_dbm0: float | None = None  # level of digits that were certainly dialled at this end
    near_end: list[Signature] = []  # signatures of the last such digits
    unheard_calls: int = 0  # consecutive calls with a notice that was played to the end and not heard, for any reason
    deaf_calls: int = 0  # consecutive unheard calls on a line so quiet that only a fault explains them
    deaf_first_ns: int | None = None  # the first of those calls
    deaf_since_ns: int | None = None  # the line is at fault since then
    echo_delay_ms: float | None = None  # delay of the line's echo, as several notices have shown
    delays_ms: list[float] = []  # delays of the last notices that returned while no delay, or another one, was known
    in_walk_test: bool = False

    def of_another_ring(self) -> LineMemory:
        """The state of the line itself, without the fields that refer to frames of one ring."""
        return LineMemory(
            near_digit_dbm0=self.near_digit_dbm0, near_end=self.near_end,
            unheard_calls=self.unheard_calls, deaf_calls=self.deaf_calls,
            deaf_first_ns=self.deaf_first_ns, deaf_since_ns=self.deaf_since_ns, named_ns=self.named_ns,
        )  # fmt: skip


def open_frames(batch: Batch, index: int) -> npt.NDArray[np.int64]:
    """The frames of a batch, one each millisecond, at which a line's hook bit shows an open loop."""
    return batch.frame + np.flatnonzero(~batch.hook[index]) * FRAMES_PER_MS


class CallNames(msgspec.Struct, frozen=True):
    """The data that keeps a call's name from being given twice.

    `newest_ns`: the newest time in a call name of this vault, as of the first start of this boot. `boot`: four
    hexadecimal digits of the boot id.
    """

    newest_ns: int = -1
    boot: str = ""


@dataclass(frozen=True)
class Shared:
    """The objects that all lines share."""

    config: Config
    notices: dict[str, Notice]
    audio: AudioSource
    capture: CapturePort
    vault: VaultPort
    clock_record: Callable[[int], ClockRecord]  # of a line
    learned: dict[int, Learned] = field(default_factory=dict)  # by line
    names: CallNames = field(default_factory=CallNames)
    lines: list[LineContext] = field(default_factory=list)  # of all cards: an internal call may use two cards
    connected: dict[int, int] = field(default_factory=dict)  # by line: UTC at which the PBX reported an answer
    ended: list[Callable[[CallRecord], None]] = field(default_factory=list)  # called with each call's record


class LineContext:
    def __init__(self, config: Line, profile: Profile, shared: Shared, memory: LineMemory) -> None:
        self.config = config
        self.profile = profile
        self.shared = shared
        self.policy = shared.config.recording
        self.memory = memory
        self.batch: Batch  # the current batch, which dates frames
        self.open_bits, self.opened_before = NO_FRAMES, -1

    def open_last(self, frame: int) -> int:
        """The last frame before `frame` at which the loop was open: silence there is not the far end's."""
        before = int(np.searchsorted(self.open_bits, frame))
        return int(self.open_bits[before - 1]) if before else self.opened_before

    @property
    def call(self) -> Call:
        """The call in progress."""
        assert self.memory.call is not None
        return self.memory.call

    @property
    def notice(self) -> str:
        """The id of the notice that is played on this line."""
        return self.config.notice or self.policy.notice

    def enter(self, state: State, frame: int, deadline: int | None = None) -> None:
        """Enters a state at `frame`; `deadline` replaces the previous deadline."""
        if state != self.memory.state:
            self.memory.next_window = first_window(state, frame)
            self.memory.evidence = Evidence()
        self.memory.state, self.memory.deadline = state, deadline
        self.memory.since_ns = self.utc_ns(frame)

    @property
    def anchor(self) -> Anchor:
        """The anchor that dates the line's frames: that of the call in progress, else of the batch."""
        call, batch = self.memory.call, self.batch
        if call is not None and call.anchor is not None:
            return call.anchor
        return Anchor(batch.frame, batch.utc_ns, batch.mono_ns)

    def anchor_at(self, frame: int) -> Anchor:
        """The anchor of a call that begins at `frame`."""
        anchor = self.anchor
        ago_ns = (anchor.frame - frame) * NS_PER_FRAME
        return Anchor(frame, max(0, anchor.utc_ns - ago_ns), anchor.mono_ns - ago_ns)

    def utc_ns(self, frame: int) -> int:
        return self.anchor.utc_ns_at(frame)

    def new_call_id(self, frame: int) -> str:
        """The name of a call that begins at `frame`.

        If the clock shows a time twice, in this boot or a later one, boot and frame distinguish the two names.
        """
        ns, memory, names = self.utc_ns(frame), self.memory, self.shared.names
        again = "" if ns > max(memory.named_ns, names.newest_ns) else f"{names.boot}{max(0, frame):x}"
        memory.named_ns = max(memory.named_ns, ns)
        return new_call_id(ns, self.config.number, again)

    def open_held_recording(self) -> None:
        """Opens the recording of a call from its first frame on: the guessed answer was not disproved."""
        call = self.call
        if call.held_until is not None and call.first_frame is not None:
            self.shared.vault.open(call.call_id, call.line, call.first_frame)
        call.held_until = None

    def rfc3339(self, frame: int) -> str:
        return rfc3339(self.utc_ns(frame))

    def add_mark(self, event: Event, kind: str) -> None:
        """Marks the call in progress; marks beyond the bounds are dropped."""
        call, foreign = self.call, kind.endswith(FOREIGN)
        if foreign and sum(mark.kind.endswith(FOREIGN) for mark in call.marks) >= MOST_FOREIGN_MARKS:
            return
        start = call.first_frame if call.first_frame is not None else call.notice_from or event.at
        call.marks = [*call.marks, Mark(round(max(0, event.at - start) / RATE_HZ, 3), kind)][:MOST_MARKS]

    def report(
        self,
        kind: EventKind,
        frame: int,
        mark: str | None = None,
        *,
        situation: str | None = None,
        why: str | None = None,
        notice: str | None = None,
        proof: NoticeProof | None = None,
    ) -> None:
        """Sends an event about the call in progress to the outbox."""
        call = self.call
        end = call.end if kind == "ended" else None
        self.shared.vault.report(
            CallEvent(
                seq=0,
                event=kind,
                at=self.rfc3339(frame),
                unit=self.shared.config.unit,
                call_id=call.call_id,
                line=call.line,
                direction=call.direction,
                disposition=call.disposition if kind in ("ended", "missed") else None,
                why=why or call.why or None,
                duration_s=call.duration_s if kind == "ended" else None,
                notice=call.notices[-1].id if kind == "notice" else notice,
                mark=mark,
                situation=end.situation if end else situation,
                seen_by=end.seen_by if end else None,
                proof=proof,
            )
        )
