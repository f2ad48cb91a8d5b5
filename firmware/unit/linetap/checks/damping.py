# SPDX-License-Identifier: Apache-2.0
"""An alert that comes and goes: after CHANGES changes within WINDOW_S it stays raised until QUIET_S pass without one.

Pure: the caller's clock, no I/O. What the checks themselves hold on to is theirs, and the LEDs show what is: only what
is told to the desk and the journal is damped. It never hides that something stands, and shows the worst of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

import msgspec

from linetap.checks.frame import Check, Finding, Trouble
from linetap_core.clock import NS_PER_S

CHANGES = 6  # three times raised and taken back
WINDOW_S = 600
QUIET_S = 600
REWORD_S = 60  # how old words may be that are told meanwhile,
RECOUNT_S = 600  # and the count, where nothing else is new
_RANK = {None: 0, "warning": 1, "critical": 2}


class Damper:
    """`told()` with each look; its memory is CHANGES moments a check."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self._memories = {check.id: _Memory() for check in checks if not check.of_a_call}
        self._order = [check.id for check in checks]

    def told(self, standing: Iterable[Finding], now_ns: int) -> list[Finding]:
        """What is to be told as standing, in the order of the checks. `now_ns`: monotonic."""
        found = {finding.check: finding for finding in standing}
        for check, memory in self._memories.items():
            if check not in found and memory.is_empty:
                continue
            steady = memory.judge(found.pop(check, None), now_ns)
            if steady is not None:
                found[check] = steady
        return [found[check] for check in self._order if check in found]

    def take_up(self, held: Iterable[Finding], now_ns: int) -> None:
        """Continues with findings that were already reported as intermittent."""
        for finding in held:
            if (memory := self._memories.get(finding.check)) is not None:
                memory.take_up(finding, now_ns)


class _Memory:
    def __init__(self) -> None:
        self.held: Finding | None = None  # as it is told while it comes and goes
        self._now: Finding | None = None
        self._worst: Finding | None = None
        self._changes: deque[int] = deque(maxlen=CHANGES)
        self._count = 0
        self._since = ""
        self._worded: Trouble | None = None  # of what is held, and when
        self._worded_ns = 0

    def take_up(self, finding: Finding, now_ns: int) -> None:
        self.held = self._worst = finding
        self._changes.append(now_ns)
        self._count, self._since = finding.changes, finding.since
        self._worded, self._worded_ns = finding.trouble, now_ns

    @property
    def is_empty(self) -> bool:
        """All is well, and has been for long: as nearly every check is at nearly every look."""
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
        elif _rank(self._worst) <= _rank(self.held) and not self._is_old(now_ns):
            return self.held
        assert self._worst is not None
        self._worded, self._worded_ns = self._worst.trouble, now_ns
        self.held = _comes_and_goes(self._worst, self._since, self._count)
        return self.held

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


def _comes_and_goes(worst: Finding, since: str, changes: int) -> Finding:
    it = worst.trouble
    ko, en = f"나타났다 사라지기를 되풀이합니다. {it.text_ko}", f"Comes and goes: {it.text_en}"
    return replace(worst, since=since, changes=changes, trouble=msgspec.structs.replace(it, text_ko=ko, text_en=en))
