# SPDX-License-Identifier: Apache-2.0
"""A missing program is named with its Debian package, and each package of the table has its program. That every program
is in the table: tests/repository/test_one_home.py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from linetap_core import absent, system
from linetap_core.errors import BadInput


@pytest.mark.parametrize("program", sorted(absent.PACKAGES))
def test_the_package_has_the_program(program: str) -> None:
    """By dpkg's own list of files; of a package that only depends on the owner, by apt's list of dependencies."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/bin")
    assert path is not None, f"{program}: ./build.sh setup brings it"
    resolved = {path, os.path.realpath(path)}
    found = subprocess.run(["dpkg", "-S", *resolved], capture_output=True, text=True, check=False).stdout
    owners = {line.partition(":")[0] for line in found.splitlines() if not line.startswith("diversion")}
    package = absent.PACKAGES[program]
    assert owners & {package, *needed(package)}, (program, owners)


def needed(package: str) -> set[str]:
    """All packages that come with a package."""
    words = ["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts",
             "--no-breaks", "--no-replaces", "--no-enhances", package]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return set(re.findall(r"(?m)^ *\|?Depends: ([a-z0-9][a-z0-9+.-]+)", done.stdout))


def test_a_missing_program_is_one_line_with_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput) as refused:
        absent.require_program("sigsum-verify", "it reads the proof")
    assert str(refused.value) == "sigsum-verify is not installed: apt install sigsum-go; it reads the proof"


def test_no_package_of_debian_is_named_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "IS_WINDOWS", True)
    assert absent.not_installed("age") == "age is not installed"


def test_an_unknown_program_is_named_alone() -> None:
    assert absent.not_installed("/opt/site/fixture") == "/opt/site/fixture is not installed"
