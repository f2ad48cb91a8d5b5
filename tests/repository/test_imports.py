# SPDX-License-Identifier: Apache-2.0
"""The import graph, read from the source: it has no cycle, and unit and desk import core, not each other.

Every import counts: at the top of a module, within a function, or for types alone. A cycle that Python tolerates still
counts: neither side can be read, tested or moved without the other.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from importgraph import FIRMWARE, PACKAGES, Arrows, arrows, circles, modules, product, roots

_KNOWS = {
    "core": {"core"},
    "unit": {"core", "unit"},
    "desk": {"core", "desk"},
    "bench": {"core", "unit", "desk", "bench"},
}


def lines_of(graph: Arrows, circle: list[str]) -> list[str]:
    return [f"{a}:{line} imports {b}" for a in circle for b, line in graph[a].items() if b in circle]


@pytest.fixture(scope="module")
def graph() -> Arrows:
    return arrows(*roots())


def test_no_module_comes_back_to_itself(graph: Arrows) -> None:
    found = circles(graph)
    assert not found, "\n".join(chain.from_iterable([*lines_of(graph, each), ""] for each in found))


def _room(module: str) -> str:
    """The file or folder at the top level of its package that contains it."""
    return ".".join(module.split(".")[:2])


def test_no_room_comes_back_to_itself(graph: Arrows) -> None:
    rooms: dict[str, dict[str, int]] = {}
    for module, targets in graph.items():
        outside = {_room(to): line for to, line in targets.items() if _room(to) != _room(module)}
        rooms.setdefault(_room(module), {}).update(outside)
    assert {"linetap.recorder", "linetap_core.evidence", "linetap_bench.exchange", "linetap_desk.serve"} <= rooms.keys()
    rooms = {room: {to: line for to, line in targets.items() if to in rooms} for room, targets in rooms.items()}
    found = circles(rooms)
    assert not found, "\n".join(chain.from_iterable([*lines_of(rooms, each), ""] for each in found))


def _folder(module: str, path: Path) -> str:
    """The module's folder; a module directly in its package counts as its own folder."""
    folder = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return folder if "." in folder else module


FOLDERS = {
    "core": {"linetap_core.evidence.keys", "linetap_core.evidence.signing", "linetap_core.durable"},
    "unit": {
        "linetap.recorder",
        "linetap.recorder.calls",
        "linetap.recorder.vault.retention",
        "linetap.recorder.pbx",
        "linetap.board.meter",
    },
    "desk": {"linetap_desk.ingest", "linetap_desk.serve.release", "linetap_desk.bundle"},
    "bench": {"linetap_bench.exchange", "linetap_bench.measure", "linetap_bench.measure.accuracy"},
}


@pytest.mark.parametrize("name", FOLDERS)
def test_no_folder_comes_back_to_itself(graph: Arrows, name: str) -> None:
    """Stricter than for rooms: the top-level files of recorder/ do not import modules that import them from a
    subfolder.
    """
    package = FIRMWARE / name / PACKAGES[name]
    folder_of = {module: _folder(module, path) for module, path in modules(package).items()}
    folders: dict[str, dict[str, int]] = {folder: {} for folder in folder_of.values()}
    for module, folder in folder_of.items():
        outside = {folder_of[to]: line for to, line in graph[module].items() if folder_of.get(to, folder) != folder}
        folders[folder].update(outside)
    assert FOLDERS[name] <= folders.keys()
    found = circles(folders)
    assert not found, "\n".join(chain.from_iterable([*lines_of(folders, each), ""] for each in found))


def test_unit_and_desk_know_core_and_not_each_other(graph: Arrows) -> None:
    wrong = [
        f"{module}:{line} imports {to}: {product(module)} must not know {product(to)}"
        for module, targets in graph.items()
        for to, line in targets.items() if product(to) not in _KNOWS[product(module)]
    ]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_every_package_is_looked_at(graph: Arrows) -> None:
    assert {module.partition(".")[0] for module in graph} == set(PACKAGES.values())
    assert {path.parent.name for path in FIRMWARE.glob("*/pyproject.toml")} == PACKAGES.keys()


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
    """The forms of former cycles in this code."""
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
