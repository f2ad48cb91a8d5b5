# SPDX-License-Identifier: Apache-2.0
"""The image's build runs its programs with Debian's own Python, which has none of the packages of .venv."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

IMAGE = Path(__file__).resolve().parents[2] / "image"
PYTHON = "/usr/bin/python3"  # as image/steps/root.sh
PROGRAMS = ["-m boards", *sorted(path.name for path in IMAGE.glob("*.py") if "argparse" in path.read_text())]


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_starts_without_installed_packages(program: str) -> None:
    words = program.split() if program.startswith("-m") else [str(IMAGE / program)]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [PYTHON, "-s", "-S", *words, "--help"], env=environment | {"PYTHONPATH": str(IMAGE)}, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
