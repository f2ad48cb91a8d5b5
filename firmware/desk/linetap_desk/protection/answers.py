# SPDX-License-Identifier: Apache-2.0
"""What the ministry asks, answered with the figures of a report: a heading, and lines of a msgid and a value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from linetap_desk.ingest.measures import percent
from linetap_desk.protection import words
from linetap_desk.protection.report import Report, end_of


@dataclass(frozen=True, slots=True)
class Answer:
    """`of`: the number that `number` is a part of. `situation`: a line for one, in the place of `says`."""

    says: str
    number: int | None = None
    of: int | None = None
    situation: str = ""

    @property
    def percent(self) -> float | None:
        return None if self.number is None else percent(self.number, self.of or 0)


def answers(report: Report) -> list[tuple[str, list[Answer]]]:
    total, pbx = report.total, report.pbx
    recording = [_answer("recorded_automatically", total["recorded"], total["due"]),
                 _answer("announced", total["heard"], total["judged"])]  # fmt: skip
    recording.append(_answer("pbx_missing", pbx.missing, pbx.calls) if pbx.days else _answer("pbx_none"))
    if report.covered is not None:
        recording.append(_answer("covered", *report.covered))
    long = [_answer(name, total[name]) for name in ("over_15", "over_20", "warned", "extended")]
    in_time = total["destroyed"] - total["late"] - total["early"] - total["undated"]
    keeping = [_answer("released", total["released"])] if report.released else []
    keeping.append(_answer("in_time", in_time, total["destroyed"] - total["undated"]))
    keeping += [_answer(name, total[name]) for name in ("undated", "early") if total[name]]
    keeping.append(_answer("overdue", report.found.overdue))
    return [
        (words.RECORDING, recording),
        (words.TIME, long),
        (words.RESPONSE, list(_response(report))),
        (words.KEEPING, keeping),
    ]


def _response(report: Report) -> Iterator[Answer]:
    total = report.total
    yield _answer("ended", total["ended"])
    for situation in report.situations:
        yield Answer("", total[end_of(situation)], situation=situation)
    yield _answer("freed", total["freed"])
    yield from (_answer(name, total[name]) for name in ("cancelled", "refused", "marked"))


def _answer(name: str, number: int | None = None, of: int | None = None) -> Answer:
    return Answer(words.ANSWERS[name], number, of)
