# SPDX-License-Identifier: Apache-2.0
"""Self-diagnosis: each check defines its condition, its texts for a person, and the condition that clears it.

Severity and LED are in wire/alerts.py, whose order is that of CHECKS. A new check needs a row there and an entry in one
of the files below; a new file is also named in this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from linetap.checks import (
    boot,
    cards,
    clocks,
    computer,
    connection,
    disk,
    frame,
    integrity,
    lines,
    orders,
    recording,
    services,
)
from linetap.checks.frame import Check, Finding, Snapshot, Trouble, take_snapshot
from linetap.checks.judgement import Damper, Judge, Judgement
from linetap.checks.watch import Services, Watch
from linetap_core.records import Alert
from linetap_core.wire.alerts import ALERTS

__all__ = [
    "CHECKS", "Alert", "Check", "Damper", "Finding", "Judge", "Judgement", "Services", "Snapshot", "Trouble",
    "Watch", "judge", "run", "take_snapshot",
]  # fmt: skip

_FILES = (boot, cards, clocks, computer, connection, disk, integrity, lines, orders, recording, services)
_ROWS = list(ALERTS)

CHECKS: tuple[Check, ...] = tuple(
    sorted((check for file in _FILES for check in file.CHECKS), key=lambda check: _ROWS.index(check.id))
)


def run(snapshot: Snapshot, standing: Iterable[Finding] = ()) -> list[Finding]:
    """Returns the findings of all checks. `standing`: the previous result."""
    return frame.run(CHECKS, snapshot, standing)


def judge(before: Mapping[str, Alert] | None = None, now_ns: int = 0) -> Judge:
    """Returns a Judge of all checks."""
    return Judge(CHECKS, before, now_ns)
