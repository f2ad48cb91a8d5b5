# SPDX-License-Identifier: Apache-2.0
"""Compares lines of the PBX with our calls: whether they are the same call, and how well they fit."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from linetap.config import patternsubset
from linetap.config.schema import Config, Line
from linetap.recorder.smdr.layouts import SmdrLine
from linetap_core.clock import NS_PER_MS, NS_PER_S, ns_of, parse_rfc3339
from linetap_core.records import CallRecord
from linetap_core.timekeeping import is_unkept
from linetap_core.wire import smdrcolumns

DURATION_SLACK_S = 10.0  # ours: the PBX counts from another moment of the answer to its own on-hook
DURATION_SLACK_SHARE = 0.1
START_WEIGHT = 0.1  # ours: a wrong clock of the PBX shifts all calls alike, but no durations
OTHER_DIGITS_S = 30.0  # ours: the weight of digits that differ, in seconds
LEAST_DIGITS = 4  # a shorter number is an extension or a service, common to many calls
PART_S = 1000.0  # ours: a line of the whole call is always better than a line of a part
PRINTED_NS = 5 * NS_PER_S  # ours: a part is printed when it ends
EARLY_NS = 2 * NS_PER_S  # ours: a line may come before the recorder is certain of the call's beginning


class CallTimes(msgspec.Struct, frozen=True, kw_only=True):
    """The times of an ended call, in UTC ns, with which lines are compared."""

    line: int
    starts_ns: list[int]  # ringing, off-hook, answer: PBXs count from any of these
    ended_ns: int
    answered: bool
    continues: bool  # the call began in another record
    cut_off: bool = False  # by a power cut: its end is not known
    number: str  # dialled, or the caller's
    unkept: bool = False  # dated by an unsynchronised clock: not comparable with the PBX's time of day


def times_of(record: CallRecord) -> CallTimes:
    """The call's times by the clock at its end, which also dates the PBX's line on arrival.

    The record's own times are by the clock at the call's beginning.
    """
    starts = [parse_rfc3339(text) for text in (record.ring_at, record.off_hook_at, record.answered_at) if text]
    ended = parse_rfc3339(record.ended_at) if record.ended_at else max(starts, default=0)
    stepped_ms = record.clock.stepped_ms if record.clock is not None else UNSET
    stepped_ns = 0 if stepped_ms is UNSET else stepped_ms * NS_PER_MS
    starts, ended = [start + stepped_ns for start in starts], ended + stepped_ns
    caller = record.caller.number if record.caller is not None else None
    return CallTimes(
        line=record.line,
        starts_ns=starts or [ended],
        ended_ns=ended,
        answered=record.answered_at is not None,
        continues=record.continues is not None,
        cut_off=record.ended_by == "power",
        unkept=is_unkept(record.clock, ended),
        number=(caller if record.direction == "in" else record.dialled) or "",
    )


def _started_ns(call: CallTimes, smdr: SmdrLine) -> int:
    """The begin of the PBX's call, by our clock.

    The PBX's own time is used; if our clock was not synchronised, the line's arrival, which is at the call's end.
    """
    if not call.unkept:
        return smdr.started_ns
    return smdr.arrived_ns - (smdr.duration_s or 0) * NS_PER_S


class Matcher:
    """Compares lines and calls by the configuration's lines and tolerances."""

    def __init__(self, config: Config) -> None:
        self._lines = {line.number: line for line in config.line}
        self._nothing_named = not any(line.extension or line.trunk for line in config.line)
        self._tolerance_s = config.smdr.tolerance_s
        minutes = config.smdr.format == smdrcolumns.COLUMNS and "S" not in config.smdr.duration
        self._slack_s = DURATION_SLACK_S + (60 if minutes else 0)
        self._internal = config.recording.internal_pattern
        self._extensions = {line.extension for line in config.line if line.extension}

    def our_line(self, smdr: SmdrLine) -> int | None:
        """Our line that the SMDR line names; None: it names no line of ours, or our lines have no names."""
        return next((number for number, line in self._lines.items() if self._names(line, smdr)), None)

    def may_be_ours(self, smdr: SmdrLine) -> bool:
        """Whether the SMDR line can belong to a call of ours: by name, or, on lines without a name, by number."""
        if self.our_line(smdr) is not None:
            return True
        unnamed = any(not line.extension and not line.trunk for line in self._lines.values())
        return unnamed and (len(smdr.number) >= LEAST_DIGITS or self._nothing_named)

    def is_internal(self, smdr: SmdrLine) -> bool:
        """Whether both ends are extensions."""
        return smdr.kind == "internal" or (self._is_extension(smdr.extension) and self._is_extension(smdr.number))

    def misfit(self, call: CallTimes, smdr: SmdrLine) -> float | None:
        """The misfit in seconds, 0 if perfect; None: not the same call."""
        line = self._lines.get(call.line)
        digits = _same_digits(call.number, smdr.number)
        if line is None or not self._of_line(line, smdr, digits):
            return None
        if smdr.arrived_ns < min(call.starts_ns) - EARLY_NS:
            return None
        started_ns = _started_ns(call, smdr)
        start_off = min(abs(started_ns - start) for start in call.starts_ns) / NS_PER_S
        if call.continues:
            start_off = abs(started_ns + (smdr.duration_s or 0) * NS_PER_S - call.ended_ns) / NS_PER_S
        duration_off = self._duration_off(call, smdr)
        if start_off > self._tolerance_s or duration_off is None:
            return PART_S + (call.ended_ns - min(call.starts_ns)) / NS_PER_S if self.is_part(call, smdr) else None
        return duration_off + START_WEIGHT * start_off + (OTHER_DIGITS_S if digits is False else 0.0)

    def is_rest(self, call: CallTimes, cut_off: CallTimes, smdr: SmdrLine) -> bool:
        """Whether `smdr` belongs to the call that was cut off, and `call` is its continuation after the power cut."""
        end_ns = max(cut_off.starts_ns) + ns_of((smdr.duration_s or 0) + self._slack_s)
        return call.line == cut_off.line and cut_off.ended_ns <= min(call.starts_ns) and call.ended_ns <= end_ns

    def is_part(self, call: CallTimes, smdr: SmdrLine) -> bool:
        """Whether `smdr` is one of several lines of a transferred call, printed during the call.

        A telephone line has one call at a time, so its name and the time of printing suffice; digits need not fit.
        """
        line = self._lines.get(call.line)
        if line is None or smdr.duration_s is None or not self._names(line, smdr):
            return False
        first, tolerance_ns = min(call.starts_ns), self._tolerance_s * NS_PER_S
        started_ns = _started_ns(call, smdr)
        smdr_end = started_ns + smdr.duration_s * NS_PER_S
        printed = first + ns_of(smdr.duration_s - self._slack_s) <= smdr.arrived_ns
        printed = printed and first <= smdr.arrived_ns <= call.ended_ns + PRINTED_NS
        return printed and first - tolerance_ns <= started_ns and smdr_end <= call.ended_ns + tolerance_ns

    def _duration_off(self, call: CallTimes, smdr: SmdrLine) -> float | None:
        if smdr.duration_s is None or call.continues:
            return 0.0
        lengths = [(call.ended_ns - start) / NS_PER_S for start in call.starts_ns]
        if not call.answered:
            lengths.append(0.0)
        off = min(max(length - smdr.duration_s, 0 if call.cut_off else smdr.duration_s - length) for length in lengths)
        return off if off <= self._slack_s + DURATION_SLACK_SHARE * max(lengths) else None

    def _of_line(self, line: Line, smdr: SmdrLine, digits: bool | None) -> bool:
        """Whether the SMDR line may belong to this telephone line.

        Without a name the digits decide; if no line has a name, trunk 1 is also line 1.
        """
        if line.extension or line.trunk:
            return self._names(line, smdr)
        by_number = self._nothing_named and smdr.trunk.isdecimal() and int(smdr.trunk) == line.number
        return digits is True or (by_number and digits is None)

    def _names(self, line: Line, smdr: SmdrLine) -> bool:
        """Whether the SMDR line names this telephone line. An extension may be at either end of an internal call."""
        if line.extension and line.extension in (smdr.extension, smdr.number):
            return True
        return bool(line.trunk and smdr.trunk) and _bare(line.trunk or "") == _bare(smdr.trunk)

    def _is_extension(self, number: str) -> bool:
        return bool(number) and (number in self._extensions or patternsubset.matches(self._internal, number))


def _same_digits(ours: str, theirs: str) -> bool | None:
    """Whether the numbers agree; None: one of them is unknown. PBXs omit the trunk prefix."""
    if len(ours) < LEAST_DIGITS or len(theirs) < LEAST_DIGITS:
        return None
    return ours.endswith(theirs) or theirs.endswith(ours)


def _bare(trunk: str) -> str:
    return trunk.lstrip("0") or "0"
