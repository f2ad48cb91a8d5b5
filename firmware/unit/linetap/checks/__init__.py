# SPDX-License-Identifier: Apache-2.0
"""Self-diagnosis: each check says when it stands, what it says to a person, and how it clears.

How bad it is and which LED shows it stands in wire/alerts.py, whose order is that of CHECKS. A new check is its row
there and itself in one of the files below; a new file is also named here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from linetap.checks import (
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

_FILES = (cards, clocks, computer, connection, disk, integrity, lines, orders, recording, services)
_ROWS = list(ALERTS)

CHECKS: tuple[Check, ...] = tuple(
    sorted((check for file in _FILES for check in file.CHECKS), key=lambda check: _ROWS.index(check.id))
)


def run(snapshot: Snapshot, standing: Iterable[Finding] = ()) -> list[Finding]:
    """What stands now, of all checks. `standing` is what this returned last time."""
    return frame.run(CHECKS, snapshot, standing)


def judge(before: Mapping[str, Alert] | None = None, now_ns: int = 0) -> Judge:
    """Of all checks; see Judge."""
    return Judge(CHECKS, before, now_ns)
