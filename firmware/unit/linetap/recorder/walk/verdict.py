# SPDX-License-Identifier: Apache-2.0
"""The verdict on a line's turn: codes, and a colour by the worst code. Pure.

Red: calls on this line are not, or not provably, announced and recorded. Yellow: they are, but a finding needs
attention. Green: no finding.
"""

from __future__ import annotations

from collections.abc import Iterator

from linetap.config.numbers import ProofNumbers
from linetap.config.profile import HealthNumbers
from linetap.recorder.signals.health.linehealth import CODES
from linetap.recorder.walk.turn import Turn
from linetap_core.records import CallRecord, Colour, NoticeRecord, WalkedLine
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
