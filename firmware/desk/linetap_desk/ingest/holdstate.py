# SPDX-License-Identifier: Apache-2.0
"""What a unit said last of the hold of a call. The numbers of its events decide, and no clock of the unit."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from linetap_desk.ingest import judge
from linetap_desk.ingest.callrow import HOLD_ENDED
from linetap_desk.ingest.tables import events


def is_held(db: Connection, *of_call: ColumnElement[bool]) -> bool | None:
    """None: nothing was ever said. Of several keys or vaults the one that was heard last of it counts."""
    wanted = select(events.c.origin, events.c.seq, events.c.received_at, events.c.payload)
    newest: dict[str, Any] = {}
    for row in db.execute(wanted.where(*of_call, events.c.event == "held").order_by(events.c.seq)):
        newest[row.origin] = row
    if not newest:
        return None
    last = max(newest.values(), key=lambda row: str(row.received_at))
    return judge.told(last.payload).why != HOLD_ENDED
