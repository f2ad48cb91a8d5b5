# SPDX-License-Identifier: Apache-2.0
"""The report on protection: its figures compared with a simple count, small numbers, the CSV, the page and
the command.
"""

from __future__ import annotations

import csv
import io
import random
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from calls_rig import fill, recorded
from hypothesis import given
from hypothesis import strategies as st
from servesite import ServeSite
from sqlalchemy import Engine, insert

from linetap_core import cli
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.errors import BadInput
from linetap_core.records import LineRelease
from linetap_desk.coverage.register import imported
from linetap_desk.ingest import tables
from linetap_desk.ingest.destroyedcalls import clear_destroyed
from linetap_desk.protection import period, report, sheet, words
from linetap_desk.protection.figures import NO_DEPARTMENT, TRUNKS, PeriodFigures, _of_days
from linetap_desk.protection.report import Report
from linetap_desk.searching.departments import Departments
from linetap_desk.serve.database.tables import requests
from linetap_desk.serve.database.transactions import writing

KOREA = ZoneInfo("Asia/Seoul")
NOW = "2026-12-01T01:00:00Z"
SEATS = {
    "민원실": (1, range(1, 5)), "세무과": (2, range(1, 5)), "=cmd|calc": (3, range(1, 5)), "여권팀": (4, range(1, 2)),
    "공보팀": (4, range(2, 4)),
}  # fmt: skip
LINES = "unit,line,extension,department,from\n" + "".join(
    f"floor-{unit:02d},{line},{unit}{line:03d},{name},2026-01-01\n"
    for name, (unit, lines) in SEATS.items()
    for line in lines
)
MOVED = "floor-01,1,1001,세무과,2026-11-16\n"


def table_of(folder: Path, text: str = LINES + MOVED) -> Departments:
    (folder / "lines.csv").write_text(text)
    return Departments.load(folder / "lines.csv", KOREA)


def drawn(count: int = 3000) -> list[dict[str, Any]]:
    draw = random.Random(17)
    found = []
    for number in range(count):
        unit, line = draw.randrange(1, 6), draw.randrange(1, 5)
        duration = draw.choice([30.0, 899.0, 901.0, 1201.0])
        row = recorded(f"floor-{unit:02d}", line, draw.randrange(-30 * 86400, 9 * 86400), duration_s=duration)
        row |= {"call_id": f"{row['call_id']}-{number}", "proof": draw.choice(["full", "partial", "absent", None])}
        row["disposition"] = draw.choice(["recorded"] * 5 + ["discarded", "missed", "skipped"])
        if draw.random() < 0.05:
            row |= {
                "situation": draw.choice(["abuse", "threat", "own"]),
                "seen_by": draw.choice(["dial_tone", "staff"]),
            }
        if draw.random() < 0.1:
            row["steps"] = " ".join(draw.sample(["warned", "extended", "end_cancelled", "end_refused", "end_far"], 2))
        row["mark"] = draw.choice([None] * 20 + ["abuse", "mark_far"])
        found.append(row)
    return found


def plainly(rows: list[dict[str, Any]], of: period.Period, departments: Departments) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for row in rows:
        at_ns = parse_rfc3339(row["began_at"])
        if not of.since_ns <= at_ns < of.until_ns:
            continue
        its = found.setdefault(departments.at_line(row["unit"], row["line"], at_ns)[1], Counter())
        is_recorded, steps = row["disposition"] == "recorded", (row["steps"] or "").split()
        its.update({
            "calls": 1, "due": row["disposition"] in ("recorded", "discarded"), "recorded": is_recorded,
            "judged": is_recorded and row["proof"] is not None,
            "heard": is_recorded and row["proof"] in ("full", "partial"),
            "over_15": row["duration_s"] > 900, "over_20": row["duration_s"] > 1200, "marked": row["mark"] == "abuse",
            "warned": "warned" in steps, "extended": "extended" in steps, "cancelled": "end_cancelled" in steps,
            "refused": "end_refused" in steps, "ended": row["situation"] is not None,
            "freed": row["situation"] is not None and row["seen_by"] == "dial_tone",
        })  # fmt: skip
        if row["situation"]:
            its[f"end:{row['situation']}"] += 1
    return found


def made(
    engine: Engine, text: str, departments: Departments, released: Counter[str] | None = None, now: str = NOW
) -> Report:
    with engine.connect() as db:
        return report.make(db, period.parse(text, KOREA), departments, released, parse_rfc3339(now))


