# SPDX-License-Identifier: Apache-2.0
"""The state of a call in progress, kept in the checkpoint, so that a restarted recorder continues the call."""

from __future__ import annotations

from typing import Literal

import msgspec

from linetap.ring import NS_PER_FRAME, RATE_HZ
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
    EndRecord,
    InternalBy,
    Mark,
    NoticeProof,
    NoticeRecord,
    PartyBy,
)

State = Literal[
    "idle", "ringing", "off_hook", "greeting", "notice_wait", "notice", "fax_wait", "recording", "tone_end",
    "new_party", "passing", "carrier", "held", "end_notice", "end_opens", "end_open", "end_closed",
]  # fmt: skip
MOST_DIGITS = 64


class Key(msgspec.Struct, frozen=True, array_like=True):
    """A detected digit: its first frame, and the level of one of its tones in dBm0 (pulses: 0)."""

    at: int
    digit: str
    level_dbm0: float


class Anchor(msgspec.Struct, frozen=True, array_like=True):
    """One moment as frame, UTC and monotonic time; it converts the frames of a call into times."""

    frame: int
    utc_ns: int
    mono_ns: int

    def utc_ns_at(self, frame: int) -> int:
        return max(0, self.utc_ns + (frame - self.frame) * NS_PER_FRAME)

    def frame_at(self, utc_ns: int) -> int:
        return self.frame + (utc_ns - self.utc_ns) // NS_PER_FRAME

    def mono_ns_at(self, utc_ns: int) -> int:
        return self.mono_ns + utc_ns - self.utc_ns


class EndStep(msgspec.Struct):
    """A notice before the end of a call: the notice of a situation, or the warning before the longest time."""

    situation: str
    then: Literal["end", "warn"]
    by: Literal["code", "time"]
    notice: str
    asked: int  # the last digit of the code, or the frame at which it was due
    tries: int = 0
    started: int | None = None  # its first frame on the line, and the frame after its last
    ended: int | None = None
    played: NoticeRecord | None = None


