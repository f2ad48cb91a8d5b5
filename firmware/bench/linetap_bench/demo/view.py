# SPDX-License-Identifier: Apache-2.0
"""The live view of a running unit from outside: its state files, its LEDs, and the records in its vault.

A terminal is redrawn; a pipe or file gets one plain line for each change.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from linetap.board.simulated import leds_shown
from linetap.config import Config
from linetap_core.clock import NS_PER_S, SYSTEM, Clock, parse_rfc3339
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
from linetap_core.rundir import capture_service
from linetap_core.service import alive, read_state
from linetap_core.wire.legend import LEDS, SIGNS, draw

SERVICES: dict[str, type[ServiceState]] = {
    capture_service(1): CaptureState,
    "recorder": RecorderState,
    "reporter": ReporterState,
    "panel": PanelState,
}


@dataclass(frozen=True)
class Snapshot:
    """The state of a unit. `services`: name to "up", "down" or its fault; `calls`: every sealed record, by time."""

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
        """Whether no call is in progress; a line whose exchange has stopped is faulty, and counts as idle."""
        return bool(self.lines) and all(line.state in FREE and not line.call_id for line in self.lines)


class SnapshotReader:
    """Reads each record once: sealed records do not change."""

    def __init__(self, config: Config, clock: Clock = SYSTEM) -> None:
        self._config, self._clock = config, clock
        self._calls: dict[Path, CallRecord] = {}

    def refresh(self) -> Snapshot:
        states = {name: read_state(self._config.run_path, name, kind) for name, kind in SERVICES.items()}
        recorder, reporter, panel = states["recorder"], states["reporter"], states["panel"]
        waiting = delivered = 0
        if isinstance(reporter, ReporterState):
            waiting, delivered = reporter.queue_length, reporter.delivered_seq
        return Snapshot(
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


LED_STYLES = {"green": "bold green", "blue": "bold blue", "red": "bold red"}
CALLS_SHOWN = 10


class View(Protocol):
    def show(self, snapshot: Snapshot) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_view(console: Console | None = None, clock: Clock = SYSTEM) -> View:
    """The view for standard output: redrawn on a terminal, otherwise plain."""
    console = console or Console(file=sys.stdout)
    return LiveView(console, clock) if console.is_terminal else PlainView(console, clock)


class LiveView:
    def __init__(self, console: Console, clock: Clock) -> None:
        self._clock = clock
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def show(self, snapshot: Snapshot) -> None:
        self._live.update(render(snapshot, self._clock), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


class PlainView:
    """Prints lines of text: seconds since the beginning, a name, and its new state."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console, self._clock = console, clock
        self._began_ns = clock.monotonic_ns()
        self._known: dict[str, str] = {}

    def show(self, snapshot: Snapshot) -> None:
        for what, how in plain_facts(snapshot).items():
            if self._known.get(what) != how:
                self._known[what] = how
                seconds = (self._clock.monotonic_ns() - self._began_ns) / NS_PER_S
                self._console.print(f"{seconds:6.1f} s  {what}: {how}", markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def plain_facts(snapshot: Snapshot) -> dict[str, str]:
    """All facts that get a line when they change. LEDs by their meaning, because they blink."""
    facts = {f"service {name}": state for name, state in snapshot.services.items()}
    if snapshot.meaning:
        facts["LEDs"] = snapshot.meaning
    facts |= {f"line {line.line}": line.state for line in snapshot.lines}
    facts |= {f"sealed {call.call_id}": describe(call) for call in snapshot.calls}
    return facts


def describe(call: CallRecord) -> str:
    """`in, recorded, 24.1 s`, without personal data."""
    parts: list[str] = [call.direction, call.disposition]
    if call.audio is not None:
        parts.append(f"{call.audio.samples / call.audio.rate:.1f} s of audio")
    if call.answered_by:
        parts.append(f"answered by {call.answered_by}")
    if call.ended_by:
        parts.append(f"ended by {call.ended_by}")
    if call.end:
        proof = call.end.notice.proof if call.end.notice else "none"
        parts.append(f"situation {call.end.situation}, its notice heard: {proof}, free by {call.end.seen_by}")
    if call.why:
        parts.append(call.why)
    return ", ".join(parts)


def render(snapshot: Snapshot, clock: Clock) -> Panel:
    body = Group(
        _leds(snapshot), Text(""), _lines(snapshot, clock), Text(""), _calls(snapshot), Text(""), _services(snapshot)
    )
    return Panel(body, title="linetap", title_align="left")


def _leds(snapshot: Snapshot) -> Text:
    text = Text("● POWER  ")
    for i, drawn in enumerate(draw(snapshot.leds).split("  ")):
        name, led = list(LEDS.items())[i]
        text.append(drawn + "  ", style=LED_STYLES[led.colour_en] if snapshot.leds.get(name) else "dim")
    text.append(f"  {snapshot.meaning}")
    return text


def _lines(snapshot: Snapshot, clock: Clock) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("line", "", "state", "for", "call"):
        table.add_column(heading, justify="right" if heading in ("line", "for") else "left", min_width=5)
    for line in snapshot.lines:
        sign, style = SIGNS[line.state]
        seconds = max(0, clock.utc_ns() - parse_rfc3339(line.since)) / NS_PER_S
        table.add_row(str(line.line), sign, line.state, f"{seconds:.0f} s", line.call_id or "", style=style)
    return table


def _calls(snapshot: Snapshot) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", title=None)
    table.add_column(f"sealed ({len(snapshot.calls)})", no_wrap=True)
    table.add_column("")
    for call in snapshot.calls[-CALLS_SHOWN:]:
        table.add_row(call.call_id, describe(call))
    return table


def _services(snapshot: Snapshot) -> Text:
    words = "  ".join(f"{name} {state}" for name, state in snapshot.services.items())
    reports = f"reports delivered {snapshot.reports_delivered}, waiting {snapshot.reports_waiting}"
    return Text(f"{words}    {reports}    gaps {snapshot.gap_ms:.0f} ms", style="dim")
