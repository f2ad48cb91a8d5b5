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
NEAR = 64  # leaves: the vault's thread may see a step before the main one logs it
AHEAD_NS = NS_PER_DAY  # retention time may be ahead of the clock
_VAULT = ("open", "end", "close", "gap", "notice_failure", "refused", "key_list")
_MAIN = ("start", "stop", "heartbeat", "clock_step")


class LogTimes:
    """Checks that times decrease only where a leaf records a clock step."""

    def __init__(self, bad: Bad) -> None:
        self._bad = bad
        self._last: dict[str, int] = {}  # newest time of each thread since a start or a step back
        self._newest = 0  # newest time of all leaves stamped by a clock
        self._clock_ns: int | None = None  # time of the last of them
        self._back: list[tuple[int, int, str]] = []  # decreases without an explanation yet: leaf, amount, sentence
        self._due: list[tuple[int, str, str]] = []  # least next time: ns, code, sentence
        self._restarts = self._unjudged = 0
        self._was_dated = False  # a signed `time` command set the date: the unit's clock may have any value

    def check_leaf(self, index: int, leaf: Leaf, at_ns: int) -> None:
        self._was_dated |= leaf.kind == "command" and leaf.verb == "time"
        thread = "vault" if leaf.kind in _VAULT else "main" if leaf.kind in _MAIN else None
        if thread is None:
            return
        if leaf.kind == "start":
            self._started(index, at_ns)
        elif leaf.kind == "clock_step" and leaf.ms < 0:
            self._stepped(index, -round(leaf.ms) * NS_PER_MS, at_ns)
        elif (back := self._last.get(thread, 0) - at_ns) > SLACK_NS:
            text = f"leaf {index} ({leaf.kind}) is of {leaf.at}, {back // NS_PER_S} s before one that stands before it"
            self._back.append((index, back, text))
            self._last[thread] = at_ns
        self._last[thread] = max(self._last.get(thread, 0), at_ns)
        self._clock_ns = at_ns
        self._newest = max(self._newest, at_ns)
        self._judge_due(at_ns)
        self._report_unexplained(index)

    def require_reached(self, ns: int, code: str, text: str) -> None:
        """Requires that the clock has reached that time, or has at the next leaf."""
        if self._clock_ns is None or self._clock_ns + AHEAD_NS < ns:
            self._due.append((ns, code, text))

    def end(self, head_ns: int | None) -> None:
        if head_ns is not None:
            self._clock_ns = head_ns
            self._judge_due(head_ns)
        self._report_unexplained(None)

    def notes(self) -> list[str]:
        found = []
        if self._restarts:
            found.append(f"{self._restarts} times the clock stood earlier after a start than before it")
        if self._unjudged:
            found.append(
                f"{self._unjudged} destroyed while the clock had gone back, or a signed answer set the date: their"
                " time cannot be judged by it"
            )
        return found

    def _judge_due(self, clock_ns: int) -> None:
        for ns, code, text in self._due:
            if clock_ns + AHEAD_NS >= ns:
                continue
            if clock_ns + AHEAD_NS < self._newest or self._was_dated:
                self._unjudged += 1
            else:
                self._bad(
                    code, f"{text}: the clock stood at {rfc3339(clock_ns)}, it should be kept until {rfc3339(ns)}"
                )
        self._due.clear()

    def _started(self, index: int, at_ns: int) -> None:
        """Records a start, after which a machine without a real-time clock may have any time."""
        self._restarts += max(self._last.values(), default=0) - at_ns > SLACK_NS or bool(self._recent_decreases(index))
        self._back = [each for each in self._back if each not in self._recent_decreases(index)]
        self._last = {}

    def _stepped(self, index: int, by_ns: int, at_ns: int) -> None:
        explained = [each for each in self._recent_decreases(index) if each[1] <= by_ns + SLACK_NS]
        self._back = [each for each in self._back if each not in explained]
        self._last = {thread: min(last, at_ns) if last - at_ns <= by_ns + SLACK_NS else last
                      for thread, last in self._last.items()}  # fmt: skip

    def _recent_decreases(self, index: int) -> list[tuple[int, int, str]]:
        return [each for each in self._back if index - each[0] <= NEAR]

    def _report_unexplained(self, index: int | None) -> None:
        """Reports decreases that no clock step explained within NEAR leaves."""
        for each in [each for each in self._back if index is None or index - each[0] > NEAR]:
            self._bad("time_back", f"{each[2]}, without a clock_step")
            self._back.remove(each)


