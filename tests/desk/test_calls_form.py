# SPDX-License-Identifier: Apache-2.0
"""The search form: its fields, their meaning and their trace in the access log; and the directory of extensions."""

from __future__ import annotations

import os
from pathlib import Path
from unicodedata import normalize
from zoneinfo import ZoneInfo

import pytest
from calls_house import LINES, OTHER, PLACES, UNIT
from calls_rig import EVIL
from hypothesis import given
from hypothesis import strategies as st

from linetap_core.errors import BadInput
from linetap_desk.calls.criteria import Seat
from linetap_desk.config import pages
from linetap_desk.serve.calls import form
from linetap_desk.serve.calls.form import Directory, Form
from linetap_desk.serve.database.accesslog import without_numbers

SEOUL = ZoneInfo("Asia/Seoul")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    (folder / "lines.csv").write_text(LINES)
    (folder / "places.toml").write_text(PLACES)
    (folder / "desk.toml").write_text('[watch]\nplaces = "places.toml"\n[serve]\nlines = "lines.csv"\n')
    return folder


@pytest.fixture(scope="module")
def house(folder: Path) -> Directory:
    return Directory(pages.read_settings(folder / "desk.toml"))


def read(house: Directory, **typed: str) -> Form:
    return form.read_form({name.rstrip("_"): text for name, text in typed.items()}, house, SEOUL)


class TestTimes:
    def test_a_day_is_whole_and_local(self, house: Directory) -> None:
        criteria = read(house, from_="2026-11-24", to="2026-11-24").criteria
        assert (criteria.since, criteria.until) == ("2026-11-23T15:00:00.000Z", "2026-11-24T15:00:00.000Z")

    @pytest.mark.parametrize(
        ("to", "until"),
        [("20261124", "15:00"), ("2026W482", "15:00"), ("2026-11-24T13", "05:00"), ("20261124T1300", "04:01"),
         ("2026-11-24T13:00+09:00", "04:01"), ("2026-11-24 13:00", "04:01")],
    )  # fmt: skip
    def test_the_end_is_included_however_it_is_written(self, house: Directory, to: str, until: str) -> None:
        """Typed without hyphens, as a Korean keyboard invites to, the last day was left out silently."""
        assert read(house, to=to).criteria.until == f"2026-11-24T{until}:00.000Z"

    def test_a_minute_too(self, house: Directory) -> None:
        criteria = read(house, from_="2026-11-24T13:00", to="2026-11-24T13:00").criteria
        assert (criteria.since, criteria.until) == ("2026-11-24T04:00:00.000Z", "2026-11-24T04:01:00.000Z")

    def test_the_end_before_the_beginning(self, house: Directory) -> None:
        assert read(house, from_="2026-11-25", to="2026-11-24").errors == {"to": form.ERRORS["order"]}