@pytest.mark.parametrize("text", ["2026-11", "2026-10", "2026"])
def test_the_figures_are_those_of_a_plain_count(engine: Engine, tmp_path: Path, text: str) -> None:
    rows, departments = drawn(), table_of(tmp_path)
    fill(engine, rows)
    found, wanted = made(engine, text, departments), plainly(rows, period.parse(text, KOREA), departments)
    for name, figures in wanted.items():
        its = found.found.departments[name]
        ends = {f"end:{situation}": number for situation, number in its.situations.items()}
        assert +Counter({**its.of, **ends}) == +figures, name
    assert found.found.departments.keys() == wanted.keys()
    assert found.total["ended"] == sum(one["ended"] for one in wanted.values()) > 0


def test_a_destroyed_call_stays_in_the_figures(engine: Engine, tmp_path: Path) -> None:
    rows, departments = drawn(1000), table_of(tmp_path)
    fill(engine, rows)
    before = made(engine, "2026", departments)
    with engine.begin() as db:
        gone = tables.calls.c.line.in_((1, 2))
        db.execute(tables.calls.update().where(gone).values(destroyed_at="2026-12-01T00:00:00.000Z"))
        while clear_destroyed(db, zone=KOREA):
            pass
    after = made(engine, "2026", departments)
    kept = {cell: number for cell, number in after.cells.items() if cell[1] != "destroyed"}
    assert kept == {cell: number for cell, number in before.cells.items() if cell[1] != "destroyed"}
    assert after.total["destroyed"] == sum(row["line"] in (1, 2) for row in rows)
    assert after.found.unmeasured == 0
    with engine.begin() as db:  # as done by an earlier desk
        db.execute(tables.cleared_days.delete())
    assert made(engine, "2026", departments).found.unmeasured == after.total["destroyed"]


def test_a_month_begins_at_midnight_of_the_desk() -> None:
    of = period.parse("2026-12", KOREA)
    assert (of.since_ns, of.until_ns) == (
        parse_rfc3339("2026-11-30T15:00:00Z"), parse_rfc3339("2026-12-31T15:00:00Z"),
    )  # fmt: skip


@pytest.mark.parametrize("text", ["", "2026-13", "2026-00", "26-11", "2026-11-24", "2026-1１", "1999-01", "x" * 5000])
def test_no_period(text: str) -> None:
    with pytest.raises(BadInput, match="a month as 2026-11"):
        period.parse(text, KOREA)


# --- small numbers ----------------------------------------------------------------------------------------------------

TABLES = st.integers(1, 6).flatmap(
    lambda rows: st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3), min_size=rows, max_size=rows)
)


@given(TABLES)
def test_no_small_number_is_shown_or_follows_from_a_sum(table: list[list[int]]) -> None:
    """Columns a and b with their sum in each row; the reader knows each column's sum."""
    cells = {
        (str(row), name): number
        for row, numbers in enumerate(table)
        for name, number in zip("abc", numbers, strict=True)
    }
    for row in range(len(table)):
        cells[str(row), "c"] = cells[str(row), "a"] + cells[str(row), "b"]
    sums = [[(str(row), name) for row in range(len(table))] for name in "abc"]
    sums += [[(str(row), name) for name in "abc"] for row in range(len(table))]
    hidden = report.hidden(cells, sums)
    assert all(cell in hidden for cell, number in cells.items() if 0 < number < report.LEAST)
    for each in sums:
        assert len(hidden.intersection(each)) != 1 or len(each) == 1


@pytest.mark.parametrize("departments", [2, 3])
def test_what_is_shown_beside_its_sum_has_no_one_answer(departments: int) -> None:
    """For all tables of a column that a reader cannot distinguish, even with knowledge of the hiding rule: a small
    number is never the same in all.
    """
    alike: dict[tuple[str, ...], list[tuple[int, ...]]] = {}
    for numbers in product(range(11), repeat=departments):
        cells = {(str(row), "ended"): number for row, number in enumerate(numbers)}
        found = hiding(cells, report.hidden(cells, [list(cells)]))
        shown = [sheet.cell(found, row, "ended", str) for row, _ in cells]
        alike.setdefault((*shown, str(sum(numbers))), []).append(numbers)
    told = [tables for tables in alike.values() for column in zip(*tables, strict=True)
            if len(set(column)) == 1 and 0 < column[0] < report.LEAST]  # fmt: skip
    assert told == []


