# SPDX-License-Identifier: Apache-2.0
"""Child processes that are never left behind: each is ended by its pid, in the reverse order of starting."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from linetap_core.clock import SYSTEM, Clock, ns_of
from linetap_core.errors import LinetapError

END_S = 10.0
LAST_LINES = 12


class ChildFailed(LinetapError, RuntimeError):
    """A process that should run has ended, or did not start; the text has the end of its log."""

    code = "child_failed"
    exit_status = 1


@dataclass
class Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def log_tail(self) -> str:
        return tail(self.log)


def tail(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()[-LAST_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  (no output)"


class Processes:
    """The children of a `with Processes(log_folder, env)` block; every child ends with the block, however it ends."""

    def __init__(
        self, logs: Path, env: Mapping[str, str], clock: Clock = SYSTEM, server_log: Path | None = None
    ) -> None:
        """`server_log`: of a server that the children need; its end is part of each failure's text."""
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._env = {**os.environ, **env}
        self._clock, self._server_log = clock, server_log
        self.children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self.children:
            self.end(self.children[-1])

    def start(self, name: str, command: list[str]) -> Child:
        """Starts a child; both outputs go to `<name>.log`. Its own session keeps Ctrl-C from it."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as file:
            # setpriv: no child outlives us, even if we are killed.
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=self._env, start_new_session=True,
            )  # fmt: skip
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def end(self, child: Child) -> int:
        """Sends SIGTERM, then SIGKILL if the child ignores it; returns the exit status."""
        if child.process.poll() is None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                child.process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.process.wait(END_S)
                    break
        self.children.remove(child)
        return child.process.wait(END_S)

    def check(self) -> None:
        """Raises ChildFailed, with the end of its log, if a child has ended unexpectedly."""
        for child in self.children:
            status = child.process.poll()
            if status is not None:
                raise ChildFailed(f"{child.name} ended with {status}; {self._logs_of(child)}")

    def wait_for_text(self, child: Child, text: str, limit_s: float) -> None:
        """Waits until the child's log contains `text`. ChildFailed if the child ends first or the time is over."""
        deadline = self._clock.monotonic_ns() + ns_of(limit_s)
        while text not in child.log.read_text(errors="replace"):
            self.check()
            if self._clock.monotonic_ns() > deadline:
                raise ChildFailed(f"{child.name}: not ready within {limit_s:g} s; {self._logs_of(child)}")
            self._clock.sleep(0.05)

    def _logs_of(self, child: Child) -> str:
        logs = [child.log] if self._server_log is None else [child.log, self._server_log]
        return "\n".join(f"{log}:\n{tail(log)}" for log in logs)
