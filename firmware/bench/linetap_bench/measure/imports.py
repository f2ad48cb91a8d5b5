# SPDX-License-Identifier: Apache-2.0
"""What it costs a service to begin: importing all that it needs, in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from linetap_bench.measure.row import Row

RUNS = 7
LIMIT_S = 60
TARGET_S = 0.3
_ASK = "import time; t = time.process_time(); import linetap.recorder.service; print(time.process_time() - t)"


def measure(_folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    least = min(_once() for _ in range(RUNS))
    method = f"CPU time of `import linetap.recorder.service`, the least of {RUNS}, bytecode there"
    return [Row(name="importing what the recorder needs", figure=least, unit="s", target=TARGET_S, method=method)]


def _once() -> float:
    done = subprocess.run([sys.executable, "-c", _ASK], check=True, timeout=LIMIT_S, capture_output=True, text=True)
    return float(done.stdout)
