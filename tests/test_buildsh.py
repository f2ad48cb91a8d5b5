# SPDX-License-Identifier: Apache-2.0
"""build.sh as far as it goes without installing anything, and the lock file that it installs from."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
COMMANDS = ("demo", "test", "setup", "bench", "soak", "image", "hil")


def build(*words: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "build.sh"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd="/")


def test_it_lists_its_commands() -> None:
    ended = build()
    assert ended.returncode == 0
    assert [name for name in COMMANDS if not re.search(rf"^  {name}\b", ended.stdout, re.MULTILINE)] == []


@pytest.mark.parametrize("words", [("imagine",), ("soak", "long"), ("soak", "0")])
def test_usage_is_two(words: tuple[str, ...]) -> None:
    ended = build(*words)
    assert ended.returncode == 2
    assert f"build.sh: {'there is no command imagine' if len(words) == 1 else 'soak [MINUTES]: '}" in ended.stderr


def test_its_groups_of_tests_name_what_is_there_and_nothing_twice() -> None:
    """What is in none of them is in the last: a folder that was renamed would make that the longest."""
    lists = re.findall(r"^  local \w+=\((tests/[^)]*)\)$", (ROOT / "build.sh").read_text(), re.MULTILINE)
    named = [path for each in lists for path in each.split()]
    assert len(lists) == 3
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert len(named) == len(set(named))


def _locked() -> dict[str, str]:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    found = [re.match(r"(\S+)==(\S+) --hash=sha256:[0-9a-f]{64}( |$)", line) for line in lines]
    return {canonicalize_name(match[1]): match[2] for match in found if match is not None}


def _wanted() -> list[Requirement]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    extras = project["project"]["optional-dependencies"]
    texts = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    texts += [text for extra, packages in extras.items() if extra != "pi" for text in packages]
    return [Requirement(text) for text in texts]


def test_the_lock_has_what_the_project_asks_for() -> None:
    """`.venv/bin/python tools/lock.py` makes it anew."""
    locked = _locked()
    missing = [str(it) for it in _wanted() if not it.specifier.contains(locked.get(canonicalize_name(it.name), "0"))]
    assert missing == []


def test_every_line_of_the_lock_has_a_hash() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(_locked())
    assert lines[0].startswith("setuptools==")  # build.sh installs it before what is built with it
