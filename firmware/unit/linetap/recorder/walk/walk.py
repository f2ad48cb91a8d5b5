# SPDX-License-Identifier: Apache-2.0
"""A walk test: the lines in order, each with its turn, until all are done, a person stops the test, or time is over.

Pure: observations of the lines and the time in. The verdict on a line's turn is a list of codes, and a colour by the
worst code. Red: calls on this line are not, or not provably, announced and recorded. Yellow: they are, but a finding
needs attention. Green: no finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from linetap.config import profile_of
from linetap.config.numbers import ProofNumbers
from linetap.config.profile import HealthNumbers
from linetap.config.schema import Config
from linetap.recorder.signals.health.linehealth import CODES
from linetap.recorder.walk.turn import Observation, Turn
from linetap_core.clock import rfc3339
from linetap_core.records import CallRecord, Colour, NoticeRecord, WalkBy, WalkedLine, WalkEnd, WalkState
from linetap_core.wire.alerts import ALERTS

NOT_REACHED = "not_reached"
FULL_SHARE = ProofNumbers().full_share
_OWN_RED = (
    NOT_REACHED, "in_use", "not_lifted", "not_put_down", "not_recorded", "notice_not_played", "notice_absent", "silent",
)  # fmt: skip
_OF_LINE = {code: ALERTS[code].severity for code in CODES}
RED = {*_OWN_RED, *(code for code, severity in _OF_LINE.items() if severity == "critical")}
COLOURS: tuple[Colour, ...] = ("green", "yellow", "red")  # worst last


def judge(turn: Turn, exempt: bool, numbers: HealthNumbers, at: str) -> WalkedLine:
    """The line's verdict. `at`: now, RFC 3339."""
    found = list(dict.fromkeys(_codes(turn, exempt, numbers)))
    record, notice = turn.record, turn.record.notice if turn.record else None
    return WalkedLine(
        line=turn.line,
        colour=colour_of(found),
        found=sorted(found, key=lambda code: code not in RED),
        at=at,
        on_hook_v=turn.on_hook_v,
        off_hook_v=turn.off_hook_v,
        level_dbm0=turn.level_dbm0,
        digit=bool(record.dialled if record else turn.dialled),
        proof=notice.proof if notice else None,
        score=_rounded(notice.score) if notice else None,
        echo_db=_rounded(notice.level_db) if notice else None,
        echo_delay_ms=_rounded(notice.delay_ms or None) if notice else None,
        call_id=turn.call_id,
    )


def not_reached(line: int, at: str) -> WalkedLine:
    """The verdict of a line that had no turn."""
    return WalkedLine(line=line, colour="red", found=[NOT_REACHED], at=at)


def colour_of(codes: list[str]) -> Colour:
    """The colour of these codes."""
    if not codes:
        return "green"
    return "red" if not RED.isdisjoint(codes) else "yellow"


