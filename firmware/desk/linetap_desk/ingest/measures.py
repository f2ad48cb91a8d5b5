# SPDX-License-Identifier: Apache-2.0
"""The categories of calls in statistics, in SQL: for the report on protection, and for destroyed calls before their
rows are cleared."""

from __future__ import annotations

import re
from typing import Any, get_args

from sqlalchemy import ColumnElement, Integer, and_, case, func, literal, literal_column

from linetap_core.records import Disposition
from linetap_desk.ingest.tables import CALL_FIGURES, calls

LONG_S, OVERLONG_S = 15 * 60, 20 * 60
HEARD = ("full", "partial")
FREED = ("idle_voltage", "dial_tone", "busy_tone")  # values of `seen_by`: measured, not assumed
# Values of `mark` that do not mark the call: the notice's code, and codes not certainly dialled at this end.
BY_MARK = ("mark_far", "mark_uncertain", "notice_code", "notice_code_far", "notice_code_uncertain")

# Literals: PostgreSQL treats a parametrised expression as another expression when GROUP BY repeats it.
LINE: ColumnElement[Any] = func.coalesce(calls.c.line, literal_column("0"))
SITUATION: ColumnElement[Any] = func.coalesce(calls.c.situation, literal_column("''"))
# destroyedcalls.py clears these three
CLEARED = and_(
    calls.c.destroyed_at.is_not(None), calls.c.why.is_(None), calls.c.sealed_at.is_(None), calls.c.ended_at.is_(None)
)

_RECORDED = calls.c.disposition == "recorded"


def _step(name: str) -> ColumnElement[bool]:
    return literal(" ").concat(calls.c.steps).concat(" ").like(f"% {name} %")


_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "calls": calls.c.disposition.is_not(None),
    "due": calls.c.disposition.in_(("recorded", "discarded")),  # other dispositions need no recording
    "recorded": _RECORDED,
    "judged": and_(_RECORDED, calls.c.proof.is_not(None)),
    "heard": and_(_RECORDED, calls.c.proof.in_(HEARD)),
    "over_15": calls.c.duration_s > LONG_S,
    "over_20": calls.c.duration_s > OVERLONG_S,
    "marked": and_(calls.c.mark.is_not(None), calls.c.mark.not_in(BY_MARK)),
    "warned": _step("warned"),
    "extended": _step("extended"),
    "cancelled": _step("end_cancelled"),
    "refused": _step("end_refused"),
    "ended": calls.c.situation.is_not(None),
    "freed": and_(calls.c.situation.is_not(None), calls.c.seen_by.in_(FREED)),
}


def _count(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0, type_=Integer)


MEASURES = tuple(_count(_CONDITIONS[name]).label(name) for name in CALL_FIGURES)


DISPOSITIONS: tuple[Disposition, ...] = get_args(Disposition)
OTHER = "other"
_SITUATION = re.compile(r"[a-z][a-z0-9_]{1,31}", re.ASCII)  # as in unit.toml
_MOST_DIGITS = 4


def disposition_word(signed: str | None) -> str:
    """The disposition in figures that leave the desk; without one the call is open. A unit can sign any word, such as a
    label, the word of a total, or a telephone number."""
    return "open" if signed is None else signed if signed in DISPOSITIONS else OTHER


def situation_word(signed: str) -> str:
    """The situation in such figures: a site's own is a name as in unit.toml, and no number."""
    fits = _SITUATION.fullmatch(signed) and sum(sign.isdigit() for sign in signed) <= _MOST_DIGITS
    return signed if fits else OTHER


def percent(part: int, total: int) -> float | None:
    """`part` in percent of `total`, rounded down to a tenth, so that 100 means all. None if `whole` is 0."""
    return part * 1000 // total / 10 if total else None
