# SPDX-License-Identifier: Apache-2.0
"""The list of what an image holds: of real files, the same bytes each time, nothing left out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CONTENTS = Path(__file__).parents[2] / "image/contents.py"
DPKG = Path("/var/lib/dpkg/status")
OUTPUTS = ("manifest.txt", "sbom.json")
PURL = "pkg:pypi/rpi-lgpio@0.6"
OURS = ["kernel:linetap_tryboot 1.2", "python:rpi-lgpio 0.6"]


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """One module of pip's, and two as Debian's packages have them."""
    folder = tmp_path / "dist-packages"
    for name, installer in (("rpi_lgpio-0.6", "pip\n"), ("numpy-2.2.4", "debian\n"), ("pyserial-3.5", "")):
        info = folder / f"{name}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.split('-')[0].replace('_', '-')}\nVersion: "
                                       f"{name.split('-')[1]}\n\nText.\n")  # fmt: skip
        if installer:
            (info / "INSTALLER").write_text(installer)
    return folder


def listed(folder: Path, status: Path, modules: Path, *more: str) -> tuple[str, dict[str, Any]]:
    manifest, sbom = (folder / name for name in OUTPUTS)
    words = ["--status", status, "--modules", modules, "--manifest", manifest, "--sbom", sbom]
    words += ["--version", "1.2", "--commit", "abc", "--epoch", "1700000000", *more]
    subprocess.run([sys.executable, CONTENTS, *map(str, words)], check=True, timeout=60)
    return manifest.read_text(), json.loads(sbom.read_text())


def test_every_installed_package_of_this_machine(tmp_path: Path, modules: Path) -> None:
    manifest, sbom = listed(tmp_path, DPKG, modules)
    said = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n"], capture_output=True, text=True,
        check=True, timeout=60,
    ).stdout  # fmt: skip
    wanted = {line.removeprefix("installed ") for line in said.splitlines() if line.startswith("installed ")}
    lines = manifest.splitlines()
    assert lines[:2] == ["linetap 1.2 (abc)", ""]
    assert {line for line in lines[2:] if not line.startswith(("python:", "kernel:"))} == wanted
    assert [line for line in lines if line.startswith(("python:", "kernel:"))] == OURS
    assert len(sbom["packages"]) == len(lines) - 2
    assert sbom["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
    assert PURL in {each["externalRefs"][0]["referenceLocator"] for each in sbom["packages"]}
    assert {each["relatedSpdxElement"] for each in sbom["relationships"]} == {p["SPDXID"] for p in sbom["packages"]}


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, modules: Path) -> None:
    listed(tmp_path, DPKG, modules)
    first = [(tmp_path / name).read_bytes() for name in OUTPUTS]
    listed(tmp_path, DPKG, modules)
    assert first == [(tmp_path / name).read_bytes() for name in OUTPUTS]
