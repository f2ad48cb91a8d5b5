# SPDX-License-Identifier: Apache-2.0
"""The unit's faults: one list of findings for LEDs, `linetap check`, alerts and the desk.

Panel and reporter each make the list from the same files with this code, so that neither depends on the other. Both
read the files in the same EVERY_MS of the machine's monotonic clock, and continue after a restart with their last list.
Only changes between two readings can differ (decision 0108).

Damping: an intermittent alert that changes CHANGES times within WINDOW_S stays raised until QUIET_S pass without a
change. A damped alert never hides a standing finding, and shows its worst severity. Hysteresis is part of the checks
themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from linetap.checks import frame
from linetap.checks.frame import Check, Finding, Named, Snapshot, Trouble
from linetap.checks.watch import Services
from linetap.config.schema import Config
from linetap_core.clock import NS_PER_MS, NS_PER_S, Clock
from linetap_core.records import Alert, PanelState, ReporterState
from linetap_core.rundir import capture_service
from linetap_core.service import read_state
from linetap_core.wire.alerts import led_of

EVERY_MS = 250  # the interval at which services write their state
RESUME_S = 60  # an older state file is not continued
_LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judgement. `findings`: after hysteresis and damping; `starting`: services without a state file yet."""

    findings: tuple[Finding, ...] = ()
    starting: tuple[str, ...] = ()

    @property
    def leds(self) -> list[str]:
        """The legend's condition of each finding."""
        return [finding.led for finding in self.findings]

    @property
    def alerts(self) -> dict[str, Alert]:
        return {finding.check: finding.alert() for finding in self.findings}


class Judge:
    """The judge; its state is standing findings (hysteresis) and changes (damping). Call `judge` with each snapshot."""

    def __init__(self, checks: Sequence[Check], before: Mapping[str, Alert] | None = None, now_ns: int = 0) -> None:
        """`before`: the alerts of the previous process, if it ended recently; `now_ns`: monotonic."""
        self._checks, self._damper = checks, Damper(checks)
        found = [finding_of(check, before[check.id]) for check in checks if before and check.id in before]
        self._standing = [finding for finding in found if not finding.changes]
        self._damper.resume([finding for finding in found if finding.changes], now_ns)
        self._turn = -1
        self.now = Judgement(tuple(found))

    def is_due(self, now_ns: int) -> bool:
        return now_ns // (EVERY_MS * NS_PER_MS) != self._turn

    def judge(self, snapshot: Snapshot, now_ns: int) -> Judgement:
        self._turn = now_ns // (EVERY_MS * NS_PER_MS)
        self._standing = frame.run(self._checks, snapshot, self._standing)
        self.now = Judgement(tuple(self._damper.steadied(self._standing, now_ns)), starting(snapshot.services))
        return self.now


def alerts_before(
    config: Config, clock: Clock, service: str, kind: type[PanelState] | type[ReporterState]
) -> Mapping[str, Alert] | None:
    """Returns a service's alerts before its restart, from its own state file only, so that no service can deceive
    another.

    None: the service did not run for longer than RESUME_S.
    """
    before = read_state(config.run_path, service, kind)
    if before is None or not 0 <= clock.monotonic_ns() - before.mono_ns < RESUME_S * NS_PER_S:
        return None
    return before.alerts


def starting(services: Services) -> tuple[str, ...]:
    names = [capture_service(card) for card, seen in services.capture.items() if seen.status == "starting"]
    names += [name for name in ("recorder", "reporter") if getattr(services, name).status == "starting"]
    return tuple(names)


def finding_of(check: Check, alert: Alert) -> Finding:
    """Returns the finding of an alert in a state file. Control characters in its texts become blanks."""
    words: dict[str, Any] = {name: _plain(getattr(alert, name)) for name in Trouble.__struct_fields__}
    return Finding(check.id, led_of(check.id, alert.severity), _plain(alert.since), Trouble(**words), alert.changes)


def _plain[T](word: T) -> T | str:
    if not isinstance(word, str):
        return word
    return "".join(letter if letter.isprintable() else " " for letter in word[:_LONGEST_TEXT])


# --- Damping ----------------------------------------------------------------------------------------------------------


