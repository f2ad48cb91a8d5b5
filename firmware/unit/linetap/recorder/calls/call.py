# SPDX-License-Identifier: Apache-2.0
"""One call while it lives. State only, so that a restarted recorder goes on with it."""

from __future__ import annotations

from typing import Literal

import msgspec

from linetap.ring import NS_PER_FRAME
from linetap_core.clock import NS_PER_S, compact, rfc3339
from linetap_core.records import (
    ABUSE,
    AnsweredBy,
    AnswerRecord,
    Caller,
    CallRecord,
    ClockRecord,
    Direction,
    Disposition,
    EndedBy,
    InternalBy,
    Mark,
    NoticeProof,
    NoticeRecord,
    PartyBy,
)

State = Literal[
    "idle", "ringing", "off_hook", "greeting", "notice_wait", "notice", "fax_wait", "recording", "tone_end",
    "new_party", "passing", "carrier", "held",
]  # fmt: skip
MOST_DIGITS = 64


class Key(msgspec.Struct, frozen=True, array_like=True):
    """A digit heard: its first frame, and the level of one tone of it in dBm0 (pulses: 0)."""

    at: int
    digit: str
    level_dbm0: float


class Anchor(msgspec.Struct, frozen=True, array_like=True):
    """One moment by all three measures: what turns a call's frames into times."""

    frame: int
    utc_ns: int
    mono_ns: int

    def utc_ns_at(self, frame: int) -> int:
        return max(0, self.utc_ns + (frame - self.frame) * NS_PER_FRAME)

    def frame_at(self, utc_ns: int) -> int:
        return self.frame + (utc_ns - self.utc_ns) // NS_PER_FRAME

    def mono_ns_at(self, utc_ns: int) -> int:
        return self.mono_ns + utc_ns - self.utc_ns