LATE_NS = 7 * NS_PER_DAY  # a unit may be off for days, and may wait for an agreed clock
_EARLIEST_ZONE = timedelta(hours=14)  # the zone where a day ends first
_BEFORE_DESTRUCTION = ("open", "end", "close", "gap", "notice_failure", "hold", "copy", "amendment")
_WHILE_RUNNING = ("open", "heartbeat", "clock_step", "stop")

Bad = Callable[[str, str], None]


class _Call:
    """The state of one call, from the leaves so far."""

    __slots__ = ("closed", "closed_until", "destroyed", "held_ns", "sha256", "shortened", "until")

    def __init__(self) -> None:
        self.closed = self.destroyed = self.shortened = False
        self.sha256: str | None = None
        self.closed_until: object = UNSET  # from its close: RFC 3339; None for a call without a day
        self.until: object = UNSET  # `closed_until`, or from its last amendment
        self.held_ns: int | None = None  # end of the present hold


class LogOrder:
    """The check of the leaves' order; receives every leaf in turn, then `end`. `bad` takes a code and a sentence."""

    def __init__(self, bad: Bad) -> None:
        self._bad = bad
        self._times = LogTimes(bad)
        self._calls: dict[str, _Call] = {}
        self._stopped: int | None = None
        self._unjudged = 0  # destroyed calls for which only the destruction states the retention
        self._shortened = 0  # destroyed calls whose hold a shorter one had replaced
        self._amended = self._given = 0  # amendments of an end, and those for calls without one
        self._now_ns: int | None = None

    def check_leaf(self, index: int, leaf: Leaf) -> None:
        try:
            at_ns = parse_rfc3339(leaf.at)
        except ValueError:
            self._bad("bad_leaf", f"leaf {index} has no valid time")
            return
        self._times.check_leaf(index, leaf, at_ns)
        self._running(index, leaf)
        if leaf.call_id is not None:
            self._of_call(index, leaf, at_ns, self._calls.setdefault(leaf.call_id, _Call()))
        elif leaf.kind == "destruction" and leaf.epoch is not None:
            self._of_epoch(index, leaf.epoch, at_ns)

    def end(self, head_at: str | None, now_ns: int | None) -> None:
        """Reports the contradictions left after the last leaf. `head_at`: the time of the signed head. `now_ns`: the
        time by which a call is late."""
        self._now_ns = now_ns
        self._times.end(_ns(head_at))

    def kept_late(self, call_id: str, until: str | None) -> str | None:
        """The problem if an existing call should have been destroyed long before the log's end and now; else None."""
        known = self._calls.get(call_id)
        if known is not None and known.until != known.closed_until and isinstance(known.until, str):
            until = known.until
        if until is None or self._now_ns is None or (known is not None and known.held_ns is not None):
            return None
        try:
            late = self._now_ns - parse_rfc3339(until) > LATE_NS
        except ValueError:
            return None
        return f"kept late: its time was over at {until}, nothing holds it, and it is there" if late else None

    def other_until(self, call_id: str, until: str | None) -> bool:
        """Whether the call's close states another end than its record."""
        known = self._calls.get(call_id)
        return known is not None and known.closed_until is not UNSET and known.closed_until != until

    def notes(self) -> list[str]:
        """Points that could not be judged."""
        found = self._times.notes()
        if self._unjudged:
            found.append(
                f"{self._unjudged} destroyed: their close has no `until` (an older version), so that they were not"
                " destroyed early is the word of the destruction alone"
            )
        if self._amended:
            found.append(
                f"{self._amended} amended: another end than their records say, {self._given} of them had none, for want"
                " of an agreed clock"
            )
        if self._shortened:
            found.append(
                f"{self._shortened} destroyed after a hold was replaced by a shorter one: the officer's"
                " signature was in its document, which was destroyed with the call"
            )
        return found

    def _running(self, index: int, leaf: Leaf) -> None:
        if leaf.kind == "start":
            self._stopped = None
        elif self._stopped is not None and leaf.kind in _WHILE_RUNNING:
            self._bad(
                "after_stop",
                f"leaf {index} ({leaf.kind}) comes after the stop of leaf {self._stopped}, no start between",
            )
        if leaf.kind == "stop":
            self._stopped = index

    def _of_call(self, index: int, leaf: Leaf, at_ns: int, call: _Call) -> None:
        name = f"leaf {index}: {leaf.call_id}"
        if call.destroyed and leaf.kind in _BEFORE_DESTRUCTION:
            self._bad("after_destruction", f"{name}: {leaf.kind} after its destruction")
        elif leaf.kind == "open" and call.closed:
            self._bad("open_after_close", f"{name}: opened after its close")
        elif leaf.kind == "close":
            call.closed, call.sha256, call.until = True, leaf.record_sha256, leaf.until
            call.closed_until = leaf.until
            self._require_time(name, leaf)
        elif leaf.kind == "amendment":
            self._amendment(name, leaf, call)
        elif leaf.kind == "hold":
            self._check_hold(name, leaf, at_ns, call)
        elif leaf.kind == "destruction":
            self._destroyed(name, leaf, at_ns, call)

    def _amendment(self, name: str, leaf: Leaf, call: _Call) -> None:
        self._require_time(name, leaf)
        if not call.closed:
            self._bad("amended_unclosed", f"{name}: amended without a seal before")
        elif _ns(leaf.until) is None:
            self._bad("bad_until", f"{name}: its amendment gives it no end")
        else:
            self._amended += 1
            self._given += call.until is None
            call.until = leaf.until

    def _check_hold(self, name: str, leaf: Leaf, at_ns: int, call: _Call) -> None:
        if not leaf.ended:
            until_ns = _ns(leaf.until) or 1 << 63
            call.shortened |= call.held_ns is not None and until_ns < call.held_ns
            call.held_ns = until_ns
            return
        if call.held_ns is not None:
            if at_ns < call.held_ns:
                self._bad("hold_ended_early", f"{name}: its hold ended at {leaf.at}, not at {_text(call.held_ns)}")
            self._times.require_reached(call.held_ns, "hold_ended_early", f"{name}: its hold ended")
        call.held_ns = None

    def _destroyed(self, name: str, leaf: Leaf, at_ns: int, call: _Call) -> None:
        if not call.closed:
            self._bad("destroyed_unclosed", f"{name}: destroyed without a seal before")
        elif leaf.record_sha256 is not None and leaf.record_sha256 != call.sha256:
            self._bad("destroyed_other", f"{name}: destroyed with another record than was sealed")
        call.destroyed = True
        self._shortened += call.shortened
        self._require_time(name, leaf)
        if call.held_ns is not None:
            self._bad("destroyed_held", f"{name}: destroyed early: a hold until {_text(call.held_ns)} stands")
            return
        if call.until is None:
            self._bad("destroyed_early", f"{name}: destroyed early: it had no day on which to go")
            return
        if call.until is UNSET:
            self._unjudged += 1
        elif leaf.until is not UNSET and leaf.until != call.until:
            self._bad("other_until", f"{name}: kept until {leaf.until} by its destruction, {call.until} by its close")
        until_ns = _ns(leaf.until if call.until is UNSET else call.until)
        if until_ns is None:
            return
        if at_ns < until_ns:
            self._bad("destroyed_early", f"{name}: destroyed early: at {leaf.at}, to be kept until {_text(until_ns)}")
        else:
            self._times.require_reached(until_ns, "destroyed_early", f"{name}: destroyed early")

    def _require_time(self, name: str, leaf: Leaf) -> None:
        """Requires a valid end: an invalid one would never be reached and compared."""
        if isinstance(leaf.until, str) and _ns(leaf.until) is None:
            self._bad("bad_until", f"{name}: its {leaf.kind} has the invalid end {leaf.until[:40]!r}")

    def _of_epoch(self, index: int, epoch: str, at_ns: int) -> None:
        """Requires that a day's key is destroyed after that day, in the zone where it ends first; an overflow epoch has
        no day."""
        try:
            ends = datetime.combine(date.fromisoformat(epoch) + timedelta(days=1), time(), UTC) - _EARLIEST_ZONE
        except (ValueError, OverflowError):
            return
        ends_ns = utc_ns_of(ends)
        text = f"leaf {index}: the key of epoch {epoch} destroyed early"
        if at_ns < ends_ns:
            self._bad("destroyed_early", f"{text}: before its day was over")
        else:
            self._times.require_reached(ends_ns, "destroyed_early", text)


def _ns(text: object) -> int | None:
    try:
        return parse_rfc3339(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _text(ns: int) -> str:
    return rfc3339(ns) if ns < 1 << 63 else "further notice"
