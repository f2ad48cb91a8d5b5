# SPDX-License-Identifier: Apache-2.0
"""The day's account: calls of the PBX without a recording, and recordings without a line of the PBX.

The account is for a report: numbers are masked when they are entered, and no raw line is kept. Calls without a line are
remembered for some time after their seal, so that a late line is not counted as a missing call.

A day is settled GRACE after its midnight. The last settled day is kept, corrected and settled again when a call over
midnight, or a late line, changes it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from linetap.config.schema import Config
from linetap.recorder.pbx.match import CallTimes, Matcher, times_of
from linetap.recorder.smdr.layouts import SmdrLine
from linetap_core.clock import NS_PER_S, from_utc_ns, rfc3339
from linetap_core.durable.smallfile import SmallFile
from linetap_core.mask import masked
from linetap_core.records import CallRecord, PbxDay
from linetap_core.zones import local_time, zone_of

# If the caller hung up before the end of the notice, there was nothing to record.
_TOO_SHORT = ("ended_before_notice", "ended_during_notice")
MOST_ENTRIES = 200  # of each kind a day: nobody reads more, and the checkpoint contains them
MOST_LATE = 200
MOST_DAYS = 3
LATE_NS = 3600 * NS_PER_S  # ours: after a blocked printer port, a PBX prints the lines it has kept
RECENT_NS = 300 * NS_PER_S  # ours: longer than a line waits for its call
GRACE = timedelta(minutes=10)  # after midnight, for late lines
NO_RECORD = "no_record"


def is_missing(smdr: SmdrLine, answered: bool, disposition: str, why: str) -> bool:
    """Whether a call with a record lacks a recording that was due.

    No recording is due of a call that policy excludes (skipped, exempt, fax, modem), or that nobody answered:
    `missed`, `unanswered`, or of no length at the PBX.
    """
    return disposition == "discarded" and why not in _TOO_SHORT and answered and smdr.duration_s != 0


class NotRecorded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call of the PBX without a recording. `why`: `no_record`, or the reason in its record."""

    line: int | None  # our line; None: the PBX's line names none of ours
    started_at: str  # by the PBX's clock
    kind: str
    number: str  # masked
    why: str
    duration_s: int | None = None
    call_id: str | None = None


class NotSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A recording without a line of the PBX."""

    call_id: str
    line: int
    ended_at: str
    duration_s: float | None


class Day(msgspec.Struct, kw_only=True):
    """The content of `smdr/<day>.json` in the vault."""

    day: str
    zone: str
    lines: int = 0  # SMDR lines that were calls, on any telephone line
    bad: int = 0
    matched: int = 0
    late: int = 0  # matched lines that came after the seal of their call
    parts: int = 0  # further lines of transferred calls
    unmatched: int = 0  # lines without a record, and recordings without a line
    not_recorded: list[NotRecorded] = []
    not_seen: list[NotSeen] = []
    left_off: int = 0  # entries beyond the lists' length
    counted: bool = False  # the four below are counted from the day's beginning; earlier versions did not count them
    calls: int = 0  # external calls on our lines, each counted once
    recorded: int = 0  # of these calls
    missing: int = 0  # of these calls, without a recording that was due
    unseen: int = 0  # external recordings without a line of the PBX

    def figures(self) -> PbxDay | None:
        """The day's figures for the desk; None: they were not counted."""
        if not self.counted:
            return None
        return PbxDay(day=self.day, calls=self.calls, recorded=self.recorded, missing=self.missing, unseen=self.unseen)


DAY_FILE = SmallFile("pbx_day", Day)


class Late(msgspec.Struct, frozen=True):
    """A call that was sealed without a line."""

    call_id: str
    times: CallTimes
    disposition: str
    why: str
    internal: bool = False  # as known at the seal


def late_of(record: CallRecord) -> Late:
    """The fields of this call that a late line is compared with."""
    return Late(record.call_id, times_of(record), record.disposition, record.why, record.internal)


class Alone(msgspec.Struct, frozen=True):
    """A line without a call: its call may still be running."""

    report: SmdrLine
    entry: NotRecorded


class LedgerMemory(msgspec.Struct):
    days: dict[str, Day] = {}
    late: list[Late] = []
    alone: list[Alone] = []
    recent: list[CallTimes] = []  # times of calls that are over
    settled: Day | None = None  # the last settled day


