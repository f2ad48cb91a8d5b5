# SPDX-License-Identifier: Apache-2.0
"""What image/contents.py is given, and what it writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

IMAGE = Path(__file__).parents[2] / "image"


def module(folder: Path, name: str, version: str, installer: str) -> None:
    """As the image ("linetap-image\\n") or a package of Debian's ("debian\\n", or no such file) leaves one behind."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nText.\n")
    if installer:
        (info / "INSTALLER").write_text(installer)


def listed(folder: Path, status: Path, modules: Path) -> tuple[Path, Path]:
    """Manifest and SBOM of version 1.2, in `folder`."""
    manifest, sbom = folder / "manifest.txt", folder / "sbom.json"
    words = ["--status", status, "--modules", modules, "--manifest", manifest, "--sbom", sbom]
    words += ["--version", "1.2", "--commit", "abc", "--epoch", "1700000000"]
    subprocess.run([sys.executable, IMAGE / "contents.py", *map(str, words)], check=True, timeout=120)
    return manifest, sbom
