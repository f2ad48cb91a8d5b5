# SPDX-License-Identifier: Apache-2.0
"""A call loads no module: its main thread must not wait for a disk, and needs no descriptor for one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LAZY = ("numpy.fft", "numpy.linalg", "numpy.ma")  # numpy loads these at their first use
COMMAND_S = 100


def test_a_whole_call_imports_nothing() -> None:
    told = json.loads(child(str(HERE / "late_imports.py")))
    assert told == {"sealed": 1, "late": []}


def test_the_recorder_brings_what_numpy_would_load_late() -> None:
    """A separate test, because a test's lines use numpy themselves."""
    code = f"import sys, json, linetap.recorder.service; print(json.dumps([n for n in {LAZY} if n not in sys.modules]))"
    assert json.loads(child("-c", code)) == []


def child(*words: str) -> str:
    env = os.environ | {"PYTHONPATH": f"{HERE}:{HERE.parent / 'rigs'}"}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=COMMAND_S, check=False, env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
