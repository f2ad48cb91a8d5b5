# SPDX-License-Identifier: Apache-2.0
"""A unit's configuration and the state files of its services, for tests of panel and checks."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec

from linetap.config.schema import Board, Card, Config, Keys, Line, Storage
from linetap_core import __version__, rundir
from linetap_core.clock import Clock
from linetap_core.durable.files import replace_in_ram
from linetap_core.records import (
    CaptureState,
    LineState,
    LineStatus,
    PanelState,
    RecorderState,
    ReporterState,
    ServiceState,
)

# Checks for a missing service. Findings from its last state may stand beside them.
DEATHS = {"nothing_runs", "capture_dead", "recorder_dead", "reporter_dead", "panel_dead"}
KINDS = (CaptureState, RecorderState, ReporterState)


def unit(run_dir: Path, lines: int = 2, cards: int = 1, reserve_mb: int = 100) -> Config:
    """`lines` lines a card, numbered consecutively; all paths are below `run_dir`."""
    return Config(
        unit="test-unit",
        run_dir=str(run_dir),
        vault=str(run_dir / "vault"),
        learned=str(run_dir / "learned"),
        board=Board(kind="simulated"),
        keys=Keys(custodians=["age1none"], overflow_epoch="age1none"),
        card=[Card(number=card) for card in range(1, cards + 1)],
        line=[
            Line(number=(card - 1) * lines + i, card=card, channel=i)
            for card in range(1, cards + 1)
            for i in range(1, lines + 1)
        ],
        storage=Storage(reserve_mb=reserve_mb),
    )


def capture(card: int = 1, lines: tuple[int, ...] = (1, 2), **fields: Any) -> CaptureState:
    about: dict[str, Any] = {"device_rate_hz": 8000, "device_format": "S16_LE", "channels": 8}
    about |= {"ring_locked": True, "realtime": True}
    return _filled(CaptureState, card=card, lines=list(lines), **about | fields)


def recorder(*doing: LineStatus, **fields: Any) -> RecorderState:
    lines = [LineState(line=i, state=state, since="2026-11-24T22:56:00.000Z") for i, state in enumerate(doing, 1)]
    return _filled(RecorderState, unit="test-unit", lines=lines, config_sha256="", **fields)


def suffering(*codes: str, **fields: Any) -> RecorderState:
    """A recorder whose line 1 has faults with these codes, and whose line 2 has none."""
    state = recorder("idle", "idle", **fields)
    state.lines[0].troubles = list(codes)
    return state


def reporter(connected: bool = True, **fields: Any) -> ReporterState:
    return _filled(ReporterState, connected=connected, session="s", **fields)


def panel(**fields: Any) -> PanelState:
    return _filled(PanelState, unit_state="ok", leds={}, **fields)


def _filled[S: ServiceState](kind: type[S], **fields: Any) -> S:
    name = kind.__name__.removesuffix("State").lower()
    about: dict[str, Any] = {"service": name, "version": __version__, "pid": 1, "started_ns": 1, "mono_ns": 0}
    return kind(**about | {"progress": 0} | fields)


class Unit:
    """Four services that write their state files on request, until they are killed."""

    def __init__(self, run_dir: Path, clock: Clock) -> None:
        self.run_dir, self.clock = run_dir, clock
        self.states: dict[str, ServiceState] = {
            "capture@1": capture(),
            "recorder": recorder("idle", "idle"),
            "reporter": reporter(),
            "panel": panel(),
        }
        self.stalled: set[str] = set()
        self._writing = threading.Lock()  # a test writes the same files as its thread

    def write(self) -> None:
        with self._writing:
            for name, state in list(self.states.items()):
                state.mono_ns = self.clock.monotonic_ns()
                state.progress += name not in self.stalled
                replace_in_ram(
                    rundir.make_service_folder(self.run_dir, name) / f"{name}.json", msgspec.json.encode(state)
                )

    def kill(self, *names: str) -> None:
        """Kills like kill -9: the last state file stays unchanged."""
        for name in names:
            del self.states[name]