class TestPlaces:
    def test_a_department_where_it_was_when(self, house: Directory) -> None:
        assert read(house, department="민원실").criteria.seats == [
            Seat(UNIT, 1, "2025-12-31T15:00:00.000Z", "2026-11-24T04:00:00.000Z")
        ]
        assert read(house, department="세무과").criteria.seats == [Seat(UNIT, 1, "2026-11-24T04:00:00.000Z")]
        assert house.lines.have_trunks("", "세무과")
        assert not house.lines.have_trunks("", "민원실")

    def test_an_extension_and_a_building(self, house: Directory) -> None:
        assert read(house, extension="2003").unit_alone == (UNIT, 2)
        assert read(house, building="본관").criteria.seats == [Seat(UNIT), Seat(OTHER)]
        assert read(house, building="본관").unit_alone is None
        assert read(house, building="본관", unit=OTHER, line="3").unit_alone == (OTHER, 3)
        assert read(house, department="민원실", building="본관").criteria.seats is not None
        assert read(house, department=EVIL).unit_alone == (UNIT, 2)

    def test_tables_saved_by_a_mac(self, tmp_path: Path) -> None:
        """Hangul as single letters looks the same on the page, and its choice found no call."""
        for name, text in (("lines.csv", LINES), ("places.toml", PLACES)):
            (tmp_path / name).write_text(normalize("NFD", text))
        (tmp_path / "desk.toml").write_text('[watch]\nplaces = "places.toml"\n[serve]\nlines = "lines.csv"\n')
        house = Directory(pages.read_settings(tmp_path / "desk.toml"))
        for department in house.lines.names():
            assert read(house, department=department).criteria.seats
        for building in house.places.buildings():
            assert read(house, building=building).criteria.seats

    def test_where_nobody_sits_nothing_is_found(self, house: Directory) -> None:
        assert read(house, extension="9999").criteria.seats == []
        assert read(house, building="별관").criteria.seats == []
        assert read(house).criteria.seats is None

    def test_who_sits_at_a_line(self, house: Directory) -> None:
        assert house.lines.names() == sorted([EVIL, "민원실", "세무과"])
        assert house.lines.at_line(UNIT, 1, 1_790_000_000 * 10**9) == ("2001", "민원실")
        assert house.lines.at_line(UNIT, None, 1_790_000_000 * 10**9) == ("", "")

    def test_a_table_that_changes_counts_when_it_is_whole(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        house = Directory(pages.read_settings(folder / "desk.toml"))
        path = folder / "lines.csv"
        try:
            path.write_text("rubbish\n")
            assert len(house.lines.names()) == len(house.lines.names()) == 3
            assert caplog.text.count("table_unread") == 1
            path.write_text(f"unit,line,extension,department,from\n{UNIT},1,1,새 부서,2026-01-01\n")
            os.utime(path, ns=(1, 1))
            assert house.lines.names() == ["새 부서"]
            path.unlink()
            assert house.lines.names() == ["새 부서"]
            with pytest.raises(BadInput, match=r"lines\.csv"):
                Directory(pages.read_settings(folder / "desk.toml"))
        finally:
            path.write_text(LINES)


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("from_", "gestern", "time"),
        ("to", "2026-13-01", "time"),
        ("unit", "Floor 3", "unit"),
        ("unit", EVIL, "unit"),
        ("line", "0", "line"),
        ("line", "129", "line"),
        ("line", "٣", "line"),
        ("line", "9" * 150, "line"),
        ("line", "01289", "line"),
        ("extension", "010-1234-5678", "extension"),
        ("direction", EVIL, "choice"),
        ("disposition", "x", "choice"),
        ("mark", "x", "choice"),
        ("state", "x", "choice"),
        ("department", "x" * 201, "long"),
        ("case", "a\x00b", "long"),
        ("page", EVIL, "page"),
    ],
)
def test_what_cannot_be_is_reported_at_its_field(house: Directory, name: str, text: str, error: str) -> None:
    assert read(house, **{name: text}).errors == {name.rstrip("_"): form.ERRORS[error]}


@given(st.dictionaries(st.sampled_from([*form.FIELDS, "page", "other"]), st.text(max_size=250)))
def test_whatever_is_typed_is_read(house: Directory, typed: dict[str, str]) -> None:
    asked = form.read_form(typed, house, SEOUL)
    assert set(asked.errors) <= {*form.FIELDS, "page"}
    assert all(len(text) <= 201 for text in asked.typed.values())


@pytest.mark.parametrize("number", ["01012345678", "010-1234-5678", "+82 10 1234 5678", "02-123-4567", "010.1234.5678"])
@pytest.mark.parametrize("name", ["extension", "unit", "department", "line", "from", "to"])
def test_a_number_that_is_typed_is_not_written_down(name: str, number: str) -> None:
    said = without_numbers(form.terms({name: number, "case": number}))
    assert said.startswith(f"{name}=")
    assert number not in said
    assert "*" in said


def test_what_the_access_log_is_given_of_a_search() -> None:
    typed = {"from": "2026-11-24T13:00", "unit": "floor-03", "line": "3", "case": "2026-117", "page": "x", "q": "y"}
    assert without_numbers(form.terms(typed)) == "from=2026-11-24T13:00 unit=floor-03 line=3"
