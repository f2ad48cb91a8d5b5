# SPDX-License-Identifier: Apache-2.0
"""docs/glossary.md: each term once, each with its Korean and its meaning."""

from __future__ import annotations

import re

from documents import ROOT

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| English")
]


def test_each_term_exists_once() -> None:
    terms = [term for row in ROWS for term in re.split(r", | and ", row[0])]
    assert sorted(term for term in set(terms) if terms.count(term) > 1) == []


def test_each_row_has_korean_and_a_meaning() -> None:
    for row in ROWS:
        assert len(row) == 3, row
        assert re.search(r"[가-힣]", row[1]) or row[0] == row[1], row
        assert row[2].endswith("."), row
