# SPDX-License-Identifier: Apache-2.0
"""How far a unit's events are here without a hole, for each of its chains."""

from __future__ import annotations

from itertools import pairwise

from sqlalchemy import Connection, select

from linetap_desk.ingest.tables import events

Group = tuple[str, str]  # unit, chain (chainname.py)
_A_STEP = 1000  # rows read at once


def reached(db: Connection, group: Group, through: int) -> int:
    """The last event up to which all are stored, or were dropped by the unit's own word; `through` is one such."""
    here = (events.c.unit == group[0], events.c.origin == group[1])
    while True:
        wanted = select(events.c.seq).where(*here, events.c.seq > through).order_by(events.c.seq).limit(_A_STEP)
        found = [through, *db.execute(wanted).scalars()]
        through = next((a for a, b in pairwise(found) if b != a + 1), found[-1])
        if through == found[-1] and len(found) == _A_STEP + 1:
            continue
        over = select(events.c.dropped_to).where(
            *here, events.c.dropped_from <= through + 1, events.c.dropped_to > through
        )
        dropped = db.execute(over.order_by(events.c.dropped_to.desc()).limit(1)).scalar()
        if dropped is None:
            return through
        through = dropped


def first_hole(db: Connection, group: Group, through: int) -> tuple[int, int] | None:
    """From, to of the first that is missing behind `through`; None where nothing behind it has come."""
    behind = select(events.c.seq).where(events.c.unit == group[0], events.c.origin == group[1], events.c.seq > through)
    following = db.execute(behind.order_by(events.c.seq).limit(1)).scalar()
    return None if following is None else (through + 1, following - 1)
