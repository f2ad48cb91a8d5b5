# SPDX-License-Identifier: Apache-2.0
"""Holds that were asked for, and what the unit has said of them since, which the ingest has of signed events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update
from starlette.exceptions import HTTPException

from linetap_core.clock import parse_rfc3339
from linetap_desk.ingest import holdstate
from linetap_desk.ingest.tables import events
from linetap_desk.serve.release.chain import Chain
from linetap_desk.serve.release.store import ID
from linetap_desk.serve.tables import holds

State = Literal["command", "send", "held", "ended", "over", "closed"]
_NO_CHAINS: Mapping[str, Chain] = {}


@dataclass(frozen=True, slots=True)
class Asked:
    """`state`: what is to be done next, or how it is."""

    row: Mapping[str, Any]
    state: State
    chain: Chain = field(default_factory=Chain)

    @property
    def is_over(self) -> bool:
        return self.state in ("ended", "over", "closed")

    @property
    def is_waiting(self) -> bool:
        return self.state in ("command", "send")

    def is_for(self, name: str, roles: frozenset[str]) -> bool:
        theirs = self.is_waiting and "vault" in roles and self.row["asked_by"] != name
        return theirs and (self.row["command"] is not None or self.chain.waits_for(name))


def require(db: Connection, hold_id: str) -> Mapping[str, Any]:
    row = None
    if ID.fullmatch(hold_id):
        row = db.execute(select(holds).where(holds.c.id == hold_id)).mappings().first()
    if row is None:
        raise HTTPException(404)
    return dict(row)


def add(db: Connection, values: Mapping[str, Any]) -> None:
    db.execute(insert(holds).values(**values))


def change(db: Connection, hold_id: str, **values: Any) -> None:
    db.execute(update(holds).where(holds.c.id == hold_id).values(**values))


def with_state(
    desk: Connection, rows: Sequence[Mapping[str, Any]], now_ns: int, chains: Mapping[str, Chain] = _NO_CHAINS
) -> list[Asked]:
    """`desk`: the ingest's database. `chains`: what officers of a group have handed on, by hold."""
    return [Asked(row, _state(desk, row, now_ns), chains.get(row["id"], Chain())) for row in rows]


def to_do(desk: Connection, rows: Sequence[Mapping[str, Any]], now_ns: int, most: int) -> list[Asked]:
    """Of these the ones that wait for a vault officer; `most` and one, so that whoever asks knows of further ones."""
    asked = (Asked(row, _state(desk, row, now_ns)) for row in rows)
    return list(islice((one for one in asked if one.is_waiting), most + 1))


def _state(desk: Connection, row: Mapping[str, Any], now_ns: int) -> State:
    if row["closed_at"] is not None:
        return "closed"
    if row["command_at"] is not None and (said := _said(desk, row)) is not None:
        return said
    if parse_rfc3339(row["until"]) <= now_ns:
        return "over"
    return "command" if row["command"] is None else "send"


def _said(desk: Connection, row: Mapping[str, Any]) -> State | None:
    """By the newest word of the unit that came here after the command was signed."""
    held = holdstate.is_held(
        desk, events.c.unit == row["unit"], events.c.call_id == row["call_id"],
        events.c.received_at >= row["command_at"],
    )  # fmt: skip
    return None if held is None else "held" if held else "ended"
