# SPDX-License-Identifier: Apache-2.0
"""The call that somebody asks for, as the ingest has it of signed events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select
from starlette.exceptions import HTTPException

from linetap_core.evidence.release import NamedCall
from linetap_desk.ingest.tables import calls
from linetap_desk.serve.access.masking import has_number
from linetap_desk.serve.release.stepfault import StepFault
from linetap_desk.serve.site import Site, read_desk


@dataclass(frozen=True, slots=True)
class Call:
    unit: str
    named: NamedCall


def require_name(unit: str, call_id: str) -> None:
    """404 for what no unit and no call is called. A telephone number is not looked up: SQLAlchemy keeps with a
    statement the values that were asked with it first."""
    if not (unit + call_id).isprintable() or has_number(unit) or has_number(call_id):
        raise HTTPException(404)


async def find(site: Site, unit: str, call_id: str) -> Mapping[str, Any]:
    """404 where there is none."""
    require_name(unit, call_id)

    def look(db: Connection) -> Mapping[str, Any] | None:
        row = db.execute(select(calls).where(calls.c.unit == unit, calls.c.call_id == call_id)).mappings().first()
        return None if row is None else dict(row)

    row = await read_desk(site, look)
    if row is None:
        raise HTTPException(404)
    return row


def require(row: Mapping[str, Any]) -> Call:
    """StepFault of a call of which there is nothing to open or hold."""
    if row["destroyed_at"] is not None:
        raise StepFault("call_destroyed", f"{row['call_id']}: it is destroyed")
    if row["record_sha256"] is None or row["disposition"] != "recorded":
        raise StepFault("call_not_recorded", f"{row['call_id']}: nothing of it was recorded and sealed")
    return Call(row["unit"], NamedCall(row["call_id"], row["line"], row["record_sha256"]))


def may_be_asked(row: Mapping[str, Any]) -> bool:
    try:
        require(row)
    except StepFault:
        return False
    return True