CHANGES = 6  # raised and cleared three times
WINDOW_S = 600
QUIET_S = 600
REWORD_S = 60  # greatest age of the texts of a held alert; a further line or card is named at once
RECOUNT_S = 600  # greatest age of its count without another change
_RANK = {None: 0, "warning": 1, "critical": 2}


class Damper:
    """The damping, with CHANGES times for each check as state. Call `steadied` at each reading."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self._memories = {check.id: _Memory() for check in checks if not check.of_a_call}
        self._order = [check.id for check in checks]

    def steadied(self, standing: Iterable[Finding], now_ns: int) -> list[Finding]:
        """Returns the findings to report, in the order of the checks. `now_ns`: monotonic."""
        found = {finding.check: finding for finding in standing}
        for check, memory in self._memories.items():
            if check not in found and memory.is_empty:
                continue
            steady = memory.judge(found.pop(check, None), now_ns)
            if steady is not None:
                found[check] = steady
        return [found[check] for check in self._order if check in found]

    def resume(self, held: Iterable[Finding], now_ns: int) -> None:
        """Continues with findings that were already reported as intermittent."""
        for finding in held:
            if (memory := self._memories.get(finding.check)) is not None:
                memory.resume(finding, now_ns)


class _Memory:
    def __init__(self) -> None:
        self.held: Finding | None = None  # the finding as reported while it is intermittent
        self._now: Finding | None = None
        self._worst: Finding | None = None
        self._changes: deque[int] = deque(maxlen=CHANGES)
        self._count = 0
        self._since = ""
        self._worded: Trouble | None = None  # the texts of the held finding, and their age
        self._worded_ns = 0
        self._named = Named(REWORD_S)

    def resume(self, finding: Finding, now_ns: int) -> None:
        self.held = self._worst = finding
        self._changes.append(now_ns)
        self._count, self._since = finding.changes, finding.since
        self._worded, self._worded_ns = finding.trouble, now_ns
        self._named.report(finding.marks, now_ns)

    @property
    def is_empty(self) -> bool:
        """Whether there is no standing finding and no recent change, which is the usual case."""
        return self._now is None and self.held is None and not self._changes

    def judge(self, finding: Finding | None, now_ns: int) -> Finding | None:
        before, self._now = self._now, finding
        changed = _rank(before) != _rank(finding)
        if self._changes and now_ns - self._changes[-1] >= (QUIET_S if self.held else WINDOW_S) * NS_PER_S:
            self._forget()
        if finding is not None and _rank(finding) >= _rank(self._worst):
            self._worst = finding
        if changed:
            self._change(finding, now_ns)
        if self.held is None:
            if len(self._changes) < CHANGES or now_ns - self._changes[0] > WINDOW_S * NS_PER_S:
                return finding
        elif _rank(self._worst) <= _rank(self.held) and not self._adds(finding, now_ns) and not self._is_old(now_ns):
            return self.held
        assert self._worst is not None
        self._worded, self._worded_ns = self._worst.trouble, now_ns
        self.held = _recurring(self._worst, self._since, self._count)
        self._named.report(self.held.marks, now_ns)
        return self.held

    def _adds(self, finding: Finding | None, now_ns: int) -> bool:
        """Whether the finding names a line or card that the held alert does not."""
        return finding is not None and finding is self._worst and self._named.is_due(finding.marks, now_ns)

    def _change(self, finding: Finding | None, now_ns: int) -> None:
        self._changes.append(now_ns)
        self._count += 1
        if finding is not None:
            self._since = self._since or finding.since

    def _is_old(self, now_ns: int) -> bool:
        new_words = self._worst is not None and self._worst.trouble != self._worded
        return now_ns - self._worded_ns >= (REWORD_S if new_words else RECOUNT_S) * NS_PER_S

    def _forget(self) -> None:
        self.held = self._worst = None
        self._changes.clear()
        self._count, self._since = 0, ""


def _rank(finding: Finding | None) -> int:
    return _RANK[finding.trouble.severity if finding is not None else None]


def _recurring(worst: Finding, since: str, changes: int) -> Finding:
    it = worst.trouble
    ko, en = f"나타났다 사라지기를 되풀이합니다. {it.text_ko}", f"Comes and goes: {it.text_en}"
    return replace(worst, since=since, changes=changes, trouble=msgspec.structs.replace(it, text_ko=ko, text_en=en))
