# SPDX-License-Identifier: Apache-2.0
"""Checks the plausibility of a log: the order of its leaves, their times, retention days, and holds.

The unit signs the whole log, so a false leaf must fit all others. Only witnesses detect that a log was rewritten as a
whole.

Times may decrease only where the log records a clock step. Two threads stamp leaves: the vault's, which a slow disk may
delay, and the main one; each is compared with itself. A destruction is dated by retention time, which continues while a
clock is wrong; the clock beside it must have reached that date too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

from msgspec import UNSET

from linetap_core.clock import NS_PER_DAY, NS_PER_MS, NS_PER_S, parse_rfc3339, rfc3339, utc_ns_of
from linetap_core.evidence.merklelog.unitlog import Leaf

SLACK_NS = 60 * NS_PER_S  # steps smaller than a clock_step, and a thread's turn
NEARBY_LEAVES = 64  # leaves: the vault's thread may see a step before the main one logs it
RETENTION_AHEAD_NS = NS_PER_DAY  # retention time may be ahead of the clock
_VAULT_THREAD_KINDS = ("open", "end", "close", "gap", "notice_failure", "refused", "key_list")
_MAIN_THREAD_KINDS = ("start", "stop", "heartbeat", "clock_step")


class LogTimes:
    """Checks that times decrease only where a leaf records a clock step."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._last_ns: dict[str, int] = {}  # newest time of each thread since a start or a step back
        self._newest_ns = 0  # newest time of all leaves stamped by a clock
        self._clock_ns: int | None = None  # time of the last of them
        self._decreases: list[tuple[int, int, str]] = []  # decreases without an explanation yet: leaf, amount, sentence
        self._pending: list[tuple[int, str, str]] = []  # least next time: ns, code, sentence
        self._earlier_starts = self._unjudged_count = 0
        self._is_date_set = False  # a signed `time` command set the date: the unit's clock may have any value

    def check_leaf(self, index: int, leaf: Leaf, at_ns: int) -> None:
        self._is_date_set |= leaf.kind == "command" and leaf.verb == "time"
        thread = "vault" if leaf.kind in _VAULT_THREAD_KINDS else "main" if leaf.kind in _MAIN_THREAD_KINDS else None
        if thread is None:
            return
        if leaf.kind == "start":
            self._record_start(index, at_ns)
        elif leaf.kind == "clock_step" and leaf.ms < 0:
            self._record_step_back(index, -round(leaf.ms) * NS_PER_MS, at_ns)
        elif (decrease_ns := self._last_ns.get(thread, 0) - at_ns) > SLACK_NS:
            by_s = decrease_ns // NS_PER_S
            text = f"leaf {index} ({leaf.kind}) is of {leaf.at}, {by_s} s before one that stands before it"
            self._decreases.append((index, decrease_ns, text))
            self._last_ns[thread] = at_ns
        self._last_ns[thread] = max(self._last_ns.get(thread, 0), at_ns)
        self._clock_ns = at_ns
        self._newest_ns = max(self._newest_ns, at_ns)
        self._check_pending(at_ns)
        self._report_unexplained(index)

    def require_reached(self, ns: int, code: str, text: str) -> None:
        """Requires that the clock has reached that time, or has at the next leaf."""
        if self._clock_ns is None or self._clock_ns + RETENTION_AHEAD_NS < ns:
            self._pending.append((ns, code, text))

    def end(self, head_ns: int | None) -> None:
        if head_ns is not None:
            self._clock_ns = head_ns
            self._check_pending(head_ns)
        self._report_unexplained(None)

    def notes(self) -> list[str]:
        notes = []
        if self._earlier_starts:
            notes.append(f"{self._earlier_starts} times the clock stood earlier after a start than before it")
        if self._unjudged_count:
            notes.append(
                f"{self._unjudged_count} destroyed while the clock had gone back, or a signed answer set the date:"
                " their time cannot be judged by it"
            )
        return notes

    def _check_pending(self, clock_ns: int) -> None:
        for ns, code, text in self._pending:
            if clock_ns + RETENTION_AHEAD_NS >= ns:
                continue
            if clock_ns + RETENTION_AHEAD_NS < self._newest_ns or self._is_date_set:
                self._unjudged_count += 1
            else:
                self._report(
                    code, f"{text}: the clock stood at {rfc3339(clock_ns)}, it should be kept until {rfc3339(ns)}"
                )
        self._pending.clear()

    def _record_start(self, index: int, at_ns: int) -> None:
        """Records a start, after which a machine without a real-time clock may have any time."""
        self._earlier_starts += max(self._last_ns.values(), default=0) - at_ns > SLACK_NS or bool(
            self._recent_decreases(index)
        )
        self._decreases = [each for each in self._decreases if each not in self._recent_decreases(index)]
        self._last_ns = {}

    def _record_step_back(self, index: int, step_ns: int, at_ns: int) -> None:
        explained = [each for each in self._recent_decreases(index) if each[1] <= step_ns + SLACK_NS]
        self._decreases = [each for each in self._decreases if each not in explained]
        self._last_ns = {thread: min(last_ns, at_ns) if last_ns - at_ns <= step_ns + SLACK_NS else last_ns
                      for thread, last_ns in self._last_ns.items()}  # fmt: skip

    def _recent_decreases(self, index: int) -> list[tuple[int, int, str]]:
        return [each for each in self._decreases if index - each[0] <= NEARBY_LEAVES]

    def _report_unexplained(self, index: int | None) -> None:
        """Reports decreases that no clock step explained within NEAR leaves."""
        for each in [each for each in self._decreases if index is None or index - each[0] > NEARBY_LEAVES]:
            self._report("time_back", f"{each[2]}, without a clock_step")
            self._decreases.remove(each)


