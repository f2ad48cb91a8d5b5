# SPDX-License-Identifier: Apache-2.0
"""The people's tools without POSIX: a whole release under a Windows-like environment, and mypy's check of every module
that they import.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from program_rig import OnWindows

import windows_like
from importgraph import arrows, modules, roots
from release_rig import Desk

TESTS = Path(__file__).resolve().parents[1]
LIMIT_S = 240


def test_a_release_is_walked_without_posix(desk: Desk) -> None:
    paths = [str(TESTS / "rigs"), str(TESTS / "desk"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, windows_like.__file__, str(desk.root), str(TESTS / "desk/windows_walk.py")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}, capture_output=True, timeout=LIMIT_S,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr).decode("cp949", "replace")


def test_ctrl_and_pause_leave_no_package_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with OnWindows(tmp_path, tmp_path / "computer") as run:
        assert list(temporary.glob("linetap-custody-*"))
        run.process.send_signal(windows_like.BREAK)
        run.process.wait(LIMIT_S)
    assert not list(temporary.iterdir())


# What people run at their own machines. The services and the server's commands are Linux's.
PEOPLE = {
    "linetap_core.cli", "linetap_desk.commands.verify", "linetap_desk.accesslog.command",
    "linetap_desk.accesslog.roles", "linetap_desk.bundle.command", "linetap_desk.ceremony.epoch",
    "linetap_desk.ceremony.hold", "linetap_desk.ceremony.keygen", "linetap_desk.ceremony.rewrap",
    "linetap_desk.commands.custody", "linetap_desk.custody.search.command", "linetap_desk.unitcommands.command",
    "linetap_desk.pki.command",
    "linetap_desk.release.command", "linetap_desk.release.open", "linetap_desk.release.unwrap",
    "linetap_desk.searching.find",
}  # fmt: skip


def modules_of_people() -> dict[str, Path]:
    """All modules that these commands import, directly or not."""
    known, imports = modules(*roots()), arrows(*roots())
    wanted, found = list(PEOPLE), dict[str, Path]()
    while wanted:
        module = wanted.pop()
        if module in known and module not in found:
            found[module] = known[module]
            wanted += [module.rpartition(".")[0], *imports[module]]
    assert found.keys() >= PEOPLE
    return found


def test_mypy_takes_all_of_it_for_windows() -> None:
    """typeshed knows which names of Python's own library are not there."""
    mypy = [sys.executable, "-m", "mypy", "--platform", "win32", "--cache-dir", ".mypy_cache/windows"]
    done = subprocess.run(
        [*mypy, *sorted(map(str, modules_of_people().values()))], cwd=TESTS.parent, capture_output=True, text=True,
        timeout=LIMIT_S, env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


# A service's own, which writes nothing there but its process; a lock that nothing is written to.
NOT_READ_BY_OTHERS = {"linetap_core.service", "linetap_desk.witnessing.carry"}


def test_no_text_is_written_as_the_system_spells_it() -> None:
    """Windows adds carriage returns and uses cp949: text that is signed or read elsewhere is written as bytes."""
    found = {
        f"{module}:{node.lineno}"
        for module, path in modules_of_people().items()
        if module not in NOT_READ_BY_OTHERS
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and writes_text(node)
    }
    assert not found


def writes_text(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "write_text":
        return True
    modes = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return name in ("open", "fdopen") and any(set(mode) & set("wax+") and "b" not in mode for mode in modes)
