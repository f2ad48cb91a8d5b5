# SPDX-License-Identifier: Apache-2.0
"""The stage of a trial unit: a cable of JACK and libasound, a broker, keys and a configuration, and processes.

Demo, benchmarks and end-to-end tests use it. It ends by pid everything that it started.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from linetap.board.wires import wires_path
from linetap.config import Config, load_config
from linetap_bench.stage.cable import Cable
from linetap_bench.stage.jack import JackCable
from linetap_bench.stage.processes import Child, ChildFailed, Processes
from linetap_bench.stage.servers import start_broker
from linetap_bench.stage.starvation import StarvedProcesses
from linetap_core import cli, rundir

PROJECT = Path(__file__).resolve().parents[4]
METER_SOURCE = PROJECT / "hardware" / "meter"
METER_FOLDERS = (METER_SOURCE, METER_SOURCE / "host", METER_SOURCE / "onwires")
METER_PROGRAM = PROJECT / "build" / "meter" / "wires"
METER_BUILD_S = 120


def meter_program(built: Path = METER_PROGRAM) -> Path:
    """The program of a real card's meter, with the exchange's wires as its ADC; compiled when its source has changed.

    ChildFailed with the compiler's words.
    """
    newest = max(each.stat().st_mtime_ns for folder in METER_FOLDERS for each in folder.glob("*.[ch]"))
    if built.exists() and built.stat().st_mtime_ns > newest:
        return built
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=built.parent) as folder:  # tests compile at the same time
        made = Path(folder) / built.name
        words = [sys.executable, str(METER_SOURCE.parent / "meterbuild.py"), "wires", str(made)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=METER_BUILD_S, check=False)
        if done.returncode:
            raise ChildFailed(f"{built}: not compiled: {done.stderr.strip()}")
        made.replace(built)
    return built


UNIT = "floor-03"
READY_S = 120.0
COMMAND_S = 120


class Stage:
    """A stage: `with Stage(folder, lines) as stage:`; `prepare` makes the rest. Not `patient` if capture is to be
    killed.
    """

    def __init__(
        self, folder: Path, lines: int = 8, rate_hz: int = 8000, channels: int | None = None, patient: bool = True
    ) -> None:
        self.folder, self.lines, self.rate_hz, self._patient = folder, lines, rate_hz, patient
        self.channels = channels or lines
        self.config_path = folder / "unit.toml"
        self._stack = contextlib.ExitStack()
        self._meter: Child | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.run_dir = Path(tempfile.mkdtemp(prefix="linetap-", dir="/dev/shm"))
            stack.callback(shutil.rmtree, self.run_dir, ignore_errors=True)
            cable = JackCable(self.run_dir / "jack", self.channels, self.rate_hz, patient=self._patient)
            self.cable = stack.enter_context(cable)
            self.children = stack.enter_context(
                Processes(self.folder / "logs", self.cable.env, server_log=self.cable.log_path)
            )
            stack.enter_context(StarvedProcesses(self.children.children))
            self.broker, self.port = self._start_broker()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start_broker(self) -> tuple[Child, int]:
        return start_broker(self.children, self.folder / "broker")

    def prepare(
        self, notices: Path, changes: dict[str, str] | None = None, more: str = "", init: Sequence[object] = ()
    ) -> Config:
        """Makes keys and configuration with an engineer's commands, applies `changes` to the text and appends `more`.
        `init`: further arguments of `linetap config init`.
        """
        custodian = linetap("keygen", "custodian", "-o", self.folder / "custodian.txt").strip()
        epoch = linetap("keygen", "epoch", "-o", self.folder / "epoch.txt").strip()
        linetap(
            "config", "init", UNIT, "--lines", self.lines, "--custodian", custodian, "--epoch", epoch,
            "--board", "simulated", "--notices", notices, "--vault", self.folder / "vault",
            "--run-dir", self.run_dir, "--broker-port", self.port, "-o", self.config_path, *init,
        )  # fmt: skip
        text = self.config_path.read_text()
        for old, new in (changes or {}).items():
            if old not in text:
                raise ChildFailed(f"{self.config_path}: there is no {old!r} to be changed")
            text = text.replace(old, new)
        self.config_path.write_text(text + more)
        return load_config(self.config_path)

    def start_exchange(
        self, script: Path, log: Path | None = None, voices: Path | None = None, fill_ms: int = Cable.fill_ms,
        repeat: int = 1,
    ) -> Child:  # fmt: skip
        """Starts the exchange, which waits for the services. Start capture only afterwards."""
        options = ["--wait-services", str(READY_S), "--fill-ms", str(fill_ms), "--repeat", str(repeat)]
        options += ["--log", str(log)] if log else []
        options += ["--voices", str(voices)] if voices else []
        exchange = self.start("bench", "--script", str(script), *options)
        self.children.wait_for_text(exchange, "ready:", READY_S)
        return exchange

    @property
    def with_contacts(self) -> dict[str, str]:
        """Changes for `prepare`: the card has a meter and series contacts under its control."""
        return {
            '# meter_port = "/dev/linetap/card1/meter"': f'meter_port = "{self._meter_port}"',
            "# contacts = false": "contacts = true",
        }

    @property
    def _meter_port(self) -> Path:
        return self.folder / "meter"

    def start_meter(self, *faults: str) -> Child:
        """Starts the card's meter on the wires made by the exchange."""
        words = ["--wires", str(wires_path(self.run_dir, 1)), "--port", str(self._meter_port), *faults]
        self._meter = self._start("meter", [str(meter_program()), *words])
        return self._meter

    def start(self, name: str, *more: str) -> Child:
        """Starts a `linetap` service or tool with this stage's configuration."""
        return self._start(name, [sys.executable, "-m", "linetap", name, "--config", str(self.config_path), *more])

    def _start(self, name: str, command: list[str]) -> Child:
        """Starts a child; its log gets an unused name."""
        log_name = name
        count = 1
        while (self.folder / "logs" / f"{log_name}.log").exists():
            count += 1
            log_name = f"{name}-{count}"
        return self.children.start(log_name, command)

    def kill(self, *children: Child) -> None:
        """Kills all of them with -9 at once and removes a meter's port, as udev does: the kernel reuses a dead
        terminal's number, possibly for another meter.
        """
        for child in children:
            child.process.kill()
        if self._meter in children:
            self._meter_port.unlink(missing_ok=True)
        for child in children:
            child.process.wait(COMMAND_S)
            self.children.children.remove(child)

    def forget_ram(self) -> None:
        """Removes all state in RAM except the lines themselves, as a power cut does. No service may run."""
        wires, cable = wires_path(self.run_dir, 1), self.run_dir / "jack"
        kept = wires.replace(cable / wires.name)
        for path in self.run_dir.iterdir():
            if path.is_file():
                path.unlink()
            elif path != cable:
                shutil.rmtree(path)
        rundir.make_service_folder(self.run_dir, "capture")
        kept.replace(wires)


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of a `linetap` command: exit status, standard output and standard error."""

    status: int
    output: str
    messages: str


def run_command(*words: object) -> Ended:
    """Runs a `linetap` command in this process: a new Python computes for 0.1 to 0.6 s before it begins. Not for
    services, nor for commands that change signal handlers or logging.
    """
    output, messages = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(messages):
        try:
            status = cli.main([str(word) for word in words])
        except SystemExit as usage:  # raised by argparse
            status = 0 if usage.code is None else int(usage.code)
    return Ended(status, output.getvalue(), messages.getvalue())


def linetap(*words: object) -> str:
    """A `linetap` command's standard output. ChildFailed with its messages if it fails."""
    done = run_command(*words)
    if done.status:
        raise ChildFailed(f"linetap {' '.join(map(str, words[:2]))}: {done.messages.strip()}")
    return done.output