LATE_NS = 7 * NS_PER_DAY  # a unit may be off for days, and may wait for an agreed clock
_EARLIEST_ZONE = timedelta(hours=14)  # the zone where a day ends first
_BEFORE_DESTRUCTION = ("open", "end", "close", "gap", "notice_failure", "hold", "copy", "amendment")
_WHILE_RUNNING = ("open", "heartbeat", "clock_step", "stop")

Report = Callable[[str, str], None]


class _CallState:
    """The state of one call, from the leaves so far."""

    __slots__ = (
        "close_until",
        "hold_end_ns",
        "is_closed",
        "is_destroyed",
        "is_hold_shortened",
        "record_sha256",
        "until",
    )

    def __init__(self) -> None:
        self.is_closed = self.is_destroyed = self.is_hold_shortened = False
        self.record_sha256: str | None = None
        self.close_until: object = UNSET  # from its close: RFC 3339; None for a call without a day
        self.until: object = UNSET  # `close_until`, or from its last amendment
        self.hold_end_ns: int | None = None  # end of the present hold


class LogOrder:
    """The check of the leaves' order; receives every leaf in turn, then `end`. `report` takes a code and a sentence."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._times = LogTimes(report)
        self._calls: dict[str, _CallState] = {}
        self._stop_index: int | None = None
        self._unjudged_count = 0  # destroyed calls for which only the destruction states the retention
        self._shortened_holds = 0  # destroyed calls whose hold a shorter one had replaced
        self._amendments = self._first_ends = 0  # amendments of an end, and those for calls without one
        self._now_ns: int | None = None

    def check_leaf(self, index: int, leaf: Leaf) -> None:
        try:
            at_ns = parse_rfc3339(leaf.at)
        except ValueError:
            self._report("bad_leaf", f"leaf {index} has no valid time")
            return
        self._times.check_leaf(index, leaf, at_ns)
        self._check_start_stop(index, leaf)
        if leaf.call_id is not None:
            self._check_call(index, leaf, at_ns, self._calls.setdefault(leaf.call_id, _CallState()))
        elif leaf.kind == "destruction" and leaf.epoch is not None:
            self._check_epoch(index, leaf.epoch, at_ns)

    def end(self, head_at: str | None, now_ns: int | None) -> None:
        """Reports the contradictions left after the last leaf. `head_at`: the time of the signed head. `now_ns`: the
        time by which a call is late."""
        self._now_ns = now_ns
        self._times.end(_parsed_ns(head_at))

    def late_problem(self, call_id: str, until: str | None) -> str | None:
        """The problem if an existing call should have been destroyed long before the log's end and now; else None."""
        state = self._calls.get(call_id)
        if state is not None and state.until != state.close_until and isinstance(state.until, str):
            until = state.until
        if until is None or self._now_ns is None or (state is not None and state.hold_end_ns is not None):
            return None
        try:
            is_late = self._now_ns - parse_rfc3339(until) > LATE_NS
        except ValueError:
            return None
        return f"kept late: its time was over at {until}, nothing holds it, and it is there" if is_late else None

    def has_other_until(self, call_id: str, until: str | None) -> bool:
        """Whether the call's close states another end than its record."""
        state = self._calls.get(call_id)
        return state is not None and state.close_until is not UNSET and state.close_until != until

    def notes(self) -> list[str]:
        """Points that could not be judged."""
        notes = self._times.notes()
        if self._unjudged_count:
            notes.append(
                f"{self._unjudged_count} destroyed: their close has no `until` (an older version), so that they were"
                " not destroyed early is the word of the destruction alone"
            )
        if self._amendments:
            notes.append(
                f"{self._amendments} amended: another end than their records say, {self._first_ends} of them had none,"
                " for want of an agreed clock"
            )
        if self._shortened_holds:
            notes.append(
                f"{self._shortened_holds} destroyed after a hold was replaced by a shorter one: the officer's"
                " signature was in its document, which was destroyed with the call"
            )
        return notes

    def _check_start_stop(self, index: int, leaf: Leaf) -> None:
        if leaf.kind == "start":
            self._stop_index = None
        elif self._stop_index is not None and leaf.kind in _WHILE_RUNNING:
            self._report(
                "after_stop",
                f"leaf {index} ({leaf.kind}) comes after the stop of leaf {self._stop_index}, no start between",
            )
        if leaf.kind == "stop":
            self._stop_index = index

    def _check_call(self, index: int, leaf: Leaf, at_ns: int, state: _CallState) -> None:
        name = f"leaf {index}: {leaf.call_id}"
        if state.is_destroyed and leaf.kind in _BEFORE_DESTRUCTION:
            self._report("after_destruction", f"{name}: {leaf.kind} after its destruction")
        elif leaf.kind == "open" and state.is_closed:
            self._report("open_after_close", f"{name}: opened after its close")
        elif leaf.kind == "close":
            state.is_closed, state.record_sha256, state.until = True, leaf.record_sha256, leaf.until
            state.close_until = leaf.until
            self._require_valid_until(name, leaf)
        elif leaf.kind == "amendment":
            self._check_amendment(name, leaf, state)
        elif leaf.kind == "hold":
            self._check_hold(name, leaf, at_ns, state)
        elif leaf.kind == "destruction":
            self._check_destruction(name, leaf, at_ns, state)

    def _check_amendment(self, name: str, leaf: Leaf, state: _CallState) -> None:
        self._require_valid_until(name, leaf)
        if not state.is_closed:
            self._report("amended_unclosed", f"{name}: amended without a seal before")
        elif _parsed_ns(leaf.until) is None:
            self._report("bad_until", f"{name}: its amendment gives it no end")
        else:
            self._amendments += 1
            self._first_ends += state.until is None
            state.until = leaf.until

    def _check_hold(self, name: str, leaf: Leaf, at_ns: int, state: _CallState) -> None:
        if not leaf.ended:
            until_ns = _parsed_ns(leaf.until) or 1 << 63
            state.is_hold_shortened |= state.hold_end_ns is not None and until_ns < state.hold_end_ns
            state.hold_end_ns = until_ns
            return
        if state.hold_end_ns is not None:
            if at_ns < state.hold_end_ns:
                self._report(
                    "hold_ended_early", f"{name}: its hold ended at {leaf.at}, not at {_until_text(state.hold_end_ns)}"
                )
            self._times.require_reached(state.hold_end_ns, "hold_ended_early", f"{name}: its hold ended")
        state.hold_end_ns = None

    def _check_destruction(self, name: str, leaf: Leaf, at_ns: int, state: _CallState) -> None:
        if not state.is_closed:
            self._report("destroyed_unclosed", f"{name}: destroyed without a seal before")
        elif leaf.record_sha256 is not None and leaf.record_sha256 != state.record_sha256:
            self._report("destroyed_other", f"{name}: destroyed with another record than was sealed")
        state.is_destroyed = True
        self._shortened_holds += state.is_hold_shortened
        self._require_valid_until(name, leaf)
        if state.hold_end_ns is not None:
            self._report(
                "destroyed_held", f"{name}: destroyed early: a hold until {_until_text(state.hold_end_ns)} stands"
            )
            return
        if state.until is None:
            self._report("destroyed_early", f"{name}: destroyed early: it had no day on which to go")
            return
        if state.until is UNSET:
            self._unjudged_count += 1
        elif leaf.until is not UNSET and leaf.until != state.until:
            self._report(
                "other_until", f"{name}: kept until {leaf.until} by its destruction, {state.until} by its close"
            )
        until_ns = _parsed_ns(leaf.until if state.until is UNSET else state.until)
        if until_ns is None:
            return
        if at_ns < until_ns:
            self._report(
                "destroyed_early", f"{name}: destroyed early: at {leaf.at}, to be kept until {_until_text(until_ns)}"
            )
        else:
            self._times.require_reached(until_ns, "destroyed_early", f"{name}: destroyed early")

    def _require_valid_until(self, name: str, leaf: Leaf) -> None:
        """Requires a valid end: an invalid one would never be reached and compared."""
        if isinstance(leaf.until, str) and _parsed_ns(leaf.until) is None:
            self._report("bad_until", f"{name}: its {leaf.kind} has the invalid end {leaf.until[:40]!r}")

    def _check_epoch(self, index: int, epoch: str, at_ns: int) -> None:
        """Requires that a day's key is destroyed after that day, in the zone where it ends first; an overflow epoch has
        no day."""
        try:
            day_end = datetime.combine(date.fromisoformat(epoch) + timedelta(days=1), time(), UTC) - _EARLIEST_ZONE
        except (ValueError, OverflowError):
            return
        day_end_ns = utc_ns_of(day_end)
        text = f"leaf {index}: the key of epoch {epoch} destroyed early"
        if at_ns < day_end_ns:
            self._report("destroyed_early", f"{text}: before its day was over")
        else:
            self._times.require_reached(day_end_ns, "destroyed_early", text)


def _parsed_ns(text: object) -> int | None:
    try:
        return parse_rfc3339(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _until_text(ns: int) -> str:
    return rfc3339(ns) if ns < 1 << 63 else "further notice"
