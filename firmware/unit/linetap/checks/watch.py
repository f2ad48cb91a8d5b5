# SPDX-License-Identifier: Apache-2.0
"""Watches the other services by their state files (alive or dead, working or stuck), and the machine.

For panel, checks and reporter. The watch only reads files, so no service can block it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from linetap.cardresult import CARD_WRONG
from linetap.checks.machine import Machine, MachineWatch, Mount, fault_of, mount_of, visible
from linetap.config.schema import Config
from linetap_core import rundir
from linetap_core.clock import NS_PER_MS, NS_PER_S, Clock
from linetap_core.records import CaptureState, PanelState, RecorderState, ReporterState, ServiceState
from linetap_core.rundir import capture_service
from linetap_core.service import DEAD_AFTER_MS, StateReader

# From the watch's start: a service without a state file is starting until then, later it is dead. Also the longest time
# of an announced restart.
GRACE_MS = 10_000
MOUNTS_EVERY_S = 1  # within the 2 s after which the LEDs must show a change
DEAD_NS = DEAD_AFTER_MS * NS_PER_MS

Status = Literal["starting", "alive", "dead"]


@dataclass(frozen=True, slots=True)
class Seen[S: ServiceState]:
    """A service. `state`: the last written, of any age; `moving_ns`: the time of uninterrupted progress (0: none);
    `still_ns`: the time since the last progress; `unwritten`: why its state cannot be written, so that it may be alive
    and look dead.
    """

    state: S | None
    status: Status
    moving_ns: int = 0
    still_ns: int = 0
    unwritten: str | None = None

    @property
    def live(self) -> S | None:
        """The service's present state; None: it is not alive."""
        return self.state if self.status == "alive" else None

    @property
    def stuck(self) -> bool:
        """Whether the service is alive without progress."""
        return self.status == "alive" and self.still_ns >= DEAD_NS

    @property
    def fault(self) -> str | None:
        """The code of the service's present or last fault."""
        return self.state.fault.code if self.state is not None and self.state.fault is not None else None


@dataclass(frozen=True, slots=True)
class Services:
    """The state of the unit's processes, for panel and checks; `capture`: by card with configured lines."""

    capture: Mapping[int, Seen[CaptureState]]
    recorder: Seen[RecorderState]
    reporter: Seen[ReporterState]
    panel: Seen[PanelState] = Seen(None, "starting")


@dataclass(slots=True)
class _Progress:
    """The time of a service's last progress, and the start of its present progress, by the service's own time stamps. A
    started process has made no progress yet: a capture that cannot open its codec restarts every few seconds.
    """

    value: int = -1
    started_ns: int = -1
    moved_ns: int = 0
    since_ns: int | None = None

    def update(self, state: ServiceState) -> None:
        if self.started_ns != state.started_ns:
            self.since_ns = None
        elif state.progress == self.value:
            return
        elif self.since_ns is None or state.mono_ns - self.moved_ns >= DEAD_NS:
            self.since_ns = state.mono_ns
        self.value, self.started_ns, self.moved_ns = state.progress, state.started_ns, state.mono_ns


def judge[S: ServiceState](
    state: S | None, now_ns: int, grace_over: bool, moved_ns: int | None = None, since_ns: int | None = None
) -> Seen[S]:
    """Returns the state of a service at `now_ns`, by its state file. Pure. `moved_ns`: time of its last progress;
    `since_ns`: start of its present progress.
    """
    if state is None:
        return Seen(None, "dead" if grace_over else "starting")
    if state.leaving and 0 <= now_ns - state.mono_ns < GRACE_MS * NS_PER_MS:
        return Seen(state, "starting")
    if abs(now_ns - state.mono_ns) >= DEAD_NS:  # a time stamp in the future is invalid like an old one
        return Seen(state, "dead")
    still_ns = 0 if moved_ns is None else max(0, now_ns - moved_ns)
    moving_ns = 0 if still_ns >= DEAD_NS or since_ns is None else max(0, now_ns - since_ns)
    return Seen(state, "alive", moving_ns, still_ns)


@dataclass(slots=True)
class Watch:
    """The watch of one unit, which reads its state files repeatedly. Its only state is the last progress of each
    service, and the machine's last values.
    """

    config: Config
    clock: Clock
    grace_ms: int = GRACE_MS
    _started_ns: int = field(init=False)
    _machine: MachineWatch = field(init=False)
    _mounts_ns: int | None = field(init=False, default=None)
    _mount: Mount | None = field(init=False, default=None)
    _progress: dict[str, _Progress] = field(init=False, default_factory=dict)
    _readers: dict[str, StateReader[Any]] = field(init=False, default_factory=dict)
    _unwritten: dict[str, tuple[str, int]] = field(init=False, default_factory=dict)
    _cards: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._started_ns = self.clock.monotonic_ns()
        self._machine = MachineWatch(self.clock)
        self._cards = sorted({line.card for line in self.config.line})

    def services(self) -> Services:
        return Services(
            capture={card: self._observe(capture_service(card), CaptureState) for card in self._cards},
            recorder=self.recorder(),
            reporter=self._observe("reporter", ReporterState),
            panel=self._observe("panel", PanelState),
        )

    def recorder(self) -> Seen[RecorderState]:
        """The recorder alone, for a caller that reads it more often."""
        return self._observe("recorder", RecorderState)

    def machine(self) -> Machine:
        return self._machine.read()

    def mount(self) -> Mount | None:
        """The vault's file system, read once in MOUNTS_EVERY_S: the recorder itself reports failed writes at once."""
        now_ns = self.clock.monotonic_ns()
        if self._mounts_ns is None or now_ns - self._mounts_ns >= MOUNTS_EVERY_S * NS_PER_S:
            self._mounts_ns, self._mount = now_ns, mount_of(visible(self.config.vault_path))
        return self._mount

    def card_wrong(self) -> bool:
        """Whether `provision apply` found at the start that the configuration on the card cannot be used."""
        return self.config.run_path.with_name(CARD_WRONG).exists()

    def _observe[S: ServiceState](self, name: str, kind: type[S]) -> Seen[S]:
        now_ns = self.clock.monotonic_ns()
        if name not in self._readers:
            self._readers[name] = StateReader(self.config.run_path, name, kind)
        state: S | None = self._readers[name].read()
        progress = self._progress.setdefault(name, _Progress())
        if state is not None:
            progress.update(state)
        grace_over = now_ns - self._started_ns >= self.grace_ms * NS_PER_MS
        seen = judge(state, now_ns, grace_over, progress.moved_ns, progress.since_ns)
        if seen.status != "dead":
            return seen
        if (fault := fault_of(rundir.service_folder(self.config.run_path, name))) is not None:
            self._unwritten[name] = (fault, now_ns)
        known, known_ns = self._unwritten.get(name, (None, 0))
        if known is None or now_ns - known_ns >= DEAD_NS:  # before that there may be no new state file
            return seen
        return replace(seen, unwritten=known)
