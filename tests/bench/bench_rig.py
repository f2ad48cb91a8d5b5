# SPDX-License-Identifier: Apache-2.0
"""A cable, an exchange process on it and a simple unit at the other end; and short scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from linetap_bench.stage.jack import JackCable
from linetap_core.evidence.keys import keys

HERE = Path(__file__).parent
LIMIT_S = 120
PROGRAM = ("-m", "linetap_bench.exchange.command")
HELD_UP = 3  # of simple_unit.py


class HeldUp(AssertionError):
    """This machine was too busy to serve the unit's card in time."""


def write_config(
    folder: Path, run_dir: Path, rate_hz: int = 8000, sample_format: str = "S16_LE", lines: int = 2
) -> Path:
    """Writes a unit.toml that `load_config` accepts."""
    (folder / "unit.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
    recipient = keys.new_identity().recipient
    text = f"""
unit = "bench"
run_dir = "{run_dir}"
vault = "vault"
[board]
kind = "simulated"
[keys]
custodians = ["{recipient}"]
overflow_epoch = "{recipient}"
[[card]]
capture_pcm = "unit_capture"
playback_pcm = "unit_playback"
rate_hz = {rate_hz}
format = "{sample_format}"
channels = {lines}
"""
    text += "".join(f"[[line]]\nnumber = {n}\nchannel = {n}\n" for n in range(1, lines + 1))
    path = folder / "unit.toml"
    path.write_text(text)
    return path


@contextmanager
def exchange(
    cable: JackCable, config: Path, script: Path, log: Path, *more: str, program: tuple[str, ...] = PROGRAM
) -> Iterator[subprocess.Popen[str]]:
    """The exchange's process, with both directions running. It is ended by pid if it has not ended itself."""
    command = [sys.executable, *program, "--config", config, "--script", script, "--log", log]
    errors = (log.parent / "exchange.log").open("w")
    process = subprocess.Popen(
        [*map(str, command), *more], env=os.environ | cable.env, stdout=subprocess.PIPE, stderr=errors, text=True
    )
    try:
        assert first_line(process).startswith("ready"), (log.parent / "exchange.log").read_text()
        yield process
    finally:
        errors.close()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(LIMIT_S)
        out: IO[str] | None = process.stdout
        assert out is not None
        out.close()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def simple_unit(cable: JackCable, out: Path, run_dir: Path, *arguments: object) -> dict[str, np.ndarray[Any, Any]]:
    """Runs simple_unit.py to its end and loads its result. HeldUp if its card has overrun."""
    command = [sys.executable, str(HERE / "simple_unit.py"), str(out), str(run_dir), *map(str, arguments)]
    done = subprocess.run(
        command, env=os.environ | cable.env, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    if done.returncode == HELD_UP:
        raise HeldUp(done.stderr)
    assert done.returncode == 0, done.stderr
    return dict(np.load(out))
