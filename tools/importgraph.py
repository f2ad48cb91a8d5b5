# SPDX-License-Identifier: Apache-2.0
"""Reads the graph of imports from the source: tests/repository/test_imports.py checks it, tools/packagemap.py draws it.

Every import counts: at the top of a module, within a function, or for types alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parents[1] / "firmware"
PACKAGES = {"core": "linetap_core", "unit": "linetap", "desk": "linetap_desk", "bench": "linetap_bench"}  # by folder

type Arrows = Mapping[str, Mapping[str, int]]  # module -> imported module -> the line of its first import


def roots() -> list[Path]:
    """The folders of the four packages."""
    return [FIRMWARE / folder / package for folder, package in PACKAGES.items()]


def product(module: str) -> str:
    """The folder of firmware/ in which a module's package lies: core, unit, desk or bench."""
    first = module.partition(".")[0]
    return next(folder for folder, package in PACKAGES.items() if package == first)


def modules(*roots: Path) -> dict[str, Path]:
    """Dotted name -> file, of every module below these packages."""
    found = {}
    for root in roots:
        for path in root.rglob("*.py"):
            name = ".".join(path.relative_to(root.parent).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imported(tree: ast.AST, package: str) -> Iterator[tuple[str, str | None, int]]:
    """(module, name or None, line) of every import, the relative ones spelled out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((each.name, None, node.lineno) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            yield from ((module, each.name, node.lineno) for each in node.names)


@cache  # some 900 files: a second of a processor
def arrows(*roots: Path) -> Arrows:
    """Every module with its imported modules: for `from package import module` the module, not its package."""
    known = modules(*roots)
    found: dict[str, dict[str, int]] = {}
    for module, path in known.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        found[module] = {}
        for target, name, line in imported(ast.parse(path.read_bytes()), package):
            whole = f"{target}.{name}"
            to = whole if whole in known else target
            if to in known and to != module:
                found[module].setdefault(to, line)
    return found


def circles(graph: Arrows) -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan), each in order."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for to in graph[module]:
            if to not in index:
                visit(to)
                low[module] = min(low[module], low[to])
            elif to in stack:
                low[module] = min(low[module], index[to])
        if low[module] == index[module]:
            at = stack.index(module)
            found.append(sorted(stack[at:]))
            del stack[at:]

    for module in graph:
        if module not in index:
            visit(module)
    return [each for each in found if len(each) > 1]
