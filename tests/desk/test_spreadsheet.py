# SPDX-License-Identifier: Apache-2.0
"""Tables as saved by Excel: Unicode text, a first line `sep=;`, a title above the header."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from linetap_core import cli
from linetap_core.errors import BadInput
from linetap_core.zones import KOREA, zone_of
from linetap_desk.coverage import register
from linetap_desk.coverage.register import BadLines, Extension
from linetap_desk.searching.departments import COLUMNS, Departments

WANTED = (Extension("2001", "analog", "민원실"), Extension("2002", "ip_phone", "세무과, 징수"))
ROWS = [["내선 번호", "단말\n종류", "부서 명"], ["2001", "일반 전화", "민원실"], ["2002", "IP 전화", "세무과, 징수"]]
TITLE = [["2026년 직원 전화번호부, 본관", "", ""], ["", "", ""], ["전화번호", "", ""]]


def saved(rows: list[list[str]], delimiter: str, encoding: str, above: str = "") -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return (above + out.getvalue()).encode(encoding)


def imported(folder: Path, data: bytes) -> tuple[Extension, ...]:
    path = folder / "pbx.csv"
    path.write_bytes(data)
    return register.imported(path, {}, {}).extensions


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("above", [[], TITLE])
def test_the_same_list_however_it_is_saved(
    tmp_path: Path, encoding: str, delimiter: str, above: list[list[str]]
) -> None:
    assert imported(tmp_path, saved([*above, *ROWS], delimiter, encoding)) == WANTED


def test_both_orders_of_bytes_that_a_mark_can_name(tmp_path: Path) -> None:
    text = saved(ROWS, "\t", "utf-8").decode()
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        assert imported(tmp_path, mark + text.encode(encoding)) == WANTED
    with pytest.raises(BadInput, match="neither UTF-8, UTF-16 nor CP949"):
        imported(tmp_path, b"\xff\xfe" + text.encode("utf-16-le")[:-1])


@pytest.mark.parametrize("said", ["sep=;\r\n", '"sep=;"\r\n', "SEP=;\n", "sep=;;;\r\n"])
def test_excels_word_for_its_separator(tmp_path: Path, said: str) -> None:
    assert imported(tmp_path, saved(ROWS, ";", "utf-8-sig", said)) == WANTED
    assert imported(tmp_path, saved(ROWS, "|", "utf-8", "sep=|\r\n")) == WANTED
    with pytest.raises(
        BadLines, match=r"pbx\.csv:4: extension '02-1'"
    ):  # two lines of the header, and Excel's, above it
        imported(tmp_path, saved([ROWS[0], ["02-1", "fax", ""]], ";", "utf-8", said))


def test_a_bad_line_below_a_title_has_its_own_number(tmp_path: Path) -> None:
    with pytest.raises(BadLines, match=r"pbx\.csv:6: extension 'x'"):
        imported(tmp_path, saved([*TITLE, ROWS[0], ["x", "fax", ""]], ",", "utf-8"))


def test_a_list_without_a_header_says_which_row_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pbx.csv"
    path.write_text("전화번호부\n\n내선번호,이름\n2001,김\n")
    assert cli.main(["desk", "coverage", "import", str(path), "-o", str(tmp_path / "out.csv")]) == 2
    said = capsys.readouterr().err
    assert f"{path}:3: no column kind in the header '내선번호', '이름'; name it by --column HEADING=kind" in said
    path.write_text("2001,analog\n")
    with pytest.raises(BadInput, match=":1: no column extension and kind in the header '2001', 'analog'"):
        register.imported(path, {}, {})


def test_a_header_too_far_below_is_not_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=":1: no column"):
        imported(tmp_path, b"\n" * 21 + saved(ROWS, ",", "utf-8"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_the_table_of_lines_is_saved_by_the_same_programs(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "lines.csv"
    path.write_bytes(saved([COLUMNS, ["floor-01", "1", "2001", "민원실", "2026-01-01"]], delimiter, encoding))
    assert Departments.load(path, zone_of(KOREA)).names() == ["민원실"]
    path.write_bytes(saved([COLUMNS, ["floor-01", "1", "2001", "민원실", "no day"]], delimiter, encoding))
    with pytest.raises(BadInput, match=r"lines\.csv:2: "):
        Departments.load(path, zone_of(KOREA))
    path.write_text('unit,line,extension,department,from\nfloor-01,1,2001,"민원실,2026-01-01\n')
    with pytest.raises(BadInput, match=r"lines\.csv:2: unexpected end of data"):
        Departments.load(path, zone_of(KOREA))