class Ledger:
    """The accounts of the days that are not settled, and of the last settled one."""

    def __init__(self, config: Config, matcher: Matcher, memory: LedgerMemory | None = None) -> None:
        self.memory = memory or LedgerMemory()
        self._matcher = matcher
        self._zone = zone_of(config.retention.zone)

    def day_at(self, utc_ns: int) -> Day:
        """The account of the day of this moment."""
        name = self.name_at(utc_ns)
        days = self.memory.days
        if name not in days:
            settled = self.memory.settled
            again = settled is not None and settled.day == name
            days[name] = settled if settled and again else Day(day=name, zone=self._zone.key, counted=True)
        return days[name]

    def last_day(self) -> PbxDay | None:
        """The figures of the last settled day; None before the first one."""
        return self.memory.settled.figures() if self.memory.settled is not None else None

    def matched(self, smdr: SmdrLine, call: Late) -> None:
        """Counts a matched line; enters its call if the PBX counted a conversation and there is no recording."""
        day = self.day_at(smdr.arrived_ns)
        day.matched += 1
        if not (call.internal or self._matcher.is_internal(smdr)):
            day.calls += 1
            day.recorded += call.disposition == "recorded"
            day.missing += is_missing(smdr, call.times.answered, call.disposition, call.why)
        if call.disposition != "recorded" and smdr.duration_s and call.times.answered:
            entry = self._entry(smdr, call.times.line, call.why or call.disposition, call.call_id)
            self._add(day, day.not_recorded, entry)

    def call_over(self, times: CallTimes) -> None:
        """Adds the times of a call that is over: lines printed during it are its parts, not calls without a record."""
        memory = self.memory
        memory.recent = [*_since(memory.recent, times.ended_ns - RECENT_NS), times][-MOST_LATE:]
        for alone in [alone for alone in memory.alone if self._matcher.is_part(times, alone.report)]:
            memory.alone.remove(alone)
            day = self.day_at(alone.report.arrived_ns)
            day.parts += 1
            day.unmatched -= 1
            self._count_alone(day, alone.report, -1)
            if alone.entry in day.not_recorded:
                day.not_recorded.remove(alone.entry)
            else:
                day.left_off -= 1

    def line_alone(self, smdr: SmdrLine) -> None:
        """Enters a line without a call: a late line, or a call on one of our lines without a record."""
        fits = [(fit, call) for call in self.memory.late if (fit := self._matcher.misfit(call.times, smdr)) is not None]
        if fits:
            _, call = min(fits, key=lambda found: found[0])
            self.matched(smdr, call)
            self.day_at(smdr.arrived_ns).late += 1
            self._match_late(call)
            if call.times.cut_off:
                rest = [late for late in self.memory.late if self._matcher.is_rest(late.times, call.times, smdr)]
                for late in rest:
                    self._match_late(late)
        elif any(self._matcher.is_part(times, smdr) for times in self.memory.recent):
            self.day_at(smdr.arrived_ns).parts += 1
        elif (line := self._matcher.our_line(smdr)) is not None:
            day, entry = self.day_at(smdr.arrived_ns), self._entry(smdr, line, NO_RECORD, None)
            day.unmatched += 1
            self._count_alone(day, smdr, 1)
            self._add(day, day.not_recorded, entry)
            self.memory.alone = [*self.memory.alone, Alone(smdr, entry)][-MOST_LATE:]

    def call_alone(self, record: CallRecord) -> None:
        """Enters a call that is sealed without a line."""
        times = times_of(record)
        self._await_late(record, times)
        if record.disposition == "recorded":
            day = self.day_at(times.ended_ns)
            day.unmatched += 1
            day.unseen += not record.internal
            ended_at, length = rfc3339(times.ended_ns), record.duration_s
            entry = NotSeen(call_id=record.call_id, line=record.line, ended_at=ended_at, duration_s=length)
            self._add(day, day.not_seen, entry)

    def call_recovered(self, record: CallRecord) -> None:
        """Enters a call that a power cut interrupted before its seal.

        Lines printed while power was off were not read, so a missing line proves nothing.
        """
        times = times_of(record)
        self.call_over(times)
        self._await_late(record, times)

    def over(self, utc_ns: int) -> list[Day]:
        """The days that are over, in order; all but the last are dropped from the memory."""
        now = from_utc_ns(utc_ns)
        memory, days = self.memory, self.memory.days
        names = sorted(days)
        ended = [name for name in names if now >= self._midnight_after(name) + GRACE]
        too_many = [name for name in names[:-MOST_DAYS] if name not in ended]
        if ended:
            memory.settled = days[ended[-1]]
        over = [days.pop(name) for name in sorted(ended + too_many)]
        if over:
            known = {*days, memory.settled.day} if memory.settled is not None else {*days}
            memory.alone = [alone for alone in memory.alone if self.name_at(alone.report.arrived_ns) in known]
        return over

    def name_at(self, utc_ns: int) -> str:
        """The day at this moment in the zone, such as 2026-11-25."""
        return f"{local_time(utc_ns, self._zone):%Y-%m-%d}"

    def _midnight_after(self, name: str) -> datetime:
        day = datetime.strptime(name, "%Y-%m-%d").replace(tzinfo=self._zone)
        return day + timedelta(days=1)

    def _entry(self, smdr: SmdrLine, line: int, why: str, call_id: str | None) -> NotRecorded:
        return NotRecorded(
            line=line,
            started_at=rfc3339(smdr.started_ns),
            kind=smdr.kind,
            number=masked(smdr.number),
            why=why,
            duration_s=smdr.duration_s,
            call_id=call_id,
        )

    def _add[Entry](self, day: Day, entries: list[Entry], entry: Entry) -> None:
        if len(entries) < MOST_ENTRIES:
            entries.append(entry)
        else:
            day.left_off += 1

    def _count_alone(self, day: Day, smdr: SmdrLine, step: int) -> None:
        if not self._matcher.is_internal(smdr):
            day.calls += step
            day.missing += step

    def _await_late(self, record: CallRecord, times: CallTimes) -> None:
        oldest_ns = times.ended_ns - LATE_NS
        kept = [late for late in self.memory.late if late.times.ended_ns >= oldest_ns or late.times.cut_off]
        self.memory.late = [*kept, late_of(record)][-MOST_LATE:]

    def _match_late(self, call: Late) -> None:
        self.memory.late.remove(call)
        settled = self.memory.settled
        for day in [*self.memory.days.values(), *([settled] if settled is not None else [])]:
            for entry in day.not_seen:
                if entry.call_id == call.call_id:
                    day.not_seen.remove(entry)
                    day.unmatched -= 1
                    day.unseen -= not call.internal
                    self.memory.days.setdefault(day.day, day)  # to be written again
                    return


def _since(calls: list[CallTimes], ns: int) -> list[CallTimes]:
    return [times for times in calls if times.ended_ns >= ns]
