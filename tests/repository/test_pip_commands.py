# SPDX-License-Identifier: Apache-2.0
"""No document or message suggests installing linetap by a name: it is in no package index, and an attacker's package of
that name would be installed with access to the desk's keys.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "firmware", "systemd", "tools", "image", "tests")
OTHERS = {"locust"}  # third-party, named for a bench
# pip install and its arguments, up to the end of the command.
COMMAND = re.compile(r"pip install ((?:[^\s`#&|;,]+ ?)+)")


def texts() -> dict[Path, str]:
    found = [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    found += [
        path for folder in FOLDERS for path in (ROOT / folder).rglob("*")
        if path.suffix in (".md", ".py", ".sh", ".toml", ".service") and path != Path(__file__)
    ]  # fmt: skip
    return {path: path.read_text(encoding="utf-8") for path in found}


def test_nothing_of_ours_is_installed_by_its_name() -> None:
    ours = {tomllib.loads(path.read_text())["project"]["name"] for path in (ROOT / "firmware").glob("*/pyproject.toml")}
    assert "linetap-desk" in ours
    found = set()
    for path, text in texts().items():
        for command in COMMAND.findall(text):
            for word in command.replace("'", "").replace('"', "").split():
                if word.partition("[")[0] in ours:
                    found.add((path.name, word))
    assert found == set()


def test_a_document_names_no_other_package_without_a_reason() -> None:
    for path in (ROOT / "docs").rglob("*.md"):
        for command in COMMAND.findall(path.read_text()):
            words = [word for word in command.split() if not word.startswith("-")]
            folders = [word for word in words if word.startswith("./firmware/")]
            assert folders or words[0] in OTHERS, f"{path.name}: pip install {command}"
            assert all((ROOT / word.partition("[")[0]).is_dir() for word in folders)