class Call(msgspec.Struct, kw_only=True):
    """A call in progress. Frames are frames of the card's ring. `_ns` are UTC nanoseconds.

    Times are counted in frames from the clock's reading at the call's beginning, so that setting the clock during a
    call moves none of them.
    """

    call_id: str
    line: int
    direction: Direction
    anchor: Anchor | None = None  # None: from a checkpoint of an earlier version
    ring_ns: int | None = None
    ring_frame: int | None = None  # of the first burst, until caller ID has been read
    sent_from: int | None = None  # the exchange may have sent caller ID between this frame and that burst
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
    digits_incomplete: bool = False  # a dialled digit may have fallen into a gap
    dialled_ns: int | None = None  # time of its last digit
    redialled: str = ""  # number of a second party, dialled during the call
    also_dialled: list[str] = []  # earlier numbers of second parties
    typed: list[Key] = []  # the last digits after the answer
    spoken: bool = False  # a voice was detected after the notice
    put_down_at: int | None = None  # start of a break longer than any flash key, after which a new call may follow
    put_down_until: int = 0  # the frame until which no audio after the break is written
    beep_from: int | None = None  # start of a tone that may be a mailbox's beep
    beeped: bool = False  # that tone was a beep, and the notice has played again
    dial_tone: bool = False  # dial tone was detected
    given_up: bool = False  # the exchange has ended dial tone: a handset off its cradle
    tone: str = ""  # busy, congestion, unobtainable or dial: now on the line, or the last one
    tone_at: int = 0  # its first frame, and below it the frame at which it became certain
    tone_known: int = 0
    disposition: Disposition = "unanswered"
    why: str = ""
    notices: list[NoticeRecord] = []
    greeting_from: int = 0  # the frame from which the greeting may be spoken
    notice_tries: int = 0
    notice_held: int = 0  # times that a possible fax tone has delayed the notice
    notice_from: int | None = None  # the first frame of a notice without a proof yet
    carrier_from: int = 0  # first frame of the fax or modem on the line
    carriers: int = 0  # number of carriers detected
    notice_until: int = 0  # the frame after its last possible echo
    notice_whole: bool = False  # that notice was played to the end
    deaf: bool | None = None  # whether the line was quiet under a whole unheard notice; None: there was none
    guessed: bool = False  # the answer is not proven (calls/doubtfulanswer.py)
    heard_as: NoticeProof | None = None  # the proof of a notice that was played on a guessed answer
    rung_again: int = 0  # times ringback during the call meant that the far end transfers it
    taken_back: int = 0  # guessed answers that were proved wrong
    held_until: int | None = None  # no audio is written before this frame: the guess may still be proved wrong
    first_frame: int | None = None  # of the recording
    by_sound: int = 0  # frames in which the card's meter was silent
    paused_at: int | None = None  # the frame from which no audio is written: a party has not heard the notice
    withheld: list[tuple[int, int]] = []  # past pauses, in frames
    waiting: bool = False  # the call-waiting tone was detected, and no flash since
    flashed_at: int | None = None  # the frame of a flash, after which digits may reach a second party
    keys: list[Key] = []  # the last digits, which may become a code
    marks: list[Mark] = []
    was_marked: bool = False  # marked in the record that this call continues
    situations: list[str] = []  # situations by their codes that staff have dialled, in this record or before
    flashed: bool = False  # since the answer: a party may be on hold at the PBX
    step: EndStep | None = None  # the notice that plays on the way to the call's end
    step_before: EndStep | None = None  # the last step that is over: keys that stopped its notice were dialled over it
    end: EndRecord | None = None  # how the unit ends the call, or has ended it
    end_spoken: int | None = None  # the frame at which the notice of an end had ended; a call has at most one
    release_due: int | None = None  # the frame from which on the contact may open
    release_asked: bool = False
    voice_after: bool = False  # a voice was heard after the contact had closed again
    opened_at: int | None = None  # start of the contact's opening: later audio waits for its result
    talking_from: int | None = None  # the frame of the answer, in a record that continues another
    extended: int = 0  # times that staff have given the call more time
    warned_at: int | None = None  # the frame at which the warning that was heard was due
    put_off: int = 0  # times that the longest time was put off, and the frame until which it is put off
    put_off_to: int = 0
    time_off: bool = False  # the longest time no longer applies
    call_time_reported: bool = False
    party_by: PartyBy | None = None  # evidence that another party joined a skipped call
    party_unknown: bool = False
    was_held: bool = False  # music on hold was detected, and no voice since
    held_at: int = 0  # its first frame in a recording, and below it the frame at which it became certain
    held_from: int = 0
    held_again: int = 0  # times a voice followed music on hold
    swapped_at: int | None = None  # a flash without digits since: another party may be on the line
    swap_due: int = 0  # the frame at which another party counts as certain, if a voice was detected
    swap_spoken: bool = False
    consulted_by: str | None = None  # the neighbour line's call, on hold while that line called this one
    dial_at: int | None = None  # start of the dial tone that is on the line
    beeped_at: int | None = None
    plays_until: int = 0  # end of a notice that opens no gate

    @property
    def is_marked(self) -> bool:
        """Whether this call, or the record that it continues, is marked as abusive."""
        return self.was_marked or any(mark.kind == ABUSE for mark in self.marks)

    def withhold(self, until: int) -> None:
        """Ends the pause: the audio from its beginning up to `until` stays out of the recording."""
        assert self.paused_at is not None
        if until > self.paused_at:
            self.withheld = [*self.withheld, (self.paused_at, until)]
        self.paused_at = None

    @property
    def duration_s(self) -> float | None:
        """Seconds from answer to end."""
        if self.answered_ns is None or self.ended_ns is None:
            return None
        return round((self.ended_ns - self.answered_ns) / NS_PER_S, 3)

    def record(self, unit: str, clock: ClockRecord) -> CallRecord:
        """The call's record at its end, without audio, files and retention, which are added later."""
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
            end=self.end or msgspec.UNSET,
            party_by=self.party_by or msgspec.UNSET,
            party_unknown=True if self.party_unknown else msgspec.UNSET,
            by_sound_s=round(self.by_sound / RATE_HZ, 2) if self.by_sound else msgspec.UNSET,
        )


def new_call_id(utc_ns: int, line: int, again: str = "") -> str:
    """`20261124T225600.123Z-L03`: the time of the line's first event, and the line.

    `again` distinguishes it from another call that may have the same name.
    """
    return f"{compact(utc_ns)}-L{line:02d}" + (f"-{again}" if again else "")


def _time(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)
