# SPDX-License-Identifier: Apache-2.0
"""A unit's chains of events: their names in the desk's tables, and how far each is stored without a gap.

A chain is named by the key that signs it and, after a blank, the vault it lies in: a unit that lost its disk and kept
its key has two chains. The chain of a vault without a name has the key's name alone.
"""

from __future__ import annotations

from itertools import pairwise

from sqlalchemy import Connection, select

from linetap_core.vaultformat import vaultname
from linetap_desk.ingest.tables import events


def chain_name(origin: str, vault: str) -> str:
    """The chain's name in the tables."""
    return f"{origin} {vault}" if vault else origin


def origin_of(name: str) -> str:
    """The fingerprint of the key."""
    return name.partition(" ")[0]


def vault_of(name: str) -> str:
    """Empty: a vault without a name."""
    return name.partition(" ")[2]


def before_first(name: str) -> int:
    """The number before that of its first event."""
    return vaultname.first_seq(vault_of(name)) - 1


def is_of(name: str, seq: int) -> bool:
    """Whether an event of this number can belong to the chain."""
    return vaultname.is_of(vault_of(name), seq)


Group = tuple[str, str]  # unit, name of the chain
_A_STEP = 1000  # rows for each query


def reached(db: Connection, group: Group, through: int) -> int:
    """The last event up to which all are stored, or were dropped by the unit's own report; `through` is one such."""
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
    """The first missing range (from, to) after `through`; None if nothing after it has arrived."""
    behind = select(events.c.seq).where(events.c.unit == group[0], events.c.origin == group[1], events.c.seq > through)
    following = db.execute(behind.order_by(events.c.seq).limit(1)).scalar()
    return None if following is None else (through + 1, following - 1)
