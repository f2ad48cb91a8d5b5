# SPDX-License-Identifier: Apache-2.0
"""Publishes lines, alerts and the log's head when they change, and writes alerts to the journal.

Lines and alerts are retained messages, so only changes are published. While a long queue of events waits, lines and
health are published less often; alerts are not.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap.checks import Finding
from linetap.checks.frame import Named
from linetap.checks.watch import Seen
from linetap_core import rundir
from linetap_core.clock import NS_PER_MS, NS_PER_S, rfc3339
from linetap_core.errors import Refusal
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.unitlog import FOLDER, HEAD
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import RecorderState, Severity
from linetap_core.wire.mqtt import Message
from linetap_core.wire.topics import HEALTH_EVERY_S, LineReport, Topics, report_of

Kind = tuple[Severity, bool] | None  # of a standing alert; None: none stands
REWORD_EVERY_S = 30  # for changed figures of a standing alert; a further line or card is published at once
RELOG_EVERY_S = 600  # for a line or card that comes and goes while others have the same trouble
LONG_QUEUE = 100  # events that no broker has acknowledged


@dataclass(frozen=True, slots=True)
class Pace:
    """The intervals at which telemetry is published."""

    line_ms: int  # minimum interval between states of one line; the last state of an interval is published
    health_s: int


FULL = Pace(0, HEALTH_EVERY_S)
THINNED = Pace(5000, 60)  # within HEALTH_EXPIRY_S, so that a busy unit does not count as silent


def pace(queue_length: int) -> Pace:
    return THINNED if queue_length > LONG_QUEUE else FULL


class LineTelemetry:
    def __init__(self, topics: Topics, numbers: Iterable[int]) -> None:
        self._topics = topics
        self._numbers = sorted(numbers)
        self._published: dict[int, tuple[LineReport, int]] = {}  # with the time, monotonic
        self._dead_since: str | None = None
        self._all_published_of: RecorderState | None = None

    def forget(self) -> None:
        """Publishes all lines again: a new broker may have no retained messages."""
        self._published.clear()
        self._all_published_of = None

    def changed(self, recorder: Seen[RecorderState], utc_ns: int, now_ns: int, pace: Pace = FULL) -> list[Message]:
        """Returns the messages to publish. `now_ns`: monotonic."""
        if recorder.status != "dead" and recorder.state is self._all_published_of:  # written less often than read
            return []
        apart_ns = pace.line_ms * NS_PER_MS
        messages, all_published = [], recorder.status != "dead"
        for n, report in sorted(self._line_reports(recorder, utc_ns).items()):
            published, published_ns = self._published.get(n, (None, now_ns - apart_ns))
            if report == published:
                continue
            if now_ns - published_ns >= apart_ns:
                self._published[n] = (report, now_ns)
                messages.append(self._topics.line(n, report))
            else:
                all_published = False
        self._all_published_of = recorder.state if all_published else None
        return messages

    def _line_reports(self, recorder: Seen[RecorderState], utc_ns: int) -> dict[int, LineReport]:
        if recorder.status == "dead":
            # Without a recorder the state of a line is unknown, and its calls are not recorded.
            self._dead_since = self._dead_since or rfc3339(utc_ns)
            return dict.fromkeys(self._numbers, LineReport("fault", self._dead_since, None))
        self._dead_since = None
        if recorder.state is None:
            return {}
        return {line.line: report_of(line) for line in recorder.state.lines if line.line in self._numbers}


class AlertTelemetry:
    """The alerts of all checks: a new connection first clears the alerts that do not stand."""

    def __init__(self, topics: Topics, checks: Iterable[str]) -> None:
        self._topics = topics
        self._checks = list(checks)
        self._published: dict[str, tuple[Kind, bytes, int]] = {}  # kind, payload, time
        self._named = {check: Named(REWORD_EVERY_S) for check in self._checks}

    def forget(self) -> None:
        self._published.clear()

    def repeat(self) -> None:
        """Publishes standing alerts again."""
        self._published = {check: its for check, its in self._published.items() if its[0] is None}

    def changed(self, standing: Iterable[Finding], now_ns: int) -> list[Message]:
        """Returns the messages to publish. `now_ns`: monotonic."""
        found = {finding.check: finding for finding in standing}
        messages = []
        for check in self._checks:
            finding = found.get(check)
            kind = finding.kind if finding else None
            payload = msgspec.json.encode(finding.alert()) if finding else b""
            marks = finding.marks if finding else frozenset()
            if self._named[check].is_due(marks, now_ns) or self._is_due(check, kind, payload, now_ns):
                self._published[check] = (kind, payload, now_ns)
                self._named[check].report(marks, now_ns)
                messages.append(self._topics.alert(check, payload))
        return messages

    def _is_due(self, check: str, kind: Kind, payload: bytes, now_ns: int) -> bool:
        if check not in self._published:
            return True
        published_kind, published_payload, published_ns = self._published[check]
        reworded = payload != published_payload and now_ns - published_ns >= REWORD_EVERY_S * NS_PER_S
        return kind != published_kind or reworded


# --- The log's head ---------------------------------------------------------------------------------------------------


EVERY_S = 10  # a busy unit signs a head a second, and only the last is useful


class LogHead:
    """The newest complete head, published for remote monitoring of the unit's log."""

    def __init__(self, vault: Path, topics: Topics) -> None:
        self._path, self._topics = vault / FOLDER / HEAD, topics
        self._published = b""
        self._due_ns = 0

    def forget(self) -> None:
        """Publishes the head again: the broker may have no retained message."""
        self._published, self._due_ns = b"", 0

    def changed(self, now_ns: int) -> list[Message]:
        """Returns the message to publish, if any. `now_ns`: monotonic.

        Head and signature are two files: if they do not match, they are read again in the next turn.
        """
        if now_ns < self._due_ns:
            return []
        try:
            data = self._read("", unitlog.HEAD_LIMIT_BYTES)
            signature = self._read(namespaces.SUFFIX, sshsig.SIGNATURE_LIMIT_BYTES)
            if data == self._published:
                return []
            unitlog.check_head(data, signature, None)
        except (OSError, Refusal):
            return []
        self._published, self._due_ns = data, now_ns + EVERY_S * NS_PER_S
        return [self._topics.log(data, signature.decode("ascii"))]

    def _read(self, suffix: str, limit_bytes: int) -> bytes:
        return rundir.read(self._path.parent, self._path.name + suffix, limit_bytes, copied=True)


