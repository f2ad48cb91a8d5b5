# SPDX-License-Identifier: Apache-2.0
"""docs/threats.md: each row has its test, and each named test exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
DOCUMENT = (TESTS.parent / "docs" / "threats.md").read_text()
ROWS = [
    line
    for line in DOCUMENT.splitlines()
    if line.startswith("|") and not re.match(r"\|(-+\|)+$|\| (Who|Which) \|", line)
]
COLUMNS = 7
NAMED = sorted(set(re.findall(r"`([a-z_/0-9]+\.py)::(test_\w+)`", DOCUMENT)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_a_row_says_all_of_it_and_names_a_test(row: str) -> None:
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == COLUMNS
    assert all(cells)
    assert re.fullmatch(r"(`[a-z_/0-9]+\.py::test_\w+`(, )?)+", cells[-1]), cells[-1]


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[f"{path}::{name}" for path, name in NAMED])
def test_what_it_names_exists(path: str, name: str) -> None:
    tree = ast.parse((TESTS / path).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_attack_is_in_it() -> None:
    named = {path for path, _ in NAMED}
    files = {f"attack/{path.name}" for path in (TESTS / "attack").glob("test_*.py")} - {f"attack/{Path(__file__).name}"}
    assert files <= named, "an attack that the table does not show"
