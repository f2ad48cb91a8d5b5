# SPDX-License-Identifier: Apache-2.0
"""Adoptions in serve's own database: one row for each new unit, from its order to its certificate.

The keys of a confirmed exchange are stored until the unit has its certificate, so that a restart of either side does
not end it. Then the keys and the order, which may contain a Wi-Fi passphrase, are overwritten; the remaining key can
only report the end of the exchange (enrolment/adoption.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update
from starlette.exceptions import HTTPException

from linetap_core.enrolment.adoption import Channel, closed
from linetap_desk.serve.adoption.exchanges import Waiting
from linetap_desk.serve.adoption.uploadchecks import Prepared
from linetap_desk.serve.database.tables import adoptions
from linetap_desk.serve.release.steps import StepFault

MOST_OPEN = 200


def listed(db: Connection) -> list[Mapping[str, Any]]:
    """The open adoptions and the last closed ones; of their files only whether they exist."""
    hidden = ("draft", "order", "signature", "unit_key", "desk_key")
    columns: list[ColumnElement[Any]] = [one for one in adoptions.c if one.name not in hidden]
    columns += [adoptions.c.draft.is_not(None).label("has_draft"), adoptions.c.order.is_not(None).label("has_order")]
    rows = select(*columns).order_by(adoptions.c.closed_at.is_not(None), adoptions.c.prepared_at.desc())
    return [dict(row) for row in db.execute(rows.limit(MOST_OPEN)).mappings()]


def state_of(row: Mapping[str, Any]) -> str:
    """The state of a row of `listed`."""
    if row["closed_at"] is not None:
        return str(row["outcome"])
    if row["certificate"] is not None:
        return "certified"
    if row["request"] is not None:
        return "requested"
    if row["taken_at"] is not None:
        return "taken"
    if not row["has_order"]:
        return "unsigned"
    if row["confirmed_at"] is None:
        return "prepared"
    return "pressed" if row["pressed_at"] is not None else "confirmed"


def require(db: Connection, adoption_id: str) -> Mapping[str, Any]:
    """The adoption; 404 if there is none."""
    row = db.execute(select(adoptions).where(adoptions.c.id == adoption_id)).mappings().first()
    if row is None:
        raise HTTPException(404)
    return dict(row)


def require_open(db: Connection, adoption_id: str) -> Mapping[str, Any]:
    row = require(db, adoption_id)
    if row["closed_at"] is not None:
        raise StepFault("step_done", f"{adoption_id}: it was closed")
    return row


def of_run(db: Connection, run: str) -> Mapping[str, Any] | None:
    row = db.execute(select(adoptions).where(adoptions.c.run == run)).mappings().first()
    return None if row is None else dict(row)


def prepare(db: Connection, new_id: str, found: Prepared, by: str, at: str) -> str:
    """Stores a signed order; returns the adoption's id. Replaces the order of a waiting unit."""
    values: dict[str, Any] = {"order": found.order, "signature": found.signature, "draft": None, "fault": None}
    return _put(db, new_id, found.unit, by, at, values)


def draft(db: Connection, new_id: str, unit: str, order: bytes, place: str, by: str, at: str) -> str:
    """Stores an unsigned order; returns the adoption's id. A signed order of the same unit stays available to it until
    this one is signed."""
    return _put(db, new_id, unit, by, at, {"draft": order, "place": place})


def _put(db: Connection, new_id: str, unit: str, by: str, at: str, values: dict[str, Any]) -> str:
    there = db.execute(
        select(adoptions).where(adoptions.c.unit == unit, adoptions.c.closed_at.is_(None))
    ).mappings().first()  # fmt: skip
    values |= {"prepared_by": by, "prepared_at": at}
    if there is None:
        db.execute(insert(adoptions).values(id=new_id, unit=unit, count=0, **values))
        return new_id
    if there["taken_at"] is not None:
        raise StepFault("step_done", f"{unit}: the unit has its configuration already")
    change(db, there["id"], **values)
    return str(there["id"])


def confirm(db: Connection, adoption_id: str, one: Waiting, by: str, at: str) -> None:
    """Records that the digits were right: the exchange now belongs to this unit and survives a restart."""
    row = require_open(db, adoption_id)
    if row["order"] is None:
        raise StepFault("step_not_yet", f"{row['unit']}: the authority has not signed its configuration")
    if row["pressed_at"] is not None:  # the unit has received it
        raise StepFault("step_done", f"{row['unit']}: another box has this configuration already; withdraw it first")
    assert one.channel is not None
    change(
        db, adoption_id, run=one.run, unit_key=one.channel.unit_key, desk_key=one.channel.desk_key, count=one.count,
        serial=one.begin.serial, mac=one.begin.mac, address=one.address, confirmed_by=by, confirmed_at=at,
        fault=None, request=None,
    )  # fmt: skip


def channel_of(row: Mapping[str, Any]) -> Channel | None:
    """The channel of a confirmed exchange, otherwise None. For a closed adoption: the channel that reports the
    closing."""
    if row["desk_key"] is None:
        return None
    if row["closed_at"] is not None:
        return Channel("", row["run"], b"", bytes(row["desk_key"]))
    return Channel("", row["run"], bytes(row["unit_key"]), bytes(row["desk_key"]))


def record_count(db: Connection, run: str, count: int) -> bool:
    """Stores the number of a question. False if it is repeated: each number is used for one message."""
    done = db.execute(update(adoptions).where(adoptions.c.run == run, adoptions.c.count < count).values(count=count))
    return bool(done.rowcount)


def change(db: Connection, adoption_id: str, **values: Any) -> None:
    db.execute(update(adoptions).where(adoptions.c.id == adoption_id).values(**values))


def close(db: Connection, adoption_id: str, outcome: str, at: str) -> None:
    made = channel_of(require_open(db, adoption_id))
    change(
        db, adoption_id, closed_at=at, outcome=outcome, unit_key=None, draft=None, order=None, signature=None,
        desk_key=None if made is None else closed(made).desk_key,
    )  # fmt: skip
