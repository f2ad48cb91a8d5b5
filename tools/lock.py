#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes requirements.lock: the requirements of pyproject.toml and firmware/*/pyproject.toml at exact versions, with
the hashes of pip's downloads.

One package a line, `setuptools` first: build.sh installs that line separately, for packages built from source. The
hashes are those for CPython 3.13 on amd64 and arm64. Run it as `.venv/bin/python tools/lock.py` when a dependency
changes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
NOT_HERE = "pi"  # the one extra that can only be built on a Raspberry Pi
ARM64 = [f"--platform=manylinux_{glibc}_aarch64" for glibc in ("2_17", "2_26", "2_27", "2_28", "2_31", "2_34")]
_MADE = "# Made by tools/lock.py from pyproject.toml and firmware/*/pyproject.toml."
LIMIT_S = 600


def main() -> int:
    wanted = asked_for(ROOT)
    hashes: dict[str, set[str]] = {}
    native = resolve(wanted)
    for item in native:
        hashes.setdefault(name_of(item), set()).add(hash_of(item))
    for item in native:
        if not item["download_info"]["url"].endswith(("-none-any.whl", ".tar.gz")):
            arm64 = resolve([name_of(item)], "--no-deps", "--only-binary=:all:", "--target=unused", *ARM64)
            hashes[name_of(item)] |= {hash_of(found) for found in arm64}
    names = sorted(hashes, key=lambda name: (not name.startswith("setuptools=="), name))
    lines = [" ".join([name, *(f"--hash=sha256:{digest}" for digest in sorted(hashes[name]))]) for name in names]
    LOCK.write_text("\n".join([_MADE, *lines]) + "\n")
    return 0


def asked_for(root: Path) -> list[str]:
    """The requirements of the four packages and of the tests, without the packages themselves."""
    with (root / "pyproject.toml").open("rb") as file:
        wanted: list[str] = tomllib.load(file)["dependency-groups"]["dev"]
    for path in sorted((root / "firmware").glob("*/pyproject.toml")):
        with path.open("rb") as file:
            found = tomllib.load(file)
        project = found["project"]
        extras = project.get("optional-dependencies", {})
        wanted += found["build-system"]["requires"] + project["dependencies"]
        wanted += [text for extra, texts in extras.items() if extra != NOT_HERE for text in texts]
    return sorted({text for text in wanted if not text.startswith("linetap")})


def resolve(wanted: list[str], *options: str) -> list[dict[str, Any]]:
    """The distributions that pip would install, by its installation report; nothing is installed."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report=-"]
    found = subprocess.run([*command, *options, *wanted], stdout=subprocess.PIPE, timeout=LIMIT_S, check=True)
    items: list[dict[str, Any]] = json.loads(found.stdout)["install"]
    return items


def name_of(item: dict[str, Any]) -> str:
    return f"{item['metadata']['name'].lower()}=={item['metadata']['version']}"


def hash_of(item: dict[str, Any]) -> str:
    digest: str = item["download_info"]["archive_info"]["hashes"]["sha256"]
    return digest


if __name__ == "__main__":
    sys.exit(main())
