# SPDX-License-Identifier: Apache-2.0
"""Lines and alerts: what has changed since it was last told. Both are retained, so only changes are said.

While events wait in a long queue they come first: lines and health are said less often then, alerts are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from linetap.checks import Finding
from linetap.checks.watch import Seen
from linetap_core.clock import NS_PER_MS, NS_PER_S, rfc3339
from linetap_core.records import RecorderState, Severity
from linetap_core.wire.mqtt import Message
from linetap_core.wire.topics import HEALTH_EVERY_S, LineReport, Topics, report_of

Kind = tuple[Severity, bool] | None  # of what stands; None: nothing does
REWORD_EVERY_S = 30  # an alert whose figures change while it stands
LONG_QUEUE = 100  # events that no broker has taken


@dataclass(frozen=True, slots=True)
class Pace:
    """How often telemetry is said."""

    line_ms: int  # the states of one line, at least apart; of those between, the last is told
    health_s: int


FULL = Pace(0, HEALTH_EVERY_S)
THINNED = Pace(5000, 60)  # within HEALTH_EXPIRY_S: nobody is taken for silent who only has much to say


def pace(queue_length: int) -> Pace:
    return THINNED if queue_length > LONG_QUEUE else FULL


class Lines:
    def __init__(self, topics: Topics, numbers: Iterable[int]) -> None:
        self._topics = topics
        self._numbers = sorted(numbers)
        self._told: dict[int, tuple[LineReport, int]] = {}  # and when, monotonic
        self._dead_since: str | None = None
        self._all_told_of: RecorderState | None = None

    def forget(self) -> None:
        """The broker may know nothing: tell everything."""
        self._told.clear()
        self._all_told_of = None

    def changed(self, recorder: Seen[RecorderState], utc_ns: int, now_ns: int, pace: Pace = FULL) -> list[Message]:
        """`now_ns`: monotonic."""
        if recorder.status != "dead" and recorder.state is self._all_told_of:  # it is written less often than looked at
            return []
        apart_ns = pace.line_ms * NS_PER_MS
        messages, all_told = [], recorder.status != "dead"
        for n, report in sorted(self._seen(recorder, utc_ns).items()):
            told, told_ns = self._told.get(n, (None, now_ns - apart_ns))
            if report == told:
                continue
            if now_ns - told_ns >= apart_ns:
                self._told[n] = (report, now_ns)
                messages.append(self._topics.line(n, report))
            else:
                all_told = False
        self._all_told_of = recorder.state if all_told else None
        return messages

    def _seen(self, recorder: Seen[RecorderState], utc_ns: int) -> dict[int, LineReport]:
        if recorder.status == "dead":
            # Without a recorder nobody knows what a line does, and nothing of it is recorded.
            self._dead_since = self._dead_since or rfc3339(utc_ns)
            return dict.fromkeys(self._numbers, LineReport("fault", self._dead_since, None))
        self._dead_since = None
        if recorder.state is None:
            return {}
        return {line.line: report_of(line) for line in recorder.state.lines if line.line in self._numbers}


class Alerts:
    """Of all checks there are: a connection begins with taking back those that do not stand."""

    def __init__(self, topics: Topics, checks: Iterable[str]) -> None:
        self._topics = topics
        self._checks = list(checks)
        self._told: dict[str, tuple[Kind, bytes, int]] = {}  # kind, payload, when

    def forget(self) -> None:
        self._told.clear()

    def changed(self, standing: Iterable[Finding], now_ns: int) -> list[Message]:
        """`now_ns`: monotonic."""
        found = {finding.check: finding for finding in standing}
        messages = []
        for check in self._checks:
            finding = found.get(check)
            kind = finding.kind if finding else None
            payload = msgspec.json.encode(finding.alert()) if finding else b""
            if self._worth_telling(check, kind, payload, now_ns):
                self._told[check] = (kind, payload, now_ns)
                messages.append(self._topics.alert(check, payload))
        return messages

    def _worth_telling(self, check: str, kind: Kind, payload: bytes, now_ns: int) -> bool:
        if check not in self._told:
            return True
        told_kind, told_payload, told_ns = self._told[check]
        reworded = payload != told_payload and now_ns - told_ns >= REWORD_EVERY_S * NS_PER_S
        return kind != told_kind or reworded
