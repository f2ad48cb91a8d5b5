# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the unit: one list of findings for LEDs, `linetap check`, alerts and the desk.

Panel and reporter each make the list from the same files with this code, so that neither depends on the other. Both
look in the same EVERY_MS of the machine's monotonic clock, and continue after a restart with their last list. Only
changes between two looks can differ (decision 0108).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linetap.checks import frame
from linetap.checks.damping import Damper
from linetap.checks.frame import Check, Finding, Snapshot, Trouble
from linetap.checks.watch import Services
from linetap.config.schema import Config
from linetap_core.clock import NS_PER_MS, NS_PER_S, Clock
from linetap_core.records import Alert, PanelState, ReporterState
from linetap_core.service import read_state
from linetap_core.wire.alerts import led_of

EVERY_MS = 250  # as often as a service writes its state
RESUME_S = 60  # an older state file is not continued
_LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Judgement:
    """`findings`: what is wrong, after hysteresis and damping. `starting`: services without a state file yet."""

    findings: tuple[Finding, ...] = ()
    starting: tuple[str, ...] = ()

    @property
    def leds(self) -> list[str]:
        """The legend's condition of each finding."""
        return [finding.led for finding in self.findings]

    @property
    def told(self) -> dict[str, Alert]:
        return {finding.check: finding.alert() for finding in self.findings}


class Judge:
    """`look` with each snapshot; its memory is what stands (hysteresis) and what came and went (damping)."""

    def __init__(self, checks: Sequence[Check], before: Mapping[str, Alert] | None = None, now_ns: int = 0) -> None:
        """`before`: the alerts of a moment ago, of the process before; `now_ns`: monotonic."""
        self._checks, self._damper = checks, Damper(checks)
        told = [finding_of(check, before[check.id]) for check in checks if before and check.id in before]
        self._standing = [finding for finding in told if not finding.changes]
        self._damper.take_up([finding for finding in told if finding.changes], now_ns)
        self._turn = -1
        self.now = Judgement(tuple(told))

    def is_due(self, now_ns: int) -> bool:
        return now_ns // (EVERY_MS * NS_PER_MS) != self._turn

    def look(self, snapshot: Snapshot, now_ns: int) -> Judgement:
        self._turn = now_ns // (EVERY_MS * NS_PER_MS)
        self._standing = frame.run(self._checks, snapshot, self._standing)
        self.now = Judgement(tuple(self._damper.told(self._standing, now_ns)), starting(snapshot.services))
        return self.now


def told_before(
    config: Config, clock: Clock, service: str, kind: type[PanelState] | type[ReporterState]
) -> Mapping[str, Alert] | None:
    """The alerts of a service before its restart, from its own state file only, so that no service can deceive another.
    None: it was away for longer than RESUME_S."""
    before = read_state(config.run_path, service, kind)
    if before is None or not 0 <= clock.monotonic_ns() - before.mono_ns < RESUME_S * NS_PER_S:
        return None
    return before.told


def starting(services: Services) -> tuple[str, ...]:
    names = [f"capture@{card}" for card, seen in services.capture.items() if seen.status == "starting"]
    names += [name for name in ("recorder", "reporter") if getattr(services, name).status == "starting"]
    return tuple(names)


def finding_of(check: Check, alert: Alert) -> Finding:
    """From an alert in a state file; control characters in its texts become blanks."""
    words: dict[str, Any] = {name: _plain(getattr(alert, name)) for name in Trouble.__struct_fields__}
    return Finding(check.id, led_of(check.id, alert.severity), _plain(alert.since), Trouble(**words), alert.changes)


def _plain[T](word: T) -> T | str:
    if not isinstance(word, str):
        return word
    return "".join(letter if letter.isprintable() else " " for letter in word[:_LONGEST_TEXT])
