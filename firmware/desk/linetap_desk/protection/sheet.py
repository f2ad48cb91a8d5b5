# SPDX-License-Identifier: Apache-2.0
"""The report as cells of text, for the page and as a CSV for a spreadsheet: UTF-8 with a byte order mark, without
formulas. Each indicator of the ministry is a heading and lines of a msgid and a value."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

from linetap_core.records import LineRelease
from linetap_core.zones import local_time
from linetap_desk.ingest.measures import percent
from linetap_desk.protection import words
from linetap_desk.protection.figures import NO_DEPARTMENT, TRUNKS
from linetap_desk.protection.report import COLUMNS, OTHERS, SHARES, Report, end_of
from linetap_desk.web import text
from linetap_desk.web.text import Language


@dataclass(frozen=True, slots=True)
class IndicatorLine:
    """A line of an indicator. `of`: the total that includes `number`. `situation`: a situation's line, in place of
    `says`."""

    says: str
    number: int | None = None
    of: int | None = None
    situation: str = ""

    @property
    def percent(self) -> float | None:
        return None if self.number is None else percent(self.number, self.of or 0)


def answers(report: Report) -> list[tuple[str, list[IndicatorLine]]]:
    total, pbx = report.total, report.pbx
    recording = [_answer("recorded_automatically", total["recorded"], total["due"]),
                 _answer("announced", total["heard"], total["judged"])]  # fmt: skip
    if pbx.days:
        recording.append(_answer("pbx_missing", pbx.missing, pbx.calls))
    else:
        recording.append(_answer("pbx_none" if pbx.since is None else "pbx_cleared"))
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


def _response(report: Report) -> Iterator[IndicatorLine]:
    total = report.total
    yield _answer("ended", total["ended"])
    for situation in report.situations:
        yield IndicatorLine("", total[end_of(situation)], situation=situation)
    yield _answer("freed", total["freed"])
    yield from (_answer(name, total[name]) for name in ("cancelled", "refused", "marked"))


def _answer(name: str, number: int | None = None, of: int | None = None) -> IndicatorLine:
    return IndicatorLine(words.ANSWERS[name], number, of)


BOM = b"\xef\xbb\xbf"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "\uff1d", "\uff0b", "\uff0d", "\uff20")
Translate = Callable[[str], str]


def name_of(report_name: str, say: Translate) -> str:
    """The name of a row."""
    fixed = {OTHERS: words.OTHERS, TRUNKS: words.TRUNKS, NO_DEPARTMENT: words.NO_DEPARTMENT}
    return say(fixed[report_name]) if report_name in fixed else report_name


def situation_of(situation: str, say: Translate) -> str:
    """The name of a situation; a site's own is as in unit.toml."""
    return say(words.SITUATION[situation]) if situation in words.SITUATION else situation


def cell(report: Report, department: str, column: str, say: Translate) -> str:
    number = report.cells[department, column]
    if (department, column) in report.hidden:
        return say(words.NOT_SHOWN)  # one word for both: two would show a sum of 6 to be 1 and 5
    if column == "released" and not report.released:
        return "-"
    return _with_share(number, report.share(department, column) if column in SHARES else None)


def total(report: Report, column: str) -> str:
    if column == "released" and not report.released:
        return "-"
    return _with_share(report.total[column], report.total_share(column) if column in SHARES else None)


def value(answer: IndicatorLine) -> str:
    return "" if answer.number is None else _with_share(answer.number, answer.percent, answer.of)


def _with_share(number: int, percent: float | None, of: int | None = None) -> str:
    whole = "" if of is None else f" / {of:,}"
    return f"{number:,}{whole}" + ("" if percent is None else f" ({percent:.1f} %)")


def notes(report: Report, say: Translate) -> list[str]:
    found = [say(rule) for rule in words.RULES]
    if report.found.unmeasured:
        found.append(say(words.UNMEASURED) % {"num": f"{report.found.unmeasured:,}"})
    if report.pbx.since is not None and report.pbx.days:
        found.append(say(words.PBX_CLEARED) % {"day": report.pbx.since.isoformat()})
    found.append(_who_hangs_up(report, say))
    return found if report.released else [*found, say(words.NO_RELEASES)]


def _who_hangs_up(report: Report, say: Translate) -> str:
    if report.releases is None:
        return say(words.RELEASES_UNKNOWN)
    numbers = {name: f"{report.releases.get(name, 0):,}" for name in get_args(LineRelease)}
    return say(words.WHO_HANGS_UP) % numbers


def csv_of(report: Report, language: Language) -> bytes:
    say = text.words(language).gettext
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([escape_formula(each) for each in row] for row in _rows(report, say))
    return BOM + out.getvalue().encode()


def _rows(report: Report, say: Translate) -> Iterator[list[str]]:
    made = local_time(report.made_at_ns, report.period.zone)
    yield [say(words.TITLE), report.period.text, f"{made:%Y-%m-%d %H:%M %Z}"]
    yield []
    yield [say("Department"), *(say(words.COLUMNS[name]) for name in COLUMNS)]
    for name in report.departments:
        yield [name_of(name, say), *(cell(report, name, column, say) for column in COLUMNS)]
    yield [say(words.WHOLE), *(total(report, column) for column in COLUMNS)]
    if report.situations:
        ends = [end_of(name) for name in report.situations]
        yield []
        yield [say("Ended, by situation"), *(situation_of(name, say) for name in report.situations)]
        for name in report.departments:
            yield [name_of(name, say), *(cell(report, name, column, say) for column in ends)]
        yield [say(words.WHOLE), *(total(report, column) for column in ends)]
    for heading, lines in answers(report):
        yield []
        yield [say(heading)]
        for line in lines:
            yield [situation_of(line.situation, say) if line.situation else say(line.says), value(line)]
    yield []
    yield from ([note] for note in [say(words.ELSEWHERE), *notes(report, say)])


def escape_formula(cell: str) -> str:
    """The cell as text: an apostrophe precedes the characters that begin a formula by OWASP's list, with full-width
    signs and `|`."""
    return f"'{cell}" if cell.startswith(_FORMULA) and cell != "-" else cell