def hiding(cells: dict[report.Cell, int], hidden: frozenset[report.Cell]) -> Report:
    of = period.parse("2026-11", KOREA)
    return Report(of, 0, PeriodFigures(), report.Pbx(0, 0, 0), True, None, None, cells=cells, hidden=hidden)


def test_one_small_number_takes_the_next_smallest_with_it() -> None:
    cells = {("a", "x"): 3, ("b", "x"): 40, ("c", "x"): 7, ("d", "x"): 0}
    assert report.hidden(cells, [list(cells)]) == {("a", "x"), ("c", "x")}
    cells |= {("b", "x"): 7}  # one of the two alone would reveal the one below 5
    assert report.hidden(cells, [list(cells)]) == {("a", "x"), ("b", "x"), ("c", "x")}
    assert report.hidden({("a", "x"): 5, ("b", "x"): 0}, [[("a", "x"), ("b", "x")]]) == frozenset()


def test_a_department_of_few_lines_is_not_a_row(engine: Engine, tmp_path: Path) -> None:
    fill(engine, drawn(300))
    found = made(engine, "2026-11", table_of(tmp_path))
    assert found.departments == ["=cmd|calc", "민원실", "세무과", report.OTHERS, NO_DEPARTMENT]
    assert found.joined == 2
    without = "".join(line for line in LINES.splitlines(keepends=True) if "공보팀" not in line)
    found = made(engine, "2026-11", table_of(tmp_path, without))
    assert found.departments == ["민원실", "세무과", report.OTHERS, NO_DEPARTMENT]  # alone it would be one person's


def test_a_units_own_word_is_no_number(engine: Engine, tmp_path: Path) -> None:
    """A unit can sign any text as the situation, and the report goes out of the house."""
    words = ["01012345678", "a01012345678", "own2", "<b>"]
    fill(engine, [recorded("floor-01", 1, 60 * n, situation=word) for n, word in enumerate(words)])
    assert made(engine, "2026-11", table_of(tmp_path)).situations == ["other", "own2"]


@pytest.mark.parametrize("text", ["2026", "2026-11"])
def test_a_telephone_that_moved_is_one_line(engine: Engine, tmp_path: Path, text: str) -> None:
    """Three lines one after the other, in years or within the period, are one person's telephone."""
    moves = [("2024-01-01", 1), ("2025-06-01", 2), ("2026-03-01", 3), ("2026-11-10", 4)]
    table = LINES
    for (since, line), (until, _) in pairwise([*moves, ("2026-11-20", 5)]):
        table += f"floor-05,{line},5001,법무,{since}\nfloor-05,{line},,민원실,{until}\n"
    table += "floor-05,5,5001,법무,2026-11-20\n"
    fill(engine, [recorded("floor-05", 4), recorded("floor-01", 1), recorded("floor-04", 2), recorded("floor-04", 1)])
    found = made(engine, text, table_of(tmp_path, table.replace("2026-11-20", "2026-11-26")))
    assert found.found.departments["법무"].of["calls"] == 1
    assert found.departments == ["민원실", report.OTHERS]


def test_trunk_lines_have_their_department_or_a_row_of_their_own(engine: Engine, tmp_path: Path) -> None:
    """By the table, by the register for the trunk's name, or by neither."""
    table = LINES + "".join(f"trunks,{line},{name},{of},2026-01-01\n" for line, name, of in (
        (1, "", "민원실"), (2, "CO02", ""), (3, "CO03", ""), (4, "", ""),
    ))  # fmt: skip
    rows = [recorded("trunks", line, 60 * line + n, situation="abuse") for line in range(1, 6) for n in range(line)]
    fill(engine, [*rows, recorded("floor-01", 1)])
    (tmp_path / "pbx.csv").write_text("내선번호,종류,부서\nCO02,국선,세무과\nCO03,국선,\n1001,아날로그,민원실\n")
    register = imported(tmp_path / "pbx.csv", {}, {})
    assert [one.kind for one in register.extensions] == ["trunk_line", "trunk_line", "analog"]
    filled = table_of(tmp_path, table).filled(register.departments, register.trunks)
    found = made(engine, "2026-11", filled, Counter({TRUNKS: 1}))
    ended = {name: its.of["ended"] for name, its in found.found.departments.items()}
    assert ended == {"민원실": 1, "세무과": 2, TRUNKS: 3 + 4, NO_DEPARTMENT: 5}
    assert found.departments[-2:] == [TRUNKS, NO_DEPARTMENT]
    named = {row[0]: row for row in reversed(cells_of(sheet.csv_of(found, "ko"))) if row}
    assert named["국선(부서 미지정)"][1] == "7"
    assert named["소속 미지정"][1] == "5"


