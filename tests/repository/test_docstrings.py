# SPDX-License-Identifier: Apache-2.0
"""A docstring is readable without the name above it: it begins with a noun or a verb for the result or the action.

PEP 257 asks for a phrase that ends in a period. "Of the list in use." under `def version` is none: an editor shows it
beside a call, without the class and the function before it. The test does not cover tests/hardware and hardware/ yet.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("firmware", "tools", "tests")

# A fragment of a sentence: a preposition, a pronoun without a noun, or a relative clause in place of a noun.
_HANGS = re.compile(
    r"(Of|As|By|In|With|Without|From|On|To|Also|Those|Its|It|What|Which|How|Who|Where|Why|When|Until|If) "
)


def hanging(source: str) -> list[str]:
    """The docstrings with such a beginning, each with its line. Those of tests may continue the name of the test."""
    return [
        f"{node.body[0].lineno}: {text.splitlines()[0]}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if not getattr(node, "name", "").startswith("test_")
        if (text := ast.get_docstring(node)) is not None and _HANGS.match(text)
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_docstring_does_not_hang_on_the_name_above_it(folder: str) -> None:
    paths = sorted(set((ROOT / folder).rglob("*.py")) - set((ROOT / "tests" / "hardware").rglob("*.py")))
    assert paths
    found = [f"{path.relative_to(ROOT)}:{each}" for path in paths for each in hanging(path.read_text("utf-8"))]
    assert not found


@pytest.mark.parametrize("text", ["Of the list in use.", "As udev names it.", "It is no proof.", "Where a page ends."])
def test_one_that_does_is_found(text: str) -> None:
    assert hanging(f'def version() -> int:\n    """{text}"""\n    return 1\n') == [f"2: {text}"]
    assert not hanging('def version() -> int:\n    """The version of the list in use."""\n    return 1\n')
