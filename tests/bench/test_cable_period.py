# SPDX-License-Identifier: Apache-2.0
"""`linetap bench --period-ms`: an invalid period is refused in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_S = 60


@pytest.mark.parametrize("period_ms", ["5", "41"])
def test_a_period_that_does_not_fit_into_the_fill_twice_is_refused(tmp_path: Path, period_ms: str) -> None:
    script = tmp_path / "calls.toml"
    script.write_text("lines = 2\nduration_s = 1.0\n")
    words = ["--config", "unit.toml", "--script", str(script), "--period-ms", period_ms, "--fill-ms", "80"]
    done = subprocess.run(
        [sys.executable, "-m", "linetap", "bench", *words], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode != 0
    assert f"--period-ms {period_ms}: 10 to 40 expected" in done.stderr
    assert len(done.stderr.splitlines()) == 1
