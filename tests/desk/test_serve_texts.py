# SPDX-License-Identifier: Apache-2.0
"""Every text of the pages has its Korean, and ko.po has no other texts."""

from __future__ import annotations

import ast
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

from linetap_desk.serve.service import ROUTES
from linetap_desk.web import text

SERVE, *ROOMS = (
    Path(str(files(f"linetap_desk.{name}"))) for name in ("serve", "custody", "web", "protection", "coverage")
)
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}


def catalog() -> dict[str, tuple[str, ...]]:
    """msgid -> its Korean, one for each plural."""
    with (SERVE / "locale/ko.po").open("rb") as file:
        return {_first(one.id): tuple(_all(one.string)) for one in read_po(file) if one.id}


def used() -> set[str]:
    found = {route.menu for route in ROUTES if route.menu}
    for path in (path for room in (SERVE, *ROOMS) for path in room.rglob("*.py")):
        with path.open("rb") as file:
            found |= {_first(message) for _, message, _, _ in extract("python", file, KEYWORDS)}
    for path in (path for room in (SERVE, *ROOMS) for path in room.rglob("*.html")):
        with path.open("rb") as file:
            found |= {_first(message) for _, _, message, _ in babel_extract(file, list(KEYWORDS), [], {})}
    return found - {""}


def _all(message: Any) -> list[str]:
    return [message] if isinstance(message, str) else [part for part in message or () if isinstance(part, str)]


def _first(message: Any) -> str:
    """The text; empty for a variable, whose content is marked with N_ at its source."""
    return next(iter(_all(message)), "")


def test_every_text_has_its_korean() -> None:
    known = catalog()
    assert used() - known.keys() == set()
    assert [key for key, value in known.items() if not all(value)] == []
    assert known.keys() - used() == set()


def test_what_is_filled_in_is_filled_in_by_both() -> None:
    for english, korean in catalog().items():
        for one in korean:
            assert sorted(_names(english)) == sorted(_names(one)), english


def _names(message: str) -> set[str]:
    return {part.partition(")")[0] for part in message.split("%(")[1:]}


def test_the_file_is_sorted() -> None:
    lines = (SERVE / "locale/ko.po").read_text().splitlines()
    ids = [ast.literal_eval(line.removeprefix("msgid ")) for line in lines if line.startswith("msgid ")]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize(("asked", "word"), [("ko", "로그인"), ("en", "Log in"), ("xx", "로그인"), (None, "로그인")])
def test_korean_unless_another_is_chosen(asked: str | None, word: str) -> None:
    assert text.words(text.language_of(asked)).gettext("Log in") == word


ROOT = Path(__file__).parents[2]
# Korean expressions that are hard for an administrative reader, and their replacement.
BETTER = {
    "공개 신청": "열람·제공 신청", "보관 책임자": "키 관리자", "보관자": "열람 담당자", "의 몫": "1차 개봉 파일",
    "제출하기": "제출", "소식": "수신", "로그 머리": "로그 상태값", "머리 두 개": "로그 상태값",
    "다시 감쌀": "보존용 키",
    "내줌": "제공", "내주지": "미제공", "꾸러미": "증거 묶음", "증거 파일 묶음": "증거 묶음",
    "접근 기록": "접속기록", "접속 기록": "접속기록", "사건 번호": "사건번호", "공개 키": "공개키", "개인 키": "개인키",
    "역할표": "역할 명부", "역할 파일": "역할 명부", "역할 목록": "역할 명부", "확인점": "체크포인트",
    "보존 만료일": "파기일", "회선표": "회선 배정표", "장치 키": "기기 키",
    "보존 분류": "보존 구분", "보존 등급": "보존 구분", "보존기간": "보존 기간", "증인 정책": "증인 규칙",
    "폐기 증명서": "파기 확인서", "감사자": "감사 담당자", "통화중": "통화 중",
}  # fmt: skip
SUFFIXES = (".md", ".toml", ".yaml", ".svg", ".py", ".po", ".html", ".js")
READ_BY_PEOPLE = [
    path
    for folder in ("docs", "hardware", "firmware")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in SUFFIXES
]


def test_the_words_are_those_of_an_office() -> None:
    found: dict[str, list[str]] = {}
    for path in READ_BY_PEOPLE:
        text = path.read_text(encoding="utf-8")
        for word in (word for word in BETTER if word in text):
            found.setdefault(f"{word} (better: {BETTER[word]})", []).append(path.name)
    assert found == {}
