# SPDX-License-Identifier: Apache-2.0
"""The line meter of a simulated card: the program of a real one, with the exchange's wires as its ADC (hardware/meter).

The source is compiled when it has changed, into build/meter.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from linetap_bench.stage.processes import ChildFailed

PROJECT = Path(__file__).resolve().parents[4]
SOURCE = PROJECT / "hardware" / "meter"
FOLDERS = (SOURCE, SOURCE / "host", SOURCE / "onwires")
BUILT = PROJECT / "build" / "meter" / "wires"
BUILD_S = 120


def meter_program(built: Path = BUILT) -> Path:
    """The compiled program. ChildFailed with the compiler's words."""
    newest = max(each.stat().st_mtime_ns for folder in FOLDERS for each in folder.glob("*.[ch]"))
    if built.exists() and built.stat().st_mtime_ns > newest:
        return built
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=built.parent) as folder:  # tests compile at the same time
        made = Path(folder) / built.name
        words = [sys.executable, str(SOURCE.parent / "meterbuild.py"), "wires", str(made)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=BUILD_S, check=False)
        if done.returncode:
            raise ChildFailed(f"{built}: not compiled: {done.stderr.strip()}")
        made.replace(built)
    return built
