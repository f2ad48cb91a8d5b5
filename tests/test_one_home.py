# SPDX-License-Identifier: Apache-2.0
"""One concept has one home: a second spelling of a shared name, number or format in the source is found here.

Read from the source: string and number literals outside docstrings, and calls. Documentation is held to the same homes
where it names them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from linetap_core.evidence import namespaces

ROOT = Path(__file__).parents[1]
FIRMWARE = ROOT / "firmware"
CORE = "core/linetap_core"

NAMESPACES = {value for name, value in vars(namespaces).items() if name.isupper() and isinstance(value, str)}
_NAMESPACE = re.compile(rf"(?<![\w-])({'|'.join(sorted(NAMESPACES))})(?![\w.-])")


@cache
def sources() -> dict[str, ast.Module]:
    """Of every module, by its path below firmware/."""
    paths = sorted(FIRMWARE.rglob("*.py"))
    return {str(path.relative_to(FIRMWARE)): ast.parse(path.read_bytes()) for path in paths}


def literals(tree: ast.Module) -> Iterator[ast.Constant]:
    """Every literal that is no docstring; those within an f-string too."""
    prose = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose)


def names_a_namespace(value: object) -> bool:
    return isinstance(value, str) and _NAMESPACE.search(value) is not None


# What must be spelled nowhere else, and the one module that spells it.
LITERALS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "signature namespace": (f"{CORE}/evidence/namespaces.py", names_a_namespace),
}


@pytest.mark.parametrize("concept", LITERALS)
def test_a_literal_is_spelled_in_its_home_alone(concept: str) -> None:
    home, is_one = LITERALS[concept]
    found = {
        f"{path}:{node.lineno}: {node.value!r}"
        for path, tree in sources().items()
        for node in literals(tree)
        if is_one(node.value)
    }
    assert any(each.startswith(home) for each in found), f"{home} spells no {concept} any more"
    assert not sorted(each for each in found if not each.startswith(home))


def test_documentation_names_no_other_namespace() -> None:
    text = "".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    lists = re.findall(r"namespaces?=\"([^\"]*)\"", text) + re.findall(r"ssh-keygen -Y [^`\n]*? -n ([a-z-]+)", text)
    named = {name for each in lists for name in each.split(",") if name.startswith("linetap-") and "*" not in name}
    assert named >= set(namespaces.BY_UNIT)
    assert named <= NAMESPACES
