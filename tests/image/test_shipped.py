# SPDX-License-Identifier: Apache-2.0
"""The unit's tests run with the image's Python modules: `build.sh` puts them before those of the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "build" / "shipped"
MODULES = {
    "python3-numpy": "numpy", "python3-msgspec": "msgspec", "python3-cryptography": "cryptography",
    "python3-paho-mqtt": "paho.mqtt", "python3-serial": "serial",
}  # fmt: skip


def _packages() -> list[str]:
    lines = (ROOT / "image" / "packages.txt").read_text().splitlines()
    return [line.split()[0] for line in lines if line.startswith("python3-")]


def test_every_python_package_of_the_image_is_known_here() -> None:
    assert set(_packages()) == set(MODULES)


def test_modules_are_those_of_the_image() -> None:
    names = [MODULES[package] for package in _packages()]
    code = f"import importlib\nfor name in {names}: print(importlib.import_module(name).__file__)"
    environment = os.environ | {"PYTHONPATH": str(SHIPPED)}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    real = [str(Path(path).resolve()) for path in found.stdout.split()]
    assert [path.startswith("/usr/lib/python3/dist-packages/") for path in real] == [True] * len(names), real