@pytest.mark.parametrize(
    ("releases", "says"),
    [
        (
            {"contact": 1200, "no_contact": 8, "exchange": 2},
            "종료하는 회선: 1,200개. 종료 안내 후 담당자가 끊는 회선: 접점 없음 8개",
        ),
        (None, "브로커에 연결되어 있지 않아 표시하지 않습니다"),
    ],
)
def test_the_lines_that_staff_hang_up_are_in_the_notes(
    engine: Engine, tmp_path: Path, releases: dict[LineRelease, int] | None, says: str
) -> None:
    with engine.connect() as db:
        of = period.parse("2026-11", KOREA)
        found = report.make(db, of, table_of(tmp_path), None, parse_rfc3339(NOW), releases=releases)
    assert says in sheet.csv_of(found, "ko").decode()


# --- as a table -------------------------------------------------------------------------------------------------------


def cells_of(data: bytes) -> list[list[str]]:
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data[3:].decode(), newline=""), strict=True))


def test_the_csv_says_what_the_report_does(engine: Engine, tmp_path: Path) -> None:
    fill(engine, drawn())
    found = made(engine, "2026-11", table_of(tmp_path), Counter({"민원실": 2}))
    rows = cells_of(sheet.csv_of(found, "ko"))
    assert rows[0][:2] == ["민원담당자 보호 현황", "2026-11"]
    named = {row[0]: row for row in rows if row}
    assert named["기관 전체"] is not None
    headings = rows[2]
    office = next(row for row in rows if row and row[0] == "민원실")
    assert office[headings.index("열람·제공")] == "비공개"
    assert "'=cmd|calc" in named  # a spreadsheet would execute it
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)
    assert named["민원전화 전수녹음"] == ["민원전화 전수녹음"]
    assert re.fullmatch(r"[\d,]+ / [\d,]+ \(\d+\.\d %\)", named["녹음 대상 통화 중 자동으로 녹음한 통화"][1])
    assert named["협박"][0] == "협박"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "|x", "＝1+1", "＋1", "－1", "＠x"])
def test_nothing_is_a_formula(name: str) -> None:
    assert sheet.escape_formula(name) == f"'{name}"


def test_all_is_all_and_nothing_is_no_share(engine: Engine, tmp_path: Path) -> None:
    rows = [recorded("floor-01", 1, 60 * n, proof="full") for n in range(1999)]
    fill(engine, [*rows, recorded("floor-01", 1, -60, disposition="discarded")])
    found = made(engine, "2026-11", table_of(tmp_path))
    (recording, *_) = [lines for _, lines in sheet.answers(found)]
    assert [sheet.value(line) for line in recording] == ["1,999 / 2,000 (99.9 %)", "1,999 / 1,999 (100.0 %)", ""]
    empty = made(engine, "2025", table_of(tmp_path))
    assert [sheet.value(line) for line in sheet.answers(empty)[0][1]] == ["0 / 0", "0 / 0", ""]


