# SPDX-License-Identifier: Apache-2.0
"""What imports what, read from the source: no module comes back to itself, and unit and desk know core, not each other.

An import counts wherever it stands: at the top, within a function, or for types alone. A circle that Python happens to
survive is a circle all the same: neither end of it can be read, tested or moved without the other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

import pytest

_FIRMWARE = Path(__file__).parents[1] / "firmware"
_PACKAGES = {"linetap_core": "core", "linetap": "unit", "linetap_desk": "desk", "linetap_bench": "bench"}
_KNOWS = {
    "core": {"core"},
    "unit": {"core", "unit"},
    "desk": {"core", "desk"},
    "bench": {"core", "unit", "desk", "bench"},
}


type Arrows = Mapping[str, Mapping[str, int]]  # module -> what it imports -> the first line on which it does


def modules(*roots: Path) -> dict[str, Path]:
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


def arrows(*roots: Path) -> dict[str, dict[str, int]]:
    """A name that is a module is what is imported, not the package it lies in."""
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


def lines_of(graph: Arrows, circle: list[str]) -> list[str]:
    return [f"{a}:{line} imports {b}" for a in circle for b, line in graph[a].items() if b in circle]


@pytest.fixture(scope="module")
def graph() -> dict[str, dict[str, int]]:
    return arrows(*(_FIRMWARE / folder / package for package, folder in _PACKAGES.items()))


def test_no_module_comes_back_to_itself(graph: Arrows) -> None:
    found = circles(graph)
    assert not found, "\n".join(chain.from_iterable([*lines_of(graph, each), ""] for each in found))


def _room(module: str) -> str:
    """The file or folder beside the others of its package in which it lies."""
    return ".".join(module.split(".")[:2])


def test_no_room_of_unit_or_core_comes_back_to_itself(graph: Arrows) -> None:
    """Of the desk and the bench this does not hold yet."""
    rooms: dict[str, dict[str, int]] = {}
    for module, targets in graph.items():
        if _product(module) in ("unit", "core"):
            outside = {_room(to): line for to, line in targets.items() if _room(to) != _room(module)}
            rooms.setdefault(_room(module), {}).update(outside)
    assert {"linetap.recorder", "linetap_core.evidence"} <= rooms.keys()
    assert circles(rooms) == []


def _folder(module: str, path: Path) -> str:
    """Where the module lies; loose in its package it is a folder of its own, and the vault with all below it is one."""
    folder = module if path.name == "__init__.py" else module.rpartition(".")[0]
    if folder.startswith("linetap.recorder.vault"):
        return "linetap.recorder.vault"
    return folder if "." in folder else module


def test_no_folder_of_the_unit_comes_back_to_itself(graph: Arrows) -> None:
    """Stricter than the rooms: the loose files of recorder/ do not import what imports them from a folder below."""
    unit = _FIRMWARE / "unit" / "linetap"
    folder_of = {module: _folder(module, path) for module, path in modules(unit).items()}
    folders: dict[str, dict[str, int]] = {folder: {} for folder in folder_of.values()}
    for module, folder in folder_of.items():
        outside = {folder_of[to]: line for to, line in graph[module].items() if folder_of.get(to, folder) != folder}
        folders[folder].update(outside)
    assert {
        "linetap.recorder",
        "linetap.recorder.calls",
        "linetap.recorder.pbx",
        "linetap.board.meter",
    } <= folders.keys()
    found = circles(folders)
    assert not found, "\n".join(chain.from_iterable([*lines_of(folders, each), ""] for each in found))


def _product(module: str) -> str:
    return _PACKAGES[module.partition(".")[0]]


def test_unit_and_desk_know_core_and_not_each_other(graph: Arrows) -> None:
    wrong = [
        f"{module}:{line} imports {to}: {_product(module)} must not know {_product(to)}"
        for module, targets in graph.items()
        for to, line in targets.items() if _product(to) not in _KNOWS[_product(module)]
    ]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_every_package_is_looked_at(graph: Arrows) -> None:
    assert {module.partition(".")[0] for module in graph} == _PACKAGES.keys()
    assert {path.parent.name for path in _FIRMWARE.glob("*/pyproject.toml")} == set(_PACKAGES.values())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("from p.b import thing\n", "from p.a import other\n"),
        ("from p.b import thing\n", "def late() -> None:\n    from p.a import other\n"),
        ("import p.b\n", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.a import other\n"),
        ("from p import b\n", "from p import a\n"),
        ("from . import b\n", "from .a import other\n"),
        ("from .sub.c import thing\n", ""),
        ("from p import constant\n", ""),
    ],
    ids=["top", "function", "types", "module", "relative", "by-way-of-a-third", "package"],
)
def test_a_circle_is_found_wherever_its_import_stands(tmp_path: Path, one: str, other: str) -> None:
    """The ways in which those went that this code once had."""
    (tmp_path / "p" / "sub").mkdir(parents=True)
    (tmp_path / "p" / "__init__.py").write_text("from p.a import x\nconstant = 1\n" if "constant" in one else "")
    (tmp_path / "p" / "a.py").write_text(one)
    (tmp_path / "p" / "b.py").write_text(other)
    (tmp_path / "p" / "sub" / "__init__.py").write_text("")
    (tmp_path / "p" / "sub" / "c.py").write_text("from ..a import other\n")
    assert len(circles(arrows(tmp_path / "p"))) == 1


def test_what_goes_one_way_is_no_circle(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "__init__.py").write_text("")
    (tmp_path / "p" / "a.py").write_text("from p import b, c\n")
    (tmp_path / "p" / "b.py").write_text("from p.c import thing\n")
    (tmp_path / "p" / "c.py").write_text("import os\n")
    assert circles(arrows(tmp_path / "p")) == []
