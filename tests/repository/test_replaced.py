# SPDX-License-Identifier: Apache-2.0
"""tests/replaced.md: what the emulated units have in place of a real unit's parts, and the test of each real part."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
TABLE = TESTS / "replaced.md"
INSIDE = TESTS / "hil/inside"
COLUMNS = 4
SYSTEM = (
    "/etc/systemd/",
    "/etc/default/",
    "/etc/chrony/",
    "/usr/bin/",
    "/usr/local/",
    "/etc/rauc/",
    "/usr/lib/linetap/",
)
WORDS = ("board_words", "steady")
NODES = ("ABSENT", "NO_PINS")


def rows() -> list[list[str]]:
    lines = [line for line in TABLE.read_text("utf-8").splitlines() if line.startswith("|")][2:]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert all(len(row) == COLUMNS for row in found)
    return found


def replaced() -> Iterator[tuple[str, str]]:
    """Each rig with what it replaces, by its own source."""
    for path in INSIDE.rglob("*"):
        if path.suffix in (".conf", ".rules"):
            yield "hil", str(path.relative_to(INSIDE))
        elif path.suffix == ".sh":
            yield from (
                ("hil", word)
                for word in re.findall(r"insmod \S*/([a-z_-]+)\.ko", path.read_text())
                if word != "configfs"  # replaces nothing: gpio-sim is set up by it
            )
    for path in (TESTS / "hil").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in WORDS:
                    yield from (("hil", word) for word in ast.literal_eval(value).split())
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in NODES:
                    yield from (("hil", word) for word in ast.literal_eval(value))
                case _:
                    pass
    for path in (TESTS / "systemd").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "write":
                place = re.sub(r"^f?'|'$", "", ast.unparse(node.args[0])) if node.args else ""
                if place.startswith(SYSTEM):
                    yield path.name, place


def test_the_table_has_all_that_the_rigs_replace_and_nothing_else() -> None:
    listed = [(rig, part) for rig, parts, _, _ in rows() for part in parts.split(", ")]
    assert len(listed) == len(set(listed)), "a row is there twice"
    assert sorted(set(replaced()) - set(listed)) == [], "replaced, and not in the table"
    assert sorted(set(listed) - set(replaced())) == [], "in the table, and no rig replaces it"


@pytest.mark.parametrize("row", [row for row in rows() if not row[3].startswith("**none**")], ids=lambda row: row[1])
def test_the_named_test_opens_the_real_part(row: list[str]) -> None:
    """The test names the file; one of hil starts the whole image, with all that hil itself does not replace."""
    rig, _, real, test = row
    assert (TESTS / test).is_file(), test
    if test.startswith("hil/"):
        assert rig != "hil"
        return
    if not real.startswith(("systemd/", "image/")):
        assert test == f"systemd/{rig}", "the rig's own test runs it, elsewhere it is to be a file"
        return
    assert (ROOT / real).is_file(), real
    assert Path(real).name in (TESTS / test).read_text("utf-8"), f"{test} does not name {Path(real).name}"
