# SPDX-License-Identifier: Apache-2.0
"""The speed of a replay of eight busy lines, and a city hall's day of calls (`./build.sh bench day` prints more)."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from linetap.config.schema import Recording
from linetap.notices import load_notices
from linetap_bench.day.command import Bench
from linetap_bench.day.judge import Table
from linetap_bench.exchange.timeline import render
from linetap_bench.figures import Row
from linetap_bench.script.scenarios import eight_busy
from linetap_bench.script.script import load_script
from linetap_bench.sounds.voices import Voices
from linetap_bench.stage.stage import Stage
from linetap_core.clock import NS_PER_S, SYSTEM

MINUTES = 10
RUNS = 3
LIMIT_S = 120


def measure(folder: Path, voices: Path, notices: Path) -> list[Row]:
    script_path = folder / "calls.toml"
    script_path.write_text(eight_busy(MINUTES))
    script = load_script(script_path)
    audio, events = render(script, Voices(voices), folder / "lines")
    with Stage(folder) as stage:
        stage.prepare(notices)
        factors = [_once(stage, audio, events, folder / f"out-{n}", script.duration_ms / 1000) for n in range(RUNS)]
    method = f"audio seconds / wall seconds of the whole process, median of {RUNS} (from {min(factors):.0f})"
    factor = statistics.median(factors)
    name = f"replay of 8 lines x {MINUTES} minutes, sealed"
    return [Row(name=name, figure=factor, unit="x", target=250, at_most=False, method=method)]


def _once(stage: Stage, audio: Path, events: Path, out: Path, seconds: float) -> float:
    command = [sys.executable, "-m", "linetap", "replay", "--config", str(stage.config_path), "--audio", str(audio)]
    started = SYSTEM.monotonic_ns()
    subprocess.run([*command, "--events", str(events), "--out", str(out)], check=True, timeout=LIMIT_S,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return seconds / ((SYSTEM.monotonic_ns() - started) / NS_PER_S)


SEED, CALLS = 1, 1000


def measure_day(folder: Path, voices: Path, notices: Path) -> list[Row]:  # noqa: ARG001
    results = Table()
    Bench(Voices(voices), load_notices(notices), Recording()).day(SEED, CALLS, results)
    return results.rows()
