# SPDX-License-Identifier: Apache-2.0
"""docs/decisions: each number exists once with its reason, and every reference to a decision is valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from documents import ROOT, markdown, text_files

DECISIONS = ROOT / "docs" / "decisions"
LONGEST = 80  # lines of a section; a longer one is cut to the decision, its reason and its figures
HEADING = re.compile(r"^## (\d{4}) (.+)$", re.MULTILINE)
BEFORE = re.compile(r"^\*\*Before \((\d{4})\)\.\*\*", re.MULTILINE)
AREA = re.compile(r"^\| \[.+\]\(([\w-]+\.md)\) \| ([\d, ]+) \|$", re.MULTILINE)
REFERENCE = re.compile(r"\bdecision[ \n#*]+(\d{4})\b", re.IGNORECASE)
LINK = re.compile(r"\[decision\s+(\d{4})\]\(([^)#]+)")
OLD_FORM = re.compile(r"\bdecisions/(\d{4})\b(?!-[\w-]+\.md)")


def sections() -> dict[str, list[tuple[Path, str]]]:
    """Number -> its sections, each with its page: a section of an area's page, or a separate page (`NNNN-title.md`)."""
    found: dict[str, list[tuple[Path, str]]] = {}
    for page in sorted(DECISIONS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if page.name[:4].isdigit():
            found.setdefault(page.name[:4], []).append((page, text))
        elif page.name != "README.md":
            for part in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]:
                heading = HEADING.match(part)
                assert heading, f"{page.name}: `{part.splitlines()[0]}` has no number"
                found.setdefault(heading[1], []).append((page, part))
    return found


def replaced() -> dict[str, Path]:
    """Number of a replaced decision -> the page on which its successor names it."""
    found: dict[str, Path] = {}
    for page in DECISIONS.glob("*.md"):
        for number in BEFORE.findall(page.read_text(encoding="utf-8")):
            assert number not in found, number
            found[number] = page
    return found


SECTIONS, REPLACED = sections(), replaced()


def test_each_number_exists_once() -> None:
    assert [number for number, found in SECTIONS.items() if len(found) > 1] == []
    assert SECTIONS.keys() & REPLACED.keys() == set()


@pytest.mark.parametrize("number", sorted(SECTIONS))
def test_a_decision_gives_the_reason_and_is_short(number: str) -> None:
    page, text = SECTIONS[number][0]
    assert re.search(r"\*\*(Why|Question)\b", text), f"{page.name}: {number} has no **Why.**"
    assert len(text.strip().splitlines()) <= LONGEST, f"{page.name}: {number}"


def test_the_index_names_the_page_of_each_decision() -> None:
    pages = AREA.findall((DECISIONS / "README.md").read_text(encoding="utf-8"))
    listed = [(number, page) for page, numbers in pages for number in numbers.split(", ")]
    of_sections = [(number, found[0][0].name) for number, found in SECTIONS.items()]
    assert sorted(listed) == sorted([*of_sections, *((number, page.name) for number, page in REPLACED.items())])


def test_every_reference_finds_its_decision() -> None:
    known = SECTIONS.keys() | REPLACED.keys()
    missing = []
    for path in text_files():
        text = path.read_text(encoding="utf-8")
        numbers = [*REFERENCE.findall(text), *OLD_FORM.findall(text)]
        missing += [f"{path.relative_to(ROOT)}: {number}" for number in numbers if number not in known]
        missing += [f"{path.relative_to(ROOT)}: write `decision {number}`" for number in OLD_FORM.findall(text)]
    assert missing == []


def test_a_link_to_a_decision_leads_to_its_page() -> None:
    wrong = []
    for path in markdown():
        for number, target in LINK.findall(path.read_text(encoding="utf-8")):
            page = SECTIONS[number][0][0] if number in SECTIONS else REPLACED[number]
            if (path.parent / target).resolve() != page:
                wrong.append(f"{path.relative_to(ROOT)}: decision {number} is in {page.name}, not in {target}")
    assert wrong == []