def test_cleared_figures_of_a_pbx_are_stated(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as db:
        db.execute(insert(tables.units).values(unit="floor-01", named=True, set_aside=0))
        db.execute(insert(tables.pbx_days).values(
            unit="floor-01", day="2026-11-20", calls=500, recorded=496, missing=4, unseen=0, told_at=NOW,
        ))  # fmt: skip

    def lines(period: str, now: str) -> tuple[str, list[str]]:
        found = made(engine, period, table_of(tmp_path), now=now)
        answer = next(line for line in sheet.answers(found)[0][1] if "PBX" in line.says)
        return answer.says, [note for note in sheet.notes(found, str) if "no longer kept" in note]

    assert lines("2026", "2027-12-31T14:00:00Z") == (words.ANSWERS["pbx_missing"], [])  # the whole last year
    says, notes = lines("2026", "2029-01-20T00:00:00Z")
    assert says == words.ANSWERS["pbx_missing"]
    assert notes == [words.PBX_CLEARED % {"day": "2026-11-12"}]
    assert lines("2025", "2029-01-20T00:00:00Z") == (words.ANSWERS["pbx_cleared"], [])
    assert lines("2028", "2029-01-20T00:00:00Z") == (words.ANSWERS["pbx_none"], [])


# --- the page and the command -----------------------------------------------------------------------------------------


@pytest.fixture
def served(engine: Engine, tmp_path: Path) -> Iterator[ServeSite]:
    table_of(tmp_path)
    fill(engine, drawn())
    with engine.begin() as db:
        db.execute(insert(tables.units).values(unit="floor-01", named=True, set_aside=0))
        db.execute(insert(tables.pbx_days).values(
            unit="floor-01", day="2026-11-20", calls=500, recorded=496, missing=4, unseen=0, told_at=NOW,
        ))  # fmt: skip
    clock = ManualClock(parse_rfc3339(NOW))
    with ServeSite(tmp_path, clock, 'lines = "lines.csv"', 'db = "sqlite:///desk.db"') as served:
        with writing(served.site.own) as db:
            db.execute(
                insert(requests),
                [asked(number, outcome) for number, outcome in enumerate(["given"] * 9 + ["not_given"])],
            )
        yield served


def asked(number: int, outcome: str) -> dict[str, Any]:
    return {
        "id": f"2026-{number:04d}", "unit": "floor-01", "call_id": f"202611{number + 10}T020000.000Z-L02", "line": 2,
        "record_sha256": "ab" * 32, "purpose": "dispute", "case_number": "1", "requester": "a", "recipient": "b",
        "asked_by": "kim", "asked_at": NOW, "expires_at": NOW, "closed_at": "2026-11-20T00:00:00.000Z",
        "outcome": outcome,
    }  # fmt: skip


def test_the_page_answers_item_by_item(served: ServeSite) -> None:
    client = served.client("approver-manager")
    page = client.get("/protection?period=2026-11").text
    text = " ".join(re.sub("<[^>]+>", " ", page).split())
    for item in ("민원전화 전수녹음", "통화 권장시간", "민원인의 위법행위 대응", "증거 보존 및 파기"):
        assert item in text
    assert "교환기가 기록한 통화 중 녹음이 없는 통화 4 / 500 (0.8 %)" in text
    assert "신청에 따라 열람·제공한 통화 9" in text
    assert "=cmd|calc" in text
    assert "기간이 아직 끝나지 않았습니다" not in text
    assert "기간이 아직 끝나지 않았습니다" in client.get("/protection").text  # it is 1 December
    assert client.get("/protection?period=tomorrow").status_code == 404


def test_for_whom_it_is(served: ServeSite) -> None:
    for path in ("/protection", "/protection/report.csv"):
        for role in ("officer", "approver-legal", "approver-manager", "auditor"):
            assert served.client(role).get(path).status_code == 200
        for role in ("watch", "vault", "custodian"):
            assert served.client(role).get(path).status_code == 403


def test_the_file_is_the_commands(
    served: ServeSite, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    answer = served.client("officer").get("/protection/report.csv?period=2026-11")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="linetap-protection-2026-11.csv"' in answer.headers["content-disposition"]
    words = ["desk", "protection", "2026-11", "--config", str(served.config)]
    assert cli.main(words) == 0
    printed = capsysbinary.readouterr().out
    assert cells_of(printed)[1:] == cells_of(answer.content)[1:]  # the first row has the time
    assert cli.main([*words, "-o", str(tmp_path / "out.csv")]) == 0
    assert cells_of((tmp_path / "out.csv").read_bytes())[1:] == cells_of(printed)[1:]
    assert cli.main([*words[:2], "2026-99", *words[3:]]) == 2
    (tmp_path / "serve.db").rename(tmp_path / "another.db")
    capsysbinary.readouterr()
    assert cli.main(words) == 0
    assert "열람·제공 건수는 표시하지 않습니다" in capsysbinary.readouterr().out.decode()


def test_a_call_that_is_cleared_while_it_is_counted_counts_once(
    served: ServeSite, engine: Engine, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The ingest clears destroyed calls every minute, and a year's figures take longer."""
    with engine.begin() as db:
        db.execute(tables.calls.update().values(destroyed_at="2026-12-01T00:00:00.000Z"))

    def slowly(*words: Any) -> Any:
        with engine.begin() as db:
            while clear_destroyed(db, zone=KOREA):
                pass
        return _of_days(*words)

    def whole() -> list[str]:
        assert cli.main(["desk", "protection", "2026", "--config", str(served.config), "--language", "en"]) == 0
        return next(row for row in cells_of(capsysbinary.readouterr().out) if row and row[0] == "Whole office")

    before = whole()
    monkeypatch.setattr("linetap_desk.protection.figures._of_days", slowly)
    during = whole()
    assert served.client("officer").get("/protection?period=2026").status_code == 200
    assert during == before
    assert int(before[1].replace(",", "")) > 0
