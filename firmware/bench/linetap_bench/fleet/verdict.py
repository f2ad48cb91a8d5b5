# SPDX-License-Identifier: Apache-2.0
"""A fleet's events at the desk: the units' outboxes compared with the database, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap_desk.ingest import database
from linetap_desk.ingest.tables import events, set_aside


@dataclass
class Verdict:
    """The result. `changed`: events stored with other bytes, or more than once."""

    events: int = 0
    lost: int = 0
    changed: int = 0
    set_aside: int = 0


def compare(db: str, city: Path) -> Verdict:
    """Compares database and outboxes; `city` is the folder of a fleet."""
    found = Verdict()
    engine = database.open_reader(db)
    try:
        with engine.connect() as reader:
            found.set_aside = reader.execute(select(func.count()).select_from(set_aside)).scalar_one()
            for folder in sorted((city / "units").iterdir()):
                entries = OutboxReader(folder / "outbox").from_seq(1, 1 << 20)
                mine = select(events.c.seq, events.c.payload).where(events.c.unit == folder.name)
                stored = [(seq, bytes(payload)) for seq, payload in reader.execute(mine.order_by(events.c.seq))]
                sent = {seq: payload for seq, payload, _ in entries}
                found.events += len(sent)
                found.lost += len(sent.keys() - {seq for seq, _ in stored})
                found.changed += sum(sent.pop(seq, None) != payload for seq, payload in stored)
    finally:
        engine.dispose()
    return found