# --- Alerts in the journal --------------------------------------------------------------------------------------------


log = logging.getLogger("linetap.reporter.alert")
_LEVEL: dict[Severity, int] = {"warning": logging.WARNING, "critical": logging.ERROR}


class AlertLog:
    """Writes a log line when an alert is raised, changes its severity, names a further line or card, or clears,
    beginning with the check's id.

    The findings are damped, so an intermittent alert cannot fill the journal.
    """

    def __init__(self) -> None:
        self._written: dict[str, tuple[Severity, bool]] = {}  # check -> kind
        self._named: dict[str, Named] = {}

    def write(self, findings: Iterable[Finding], now_ns: int) -> None:
        """`now_ns`: monotonic."""
        standing = {finding.check: finding for finding in findings}
        for check in [check for check in self._written if check not in standing]:
            del self._written[check]
            log.info("%s: cleared", check, extra={"code": check})
        for check, finding in standing.items():
            named = self._named.setdefault(check, Named(RELOG_EVERY_S))
            if named.is_due(finding.marks, now_ns) or self._written.get(check) != finding.kind:
                named.report(finding.marks, now_ns)
                self._written[check] = finding.kind
                severity = finding.trouble.severity
                text = finding.trouble.text_en
                log.log(_LEVEL[severity], "%s: %s: %s", check, severity, text, extra={"code": check})
