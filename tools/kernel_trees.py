#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fetches the boards' device trees of the image's kernel into build/trees, for tests/hardware and tests/image.

Run it as `.venv/bin/python tools/kernel_trees.py`: apt fetches the package of Debian's kernel with the trees (5 MB)
into a separate folder, and installs nothing. `build/trees/version` names the version.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TREES = ROOT / "build" / "trees"
NAMES = (
    "bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb", "bcm2711-rpi-cm4-io.dtb", "bcm2712-rpi-5-b.dtb",
    "bcm2712-d-rpi-5-b.dtb", "bcm2837-rpi-3-b.dtb",
)  # fmt: skip
SUITE = "trixie-backports"
KEYS = "/usr/share/keyrings/debian-archive-keyring.pgp"
META = "linux-image-arm64"
LIMIT_S = 600


def main() -> int:
    TREES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="linetap-trees-") as scratch:
        kernel = fetched(Path(scratch))
        unpacked = Path(scratch) / "unpacked"
        run("dpkg-deb", "-x", str(kernel), str(unpacked))
        for name in NAMES:
            (found,) = unpacked.rglob(f"broadcom/{name}")
            shutil.copy(found, TREES / name)
        (TREES / "version").write_text("_".join(kernel.stem.split("_")[:2]) + "\n")
    print((TREES / "version").read_text().strip(), *NAMES)
    return 0


def run(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True, timeout=LIMIT_S).stdout


def fetched(scratch: Path) -> Path:
    """The package with the trees of the suite's default kernel."""
    for folder in ("lists/partial", "archives/partial", "state"):
        (scratch / folder).mkdir(parents=True)
    mirror = run(str(ROOT / "tools" / "mirror.sh")).strip()
    (scratch / "sources.list").write_text(f"deb [arch=arm64 signed-by={KEYS}] {mirror} {SUITE} main\n")
    (scratch / "state" / "status").touch()
    options = {
        "Dir::Etc::SourceList": scratch / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": scratch / "lists",
        "Dir::State::status": scratch / "state" / "status",
        "Dir::Cache": scratch,
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
        "Acquire::Retries": 3,
    }
    given = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]

    def apt(command: str, *words: str) -> str:
        return run(command, *given, *words, cwd=scratch)

    apt("apt-get", "update", "-q")
    image = needed(apt("apt-cache", "depends", "--important", META), "linux-image-")
    trees = needed(apt("apt-cache", "depends", "--important", image), "linux-base-")
    apt("apt-get", "download", "-q", trees)
    (found,) = scratch.glob(f"{trees}_*.deb")
    return found


def needed(depends: str, prefix: str) -> str:
    (found,) = [line.split()[-1] for line in depends.splitlines() if line.strip().startswith(f"Depends: {prefix}")]
    return found


if __name__ == "__main__":
    sys.exit(main())
