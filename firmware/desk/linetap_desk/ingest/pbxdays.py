# SPDX-License-Identifier: Apache-2.0
"""Stores the call figures of a unit's days, as its PBX reported them, from the unit's health. Health has the last
complete day, repeats it every 30 s and corrects it later. A row is written only if it is new or has changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import Connection, bindparam, delete, insert, select, tuple_, update

from linetap_core.clock import from_utc_ns, parse_rfc3339, rfc3339
from linetap_core.records import PbxPort
from linetap_desk.ingest.register import UnitMessage
from linetap_desk.ingest.tables import pbx_days, units

KEPT_DAYS = 800  # for each unit: last year is whole until the end of this one
AHEAD_DAYS = 1  # the unit may be in a time zone east of the desk
_FIGURES = ("calls", "recorded", "missing", "unseen")
_Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Key = tuple[str, str]  # unit, day


class PbxHealth(msgspec.Struct):
    pbx_port: PbxPort | None = None
    pbx_day: Annotated[str, Meta(max_length=10)] | None = None
    pbx_calls: _Count | None = None
    pbx_recorded: _Count | None = None
    pbx_missing: _Count | None = None
    pbx_unseen: _Count | None = None


def first_kept(now_ns: int) -> date:
    """The first day whose figures are kept."""
    return from_utc_ns(now_ns).date() - timedelta(days=KEPT_DAYS)


def store_days(db: Connection, notices: Sequence[UnitMessage]) -> None:
    """Stores the last report of a batch for each day."""
    days: dict[Key, dict[str, Any]] = {}
    ports: dict[str, str] = {}
    for one in notices:
        health = one.decode(PbxHealth) if one.topic == "health" else None
        if health is not None and health.pbx_port is not None:
            ports[one.unit] = health.pbx_port
        if health is not None and (row := _row(one, health)) is not None:
            days[one.unit, row["day"]] = row
    if ports:
        _keep_ports(db, ports)
    if days:
        _keep_days(db, days)


def _keep_ports(db: Connection, ports: dict[str, str]) -> None:
    wanted = select(units.c.unit, units.c.pbx_port).where(units.c.unit.in_(ports))
    other = [{"of": unit, "pbx_port": ports[unit]} for unit, port in db.execute(wanted) if port != ports[unit]]
    if other:
        db.execute(update(units).where(units.c.unit == bindparam("of")), other)


def _keep_days(db: Connection, days: dict[Key, dict[str, Any]]) -> None:
    wanted = select(pbx_days).where(tuple_(pbx_days.c.unit, pbx_days.c.day).in_(list(days)))
    known = {(row["unit"], row["day"]): row for row in db.execute(wanted).mappings()}
    new = [row for key, row in days.items() if key not in known]
    for key, was in known.items():
        if any(days[key][name] != was[name] for name in _FIGURES):
            same = (pbx_days.c.unit == key[0], pbx_days.c.day == key[1])
            db.execute(update(pbx_days).where(*same).values(days[key]))
    if new:
        db.execute(insert(pbx_days), new)
        first = first_kept(parse_rfc3339(min(row["told_at"] for row in new)))
        its = pbx_days.c.unit.in_({row["unit"] for row in new})
        db.execute(delete(pbx_days).where(its, pbx_days.c.day < first.isoformat()))


def _row(notice: UnitMessage, health: PbxHealth) -> dict[str, Any] | None:
    """The row; None without a day, or for an impossible day: one from a wrong clock would remain forever."""
    if health.pbx_day is None or health.pbx_calls is None or health.pbx_recorded is None:
        return None
    if (
        health.pbx_missing is None
        or health.pbx_unseen is None
        or health.pbx_recorded + health.pbx_missing > health.pbx_calls
    ):
        return None
    try:
        day = date.fromisoformat(health.pbx_day)
    except ValueError:
        return None
    last = from_utc_ns(notice.received_ns).date() + timedelta(days=AHEAD_DAYS)
    if not first_kept(notice.received_ns) <= day <= last:
        return None
    return {
        "unit": notice.unit, "day": day.isoformat(), "calls": health.pbx_calls, "recorded": health.pbx_recorded,
        "missing": health.pbx_missing, "unseen": health.pbx_unseen, "told_at": rfc3339(notice.received_ns),
    }  # fmt: skip
