# SPDX-License-Identifier: Apache-2.0
"""A unit with a real reporter process, a real outbox, and simulated state files of recorder and capture."""

from __future__ import annotations

import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec

import published
from broker import HOST, Broker, Desk, until
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap_core.clock import NS_PER_MS, SYSTEM, rfc3339
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import sshsig
from linetap_core.records import CallEvent, LineStatus, RecorderState, ReporterState
from linetap_core.service import read_state
from linetap_core.wire.mqtt import Broker as BrokerConfig
from state_files import Unit as States
from state_files import recorder
from unit_rig import make_unit

SERVE = Path(__file__).parents[1] / "reporter" / "serve.py"
END_S = 120.0


class Floor:
    """`with Floor(...)`: keeps the others' state files fresh; `reporter()` starts the process."""

    def __init__(self, folder: Path, run_dir: Path, port: int, lines: int = 3, broker: BrokerConfig | None = None):
        unit = make_unit(folder, run_dir, lines=lines)
        self.signers = unit.signers
        self.config = msgspec.structs.replace(
            unit.config, broker=broker or BrokerConfig(host=HOST, port=port, keepalive_s=5)
        )
        self.config_file = folder / "config.json"
        self.configure()
        self._serve = [sys.executable, str(SERVE), str(self.config_file)]
        self.log = folder / "reporter.log"
        key = keys.load_unit_key(Path(self.config.key).read_bytes())
        self.outbox = Outbox(
            self.config.vault_path / "outbox",
            self.config.unit,
            lambda data: sshsig.sign(data, key, "linetap-event"),
            keys.fingerprint(key.public_key()),
            1 << 24,
        )
        self.states = States(run_dir, SYSTEM)
        self.states.states.pop("reporter")  # the only real one here
        idle: list[LineStatus] = ["idle"] * lines
        self.lines(*idle)
        self._ended = threading.Event()
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._processes: list[subprocess.Popen[bytes]] = []

    def configure(self, **fields: Any) -> None:
        """Changes the configuration of reporters started from now on."""
        self.config = msgspec.structs.replace(self.config, **fields)
        self.config_file.write_bytes(msgspec.json.encode(self.config))

    def lines(self, *doing: LineStatus, **fields: object) -> None:
        """Sets the line states reported by the recorder from now on."""
        state = recorder(*doing, **fields)
        for line in state.lines:
            line.call_id = None if line.state == "idle" else f"20261124T225600.123Z-L{line.line:02d}"
        state.progress = self.recorder.progress if "recorder" in self.states.states else 0
        self.states.states["recorder"] = state

    @property
    def recorder(self) -> RecorderState:
        state = self.states.states["recorder"]
        assert isinstance(state, RecorderState)
        return state

    def _write(self) -> None:
        while not self._ended.wait(0.1):
            self.states.write()

    def events(self, count: int) -> None:
        """Appends this many events, each of a separate call."""
        for _ in range(count):
            n = self.outbox.last_seq + 1
            at = rfc3339((n + 1 - self.outbox.first_seq) * NS_PER_MS)
            self.outbox.append(CallEvent(seq=0, event="started", at=at, unit="", call_id=f"call-{n}", line=1))

    def reporter(self, answer_ms: int = 5000, desk_s: float = 60, repeat_s: float = 120) -> subprocess.Popen[bytes]:
        self.states.write()  # the process may be faster than the thread that refreshes them
        with self.log.open("ab") as log:
            process = subprocess.Popen([*self._serve, str(answer_ms), str(desk_s), str(repeat_s)], stderr=log)
        self._processes.append(process)
        return process

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def state(self) -> ReporterState | None:
        return read_state(self.config.run_path, "reporter", ReporterState)

    def reached(self, what: Callable[[ReporterState], bool]) -> ReporterState:
        def looked() -> ReporterState | None:
            state = self.state()
            return state if state is not None and what(state) else None

        return self.until(looked)

    def until[T](self, what: Callable[[], T | None]) -> T:
        """Waits as broker.until, and shows the reporter's output on failure."""
        try:
            found = until(what)
        except AssertionError as error:
            error.add_note(f"the reporter said:\n{self.said()}")
            raise
        assert found is not None
        return found

    def __enter__(self) -> Self:
        self._writer.start()
        return self

    def published(self) -> list[dict[str, Any]]:
        """All messages that reporters of this floor have passed to paho."""
        return published.read(self.config_file.with_suffix(".published"))

    def __exit__(self, kind: object, *_: object) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait(END_S)
        self._ended.set()
        self._writer.join(END_S)
        self.outbox.close()
        if kind is None:
            faults = [fault for one in self.published() for fault in published.faults(one)]
            assert not faults, faults[:3]


def end(process: subprocess.Popen[bytes]) -> int:
    """Sends SIGTERM; returns its exit status. TimeoutExpired if it hangs."""
    process.terminate()
    return process.wait(END_S)


def retained(broker: Broker) -> dict[str, bytes]:
    """The retained messages for a new client, by topic."""
    with Desk(broker.port, client_id="newcomer") as desk:
        # Published after the subscription, so it arrives after all retained messages. A new name each time, because the
        # new client's session is kept, and an earlier end may be delivered again.
        end_of_retained = secrets.token_hex(8)
        desk.publish(f"linetap/v1/{end_of_retained}", b"1")
        until(lambda: desk.of(end_of_retained))
        return {one.topic: one.payload for one in desk.heard if one.retained}
