# SPDX-License-Identifier: Apache-2.0
"""The evidence bundle at the end of a demo, checked by the published checker: stock tools alone."""

from __future__ import annotations

import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

from linetap_bench.stage import linetap
from linetap_core.errors import Refusal

CHECK_S = 60
CHECKER = Path(__file__).parents[3] / "docs/check-bundle.sh"


@dataclass(frozen=True)
class CaseFile:
    path: Path
    script: Path
    said: list[str]  # a line for each thing that the script has checked


def make_and_check(folder: Path, call_dir: Path, signers: Path) -> CaseFile:
    """Refusal when the checker finds anything wrong."""
    path, unpacked = folder / "case.zip", folder / "case"
    linetap("bundle", call_dir, "--signers", signers, "--case", "demo", "-o", path)
    with zipfile.ZipFile(path) as bundle:
        bundle.extractall(unpacked)
    command = ["bash", str(CHECKER), str(unpacked), str(signers)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_S, check=False)
    if done.returncode:
        raise Refusal(f"{path}: {CHECKER.name} says: {(done.stdout + done.stderr).strip()}")
    return CaseFile(path, CHECKER, done.stdout.strip().splitlines())