class Call(msgspec.Struct, kw_only=True):
    """Frames are of the card's ring. `_ns` are UTC by the clock as it stood when the call began, counted on in frames
    from there: a clock that is set meanwhile moves none of them."""

    call_id: str
    line: int
    direction: Direction
    anchor: Anchor | None = None  # None: of a checkpoint of an earlier version
    ring_ns: int | None = None
    ring_frame: int | None = None  # of the first burst, while caller ID has not been looked for
    said_from: int | None = None  # from here on, before that burst, the exchange may have said who calls
    caller: Caller | None = None
    internal_by: InternalBy | None = None
    off_hook_ns: int | None = None
    answered_ns: int | None = None
    answered_by: AnsweredBy | None = None
    answer: AnswerRecord | None = None
    ended_ns: int | None = None
    ended_by: EndedBy | None = None
    continues: str | None = None
    dialled: str = ""
    unheard: bool = False  # something of what was dialled may have fallen into a gap
    dialled_ns: int | None = None  # the last digit of it
    redialled: str = ""  # of a second party, in the middle of the call
    also_dialled: list[str] = []  # such numbers before it
    typed: list[Key] = []  # the last digits behind the answer
    spoken: bool = False  # somebody was heard behind the notice
    put_down_at: int | None = None  # a break longer than any flash key began here: another call may begin behind it
    put_down_until: int = 0  # so long nothing behind that is written
    beep_from: int | None = None  # the frame at which a tone began that may be a mailbox's beep
    beeped: bool = False  # it was one, and the notice has played again
    dial_tone: bool = False  # it was heard
    given_up: bool = False  # the exchange has given dial tone up: a handset off its cradle
    tone: str = ""  # busy, congestion, unobtainable: sounding, or the last word
    tone_at: int = 0  # where it began, and where that was certain
    tone_known: int = 0
    disposition: Disposition = "unanswered"
    why: str = ""
    notices: list[NoticeRecord] = []
    greeting_from: int = 0  # since then somebody may greet the caller
    notice_tries: int = 0
    notice_held: int = 0  # so often a tone that may be a fax's has held it back
    notice_from: int | None = None  # the first frame of a notice that is still to be proven
    carrier_from: int = 0  # the frame since which a fax or a modem is on the line
    carriers: int = 0  # so often one was heard
    notice_until: int = 0  # the frame behind its last possible echo
    notice_whole: bool = False  # it was played to its end
    deaf: bool | None = None  # None: no notice was played to its end and not heard; else whether the line was quiet
    guessed: bool = False  # nothing but time says that the party answered
    heard_as: NoticeProof | None = None  # what the line returned of a notice that was played on a guess
    rung_again: int = 0  # so often ringback said that the far end passes the call on
    taken_back: int = 0  # so many guesses were proved wrong
    held_until: int | None = None  # nothing is written before: the guess may still be proved wrong
    first_frame: int | None = None  # of the recording
    paused_at: int | None = None  # from here on nothing is written: a party has not heard the notice
    withheld: list[tuple[int, int]] = []  # such stretches, in frames
    waiting: bool = False  # the call-waiting tone was heard, and nobody has flashed since
    flashed_at: int | None = None  # what is dialled now may reach a second party
    keys: list[Key] = []  # the last ones, that may become the mark code
    marks: list[Mark] = []
    was_marked: bool = False  # in the record that this one continues
    call_time_told: bool = False
    party_by: PartyBy | None = None  # it was skipped, and another party came on the line
    party_unknown: bool = False
    was_held: bool = False  # music was heard, and nobody has spoken since
    held_at: int = 0  # where it began, and was certain, in a recording
    held_from: int = 0
    held_again: int = 0  # so often somebody spoke behind it
    swapped_at: int | None = None  # a flash may have brought another party: nobody has dialled since
    swap_due: int = 0  # when that is certain, once somebody has spoken
    swap_spoken: bool = False
    consulted_by: str | None = None  # the call of a neighbour that called here in the middle of it
    dial_at: int | None = None  # where a dial tone began that still sounds
    beeped_at: int | None = None
    plays_until: int = 0  # a notice that opens no gate is on the line up to here

    @property
    def is_marked(self) -> bool:
        return self.was_marked or any(mark.kind == ABUSE for mark in self.marks)

    def withhold(self, until: int) -> None:
        """The pause is over: what lies between stays out of the recording."""
        assert self.paused_at is not None
        if until > self.paused_at:
            self.withheld = [*self.withheld, (self.paused_at, until)]
        self.paused_at = None

    @property
    def duration_s(self) -> float | None:
        """From answer to end."""
        if self.answered_ns is None or self.ended_ns is None:
            return None
        return round((self.ended_ns - self.answered_ns) / NS_PER_S, 3)

    def record(self, unit: str, clock: ClockRecord) -> CallRecord:
        """What is known at the call's end; audio, files and retention are added where they are made."""
        return CallRecord(
            call_id=self.call_id,
            unit=unit,
            line=self.line,
            direction=self.direction,
            ring_at=_time(self.ring_ns),
            off_hook_at=_time(self.off_hook_ns),
            answered_at=_time(self.answered_ns),
            answered_by=self.answered_by,
            answer=msgspec.UNSET if self.answer is None else self.answer,
            ended_at=_time(self.ended_ns),
            ended_by=self.ended_by,
            continues=self.continues,
            duration_s=self.duration_s,
            dialled=self.dialled or None,
            also_dialled=[*self.also_dialled, *filter(None, [self.redialled])] or None,
            caller=self.caller,
            internal=self.internal_by is not None,
            internal_by=self.internal_by,
            disposition=self.disposition,
            why=self.why,
            notice=self.notices[0] if self.notices else None,
            notices=list(self.notices),
            clock=clock,
            marks=list(self.marks),
            party_by=self.party_by or msgspec.UNSET,
            party_unknown=True if self.party_unknown else msgspec.UNSET,
        )


def new_call_id(utc_ns: int, line: int, again: str = "") -> str:
    """`20261124T225600.123Z-L03`: the moment the line first moved, and the line. `again` tells it from another call
    that may have that name."""
    return f"{compact(utc_ns)}-L{line:02d}" + (f"-{again}" if again else "")


def _time(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)
