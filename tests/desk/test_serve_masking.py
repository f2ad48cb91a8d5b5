# SPDX-License-Identifier: Apache-2.0
"""The access log masks telephone numbers from every field, and keeps case numbers whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servesite import ServeSite
from sqlalchemy import select

from linetap_desk.serve.database.accesslog import (
    call_without_numbers,
    case_without_numbers,
    has_number,
    without_numbers,
)
from linetap_desk.serve.database.tables import access

AREAS = ["02", "031", "033", "041", "051", "064", "070", "080", "0505", "010", "011", "016", "019"]
BETWEEN = st.sampled_from(["", "-", " ", ".", ") ", "‐", "–", "－"])
WIDE = str.maketrans("0123456789", "０１２３４５６７８９")


@st.composite
def numbers(draw: st.DrawFn) -> tuple[str, str]:
    """A number as a person types it, and its digits."""
    area, first = draw(st.sampled_from(AREAS)), str(draw(st.integers(200, 9999)))
    last, between = f"{draw(st.integers(0, 9999)):04d}", draw(BETWEEN)
    digits = area + first + last
    if draw(st.booleans()):
        area = draw(st.sampled_from(["+82 ", "+82-", "+82", "82", "+82 (0)"])) + area[1:]
    typed = between.join((area, first, last))
    return (typed.translate(WIDE) if draw(st.booleans()) and "+" not in typed else typed), digits


def bare(text: str) -> str:
    return "".join(str(int(sign)) for sign in text if sign.isdecimal())


@given(
    numbers(), st.sampled_from(["", "민원 ", "case ", "제", "(", "tel:"]), st.sampled_from(["", " 님", "호", ")", "\n"])
)
def test_a_number_in_a_case_is_masked(number: tuple[str, str], before: str, after: str) -> None:
    typed, digits = number
    for written in (case_without_numbers(before + typed + after), without_numbers(before + typed + after)):
        assert written.startswith(before)
        assert written.endswith(digits[-4:] + after)
        assert "***" in written
        assert len(bare(written)) <= 7
    assert has_number(typed)


@given(st.integers(10, 9999), st.integers(0, 9999), st.sampled_from(["-", "", " "]))
def test_a_service_number_is_masked(head: int, last: int, between: str) -> None:
    number = f"1{[5, 6, 8][head % 3]}{head % 100:02d}{between}{last:04d}"
    assert case_without_numbers(f"call {number}") == f"call ****-{last:04d}"


YEARS = st.integers(1990, 2099).map(str)
SERIALS = st.integers(0, 999_999).flatmap(lambda n: st.sampled_from([str(n), f"{n:04d}", f"{n:05d}"]))


@given(
    st.one_of(
        st.tuples(YEARS, st.sampled_from(["-", ".", "/", "가합", "고단", "-민원-", "-12-", " "]), SERIALS),
        st.tuples(st.just("제"), YEARS, st.just("-"), SERIALS, st.just("호")),
        st.tuples(st.sampled_from(["민원-", "감사과-", "H", "T-"]), YEARS, st.just("-"), SERIALS),
        st.tuples(YEARS, st.sampled_from(["-01-", "-02-", "-031-"]), st.integers(0, 9_999_999).map("{:07d}".format)),
    ).map("".join)
)
def test_a_case_number_stays_whole(case: str) -> None:
    assert case_without_numbers(case) == case
    assert not has_number(case)


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("2026-0042", "2026-0042"),
        ("제2026-123호", "제2026-123호"),
        ("2026-1588-1234", "2026-1588-1234"),  # part of a longer one
        ("2026-010-1234-5678", "2026-010-****-5678"),  # a part of a case number that looks like a mobile number
        ("02-2026-0042", "02-****-0042"),  # looks exactly like a number of Seoul: documented in docs/desk-serve.md
        ("0101234567890", "0101234567890"),  # too long for one
    ],
)
def test_where_the_line_is(typed: str, written: str) -> None:
    assert case_without_numbers(typed) == written


@given(st.text(max_size=80))
def test_whatever_else_stays_as_it_is(text: str) -> None:
    if len(bare(text)) < 8:
        assert case_without_numbers(text) == text


def test_what_is_put_in_the_place_of_a_call() -> None:
    assert call_without_numbers("20261124T225600.123Z-L03") == "20261124T225600.123Z-L03"
    assert call_without_numbers("010-1234-5678") == "010-****-5678"


def test_wherever_a_number_is_typed_its_row_has_it_masked(tmp_path: Path) -> None:
    number = "010-1234-5678"
    with ServeSite(tmp_path) as served:
        client = served.client("officer")
        client.get("/calls/found", params={"case": number, "unit": number})
        client.get("/calls/found", params={"case": "제2026-123호"})
        client.get(f"/calls/floor-03/{number}")
        client.get(f"/release/{number}")
        with served.site.own.connect() as db:
            rows = db.execute(select(access.c.calls, access.c.terms, access.c.case_number)).all()
    assert [(row.calls, row.terms, row.case_number) for row in rows] == [
        ("", "unit=010-****-5678", "010-****-5678"),
        ("", "", "제2026-123호"),
        ("010-****-5678", "floor-03", ""),
        ("", "010-****-5678", ""),
    ]