def worst(lines: list[WalkedLine]) -> Colour:
    """The worst colour of these lines."""
    return COLOURS[max((COLOURS.index(line.colour) for line in lines), default=0)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _codes(turn: Turn, exempt: bool, numbers: HealthNumbers) -> Iterator[str]:
    yield from (code for code in turn.troubles if code in _OF_LINE)
    if turn.call_id is None:
        if "line_cut" not in turn.troubles:
            yield "not_lifted" if turn.was_free else "in_use"
        return
    if turn.record is None:
        yield "not_put_down"
    elif exempt:
        return
    else:
        yield from _of_record(turn.record)
    if exempt:
        return
    level = turn.level_dbm0
    if level is not None and level < numbers.silent_dbm0:
        yield "silent"
    elif level is not None and level < numbers.faint_dbm0:
        yield "too_quiet"


def _whole(notice: NoticeRecord) -> bool:
    """Whether the whole notice was on the line; a test call, which nobody answers, cannot show more."""
    return (notice.score or 0) >= FULL_SHARE


def _of_record(record: CallRecord) -> Iterator[str]:
    if record.disposition != "recorded":
        yield "not_recorded"
    if record.notice is None:
        yield "notice_not_played"
    elif record.notice.proof == "partial" or (record.notice.proof == "early" and not _whole(record.notice)):
        yield "notice_partial"
    elif record.notice.proof not in ("full", "early"):
        yield "notice_absent"
    if not record.dialled:
        yield "no_digit"


ALL_S = 7200  # for all lines
VERDICT_S = 5.0  # display time of a line's colour, while the next line is requested
SHOWN_S = 60  # display time of the colour of all lines after the end
SEAL_S = 60  # longer than a call waits for SMDR


class Walk(msgspec.Struct, kw_only=True):
    """The test's state, kept in the checkpoint. `reported`: the vault has the report. `unsealed`: test calls that the
    vault has not sealed yet, and until when the report waits for each.
    """

    by: WalkBy
    began_ns: int  # UTC
    began_s: float  # monotonic, like all `_s`
    waiting: list[int]
    turn: Turn | None = None
    done: list[WalkedLine] = []
    unsealed: dict[str, float] = {}
    judged_s: float | None = None  # time of the last verdict
    ended_by: WalkEnd | None = None
    ended_at: str | None = None
    reported: bool = False

    def observe(self, config: Config, seen: Callable[[int], Observation], mono_s: float, utc_ns: int) -> None:
        """Observes the present line. `seen`: the observation of a line."""
        if self.ended_by is not None:
            return
        if mono_s >= self.began_s + ALL_S:
            self.end("time_limit", config, mono_s, utc_ns)
            return
        if self.turn is None and self.waiting:
            self.turn = Turn(line=self.waiting.pop(0), began_s=mono_s)
        if self.turn is not None:
            self.turn.observe(seen(self.turn.line))
            if self.turn.over:
                self._judge(config, mono_s, utc_ns)
        if self.turn is None and not self.waiting:
            self.end("done", config, mono_s, utc_ns)

    def end(self, why: WalkEnd, config: Config, mono_s: float, utc_ns: int) -> None:
        """Ends the test.

        Lines without a turn are reported too. A running test call continues and ends like any call.
        """
        if self.turn is not None:
            self._judge(config, mono_s, utc_ns)
        at = rfc3339(utc_ns)
        self.done += [not_reached(line, at) for line in self.waiting]
        self.waiting, self.ended_by, self.ended_at, self.judged_s = [], why, at, mono_s

    def wait_for_seals(self, waiting: set[str], mono_s: float) -> None:
        """Forgets sealed calls, and those that take too long. `waiting`: all calls that the vault has yet to seal."""
        self.unsealed = {name: until for name, until in self.unsealed.items() if name in waiting and mono_s < until}

    def fits(self, config: Config) -> bool:
        """Whether all remaining lines are still configured."""
        left = {*self.waiting, *([self.turn.line] if self.turn else [])}
        return left <= {line.number for line in config.line}

    @property
    def tested_line(self) -> int | None:
        """The line whose next outgoing call, or whose running call, is the test call."""
        return self.turn.line if self.turn is not None and self.turn.step != "free" else None

    def is_past(self, mono_s: float) -> bool:
        """Whether the test is over and its result was shown for SHOWN_S."""
        return self.reported and self.judged_s is not None and mono_s - self.judged_s >= SHOWN_S

    def state(self, mono_s: float) -> WalkState:
        """The walk test's live state for the state file."""
        turn = self.turn
        return WalkState(
            began_at=rfc3339(self.began_ns),
            by=self.by,
            line=turn.line if turn else None,
            step=turn.step if turn else None,
            left_s=max(0, round(turn.limit_s - mono_s)) if turn else 0,
            waiting=list(self.waiting),
            lines=list(self.done),
            shows=self._shown_colour(mono_s),
            ended_by=self.ended_by,
        )

    def _shown_colour(self, mono_s: float) -> Colour | None:
        if self.ended_by is not None:
            return worst(self.done)
        recent = self.judged_s is not None and mono_s - self.judged_s < VERDICT_S
        return self.done[-1].colour if recent and self.done else None

    def _judge(self, config: Config, mono_s: float, utc_ns: int) -> None:
        assert self.turn is not None
        line = next(line for line in config.line if line.number == self.turn.line)
        health = profile_of(config, line.profile).health
        self.done = [*self.done, judge(self.turn, line.exempt, health, rfc3339(utc_ns))]
        if self.turn.record is not None:
            self.unsealed = {**self.unsealed, self.turn.record.call_id: mono_s + SEAL_S}
        self.turn, self.judged_s = None, mono_s
