# SPDX-License-Identifier: Apache-2.0
"""The list of what an image holds: of real files, the same bytes each time, nothing left out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from contents_rig import listed, module

DPKG = Path("/var/lib/dpkg/status")
PURL = "pkg:pypi/rpi-lgpio@0.6"
OURS = ["kernel:linetap_tryboot 1.2", "python:rpi-lgpio 0.6"]


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """One module of pip's, and two as Debian's packages have them."""
    folder = tmp_path / "dist-packages"
    module(folder, "rpi-lgpio", "0.6", "linetap-image\n")
    module(folder, "numpy", "2.2.4", "debian\n")
    module(folder, "pyserial", "3.5", "")
    return folder


def test_every_installed_package_of_this_machine(tmp_path: Path, modules: Path) -> None:
    manifest, sbom_file = listed(tmp_path, DPKG, modules)
    sbom = json.loads(sbom_file.read_text())
    said = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n"], capture_output=True, text=True,
        check=True, timeout=120,
    ).stdout  # fmt: skip
    wanted = {line.removeprefix("installed ") for line in said.splitlines() if line.startswith("installed ")}
    lines = manifest.read_text().splitlines()
    assert lines[:2] == ["linetap 1.2 (abc)", ""]
    assert {line for line in lines[2:] if not line.startswith(("python:", "kernel:"))} == wanted
    assert [line for line in lines if line.startswith(("python:", "kernel:"))] == OURS
    assert len(sbom["packages"]) == len(lines) - 2
    assert sbom["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
    assert PURL in {each["externalRefs"][0]["referenceLocator"] for each in sbom["packages"]}
    assert {each["relatedSpdxElement"] for each in sbom["relationships"]} == {p["SPDXID"] for p in sbom["packages"]}


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, modules: Path) -> None:
    first = [path.read_bytes() for path in listed(tmp_path, DPKG, modules)]
    assert first == [path.read_bytes() for path in listed(tmp_path, DPKG, modules)]
