# SPDX-License-Identifier: Apache-2.0
"""The alerts that stand at the units, as the broker has them retained. An empty payload takes one back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from linetap_core.records import Severity
from linetap_desk.ingest.register import Notice
from linetap_desk.ingest.tables import unit_alerts

MOST = 100  # of a unit: a stranger to the code could fill the table with names of checks
_CHECK = re.compile(r"[a-z0-9_]{1,40}")


class _Alert(msgspec.Struct):
    severity: Severity
    since: str


def note(db: Connection, notices: Sequence[Notice]) -> None:
    """The last word of a batch on each alert."""
    units: dict[str, dict[str, dict[str, Any] | None]] = {}
    for one in notices:
        if one.topic == "alert" and _CHECK.fullmatch(one.check):
            units.setdefault(one.unit, {})[one.check] = _row(one)
    for unit, words in units.items():
        mine = unit_alerts.c.unit == unit
        db.execute(delete(unit_alerts).where(mine, unit_alerts.c.check.in_(words)))
        rows = [row for row in words.values() if row is not None]
        if rows:
            there = db.execute(select(func.count()).select_from(unit_alerts).where(mine)).scalar_one()
            rows = rows[: max(0, MOST - there)]
        if rows:
            db.execute(insert(unit_alerts), rows)


def forget(db: Connection) -> None:
    db.execute(delete(unit_alerts))


def _row(one: Notice) -> dict[str, Any] | None:
    """None where it is taken back, and of what cannot be read."""
    alert = one.said(_Alert)
    if alert is None:
        return None
    since = "".join(character for character in alert.since[:40] if character.isprintable())
    return {"unit": one.unit, "check": one.check, "severity": alert.severity, "since": since}
