# SPDX-License-Identifier: Apache-2.0
"""docs/architecture.md: its picture is drawn from the code, and the files that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import packagemap
from importgraph import PACKAGES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"


def test_the_picture_is_that_of_the_code() -> None:
    """`.venv/bin/python tools/packagemap.py` draws it."""
    text = PAGE.read_text(encoding="utf-8")
    assert packagemap.page(text) == text


def test_what_the_table_names_is_there() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## Where to change what")[2]
    bases = [ROOT, *(ROOT / "firmware" / folder / package for folder, package in PACKAGES.items())]
    missing = []
    for row in re.findall(r"^\| (.*) \|$", table, re.MULTILINE)[2:]:
        here = ""  # a name without a folder is in the folder of the one before it
        for name in re.findall(r"`([\w/.-]+\.(?:py|toml|md)|[\w/-]+/)`", row):
            path = re.sub(r"^(desk|bench)/", "", name)
            folder = path if path.endswith("/") else path.rpartition("/")[0] + "/" if "/" in path else here
            tries = [base / each for base in bases for each in (path, f"{here}{path}", f"recorder/{path}")]
            if not any(each.exists() for each in tries):
                missing.append(f"{name}: {row[:60]}")
            here = folder
    assert missing == []
