# SPDX-License-Identifier: Apache-2.0
"""What can be seen of a running unit from outside: its state files, its LEDs, and the records in its vault."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap.board.simulated import leds_shown
from linetap.config import Config
from linetap_core.clock import SYSTEM, Clock
from linetap_core.evidence.signing import namespaces
from linetap_core.records import (
    FREE,
    CallRecord,
    CaptureState,
    LineState,
    PanelState,
    RecorderState,
    ReporterState,
    ServiceState,
)
from linetap_core.service import alive, read_state

SERVICES: dict[str, type[ServiceState]] = {
    "capture@1": CaptureState,
    "recorder": RecorderState,
    "reporter": ReporterState,
    "panel": PanelState,
}


@dataclass(frozen=True)
class Look:
    """`services`: name to "up", "down" or its fault; `calls`: every sealed record, in the order of their times."""

    services: dict[str, str]
    lines: list[LineState]
    leds: dict[str, bool]
    meaning: str
    calls: list[CallRecord]
    gap_ms: float
    reports_waiting: int
    reports_delivered: int

    @property
    def idle(self) -> bool:
        """No call anywhere; a line that nothing feeds any more is at fault, and idle all the same."""
        return bool(self.lines) and all(line.state in FREE and not line.call_id for line in self.lines)


class Looker:
    """Reads each record once: a sealed one does not change."""

    def __init__(self, config: Config, clock: Clock = SYSTEM) -> None:
        self._config, self._clock = config, clock
        self._calls: dict[Path, CallRecord] = {}

    def look(self) -> Look:
        states = {name: read_state(self._config.run_path, name, kind) for name, kind in SERVICES.items()}
        recorder, reporter, panel = states["recorder"], states["reporter"], states["panel"]
        waiting = delivered = 0
        if isinstance(reporter, ReporterState):
            waiting, delivered = reporter.queue_length, reporter.delivered_seq
        return Look(
            services={name: self._word(state) for name, state in states.items()},
            lines=recorder.lines if isinstance(recorder, RecorderState) else [],
            leds=leds_shown(self._config.run_path),
            meaning=f"{panel.meaning_ko} / {panel.meaning_en}" if isinstance(panel, PanelState) else "",
            calls=self._records(),
            gap_ms=recorder.gap_ms if isinstance(recorder, RecorderState) else 0.0,
            reports_waiting=waiting,
            reports_delivered=delivered,
        )

    def _word(self, state: ServiceState | None) -> str:
        if not alive(state, self._clock) or state is None:
            return "down"
        return state.fault.text if state.fault else "up"

    def _records(self) -> list[CallRecord]:
        for signature in self._config.vault_path.glob(f"[0-9]*/*/*/*/record.json{namespaces.SUFFIX}"):
            folder = signature.parent
            if folder not in self._calls:
                self._calls[folder] = msgspec.json.decode((folder / "record.json").read_bytes(), type=CallRecord)
        return [record for _, record in sorted(self._calls.items())]
