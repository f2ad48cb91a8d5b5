# SPDX-License-Identifier: Apache-2.0
"""Records periods without reports of a unit, or in which it reported that it does not record. They distinguish "no
call" from "unknown" later. Times are of the desk's clock; the messages are unsigned.

| kind | period |
|---|---|
| `before` | from the beginning until the desk first recorded outages of a unit |
| `offline` | from the unit's or the broker's report that it disconnected, until it returns |
| `unheard` | without any message, though the broker reports it online |
| `not_recording` | the unit reported that it records no call; `why` is the condition that its LEDs show |
| `desk` | the desk itself received nothing; `unit` is empty |

A silent unit may continue to record and report later: the periods describe the desk's knowledge, not the unit's work.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, bindparam, delete, exists, func, insert, select, update

from linetap_core.clock import NS_PER_S, S_PER_DAY, Clock, parse_rfc3339, rfc3339
from linetap_desk.ingest.register import Arrival, UnitMessage
from linetap_desk.ingest.share import ALL_UNITS, Share
from linetap_desk.ingest.tables import outages, units

LOOK_EVERY_S = 15
UNHEARD_S = 90  # health arrives every 30 s, every minute during a backlog
SAME_S = 60  # an outage that ended this recently is continued
KEPT_S = 5 * 366 * S_PER_DAY
BEGINNING = rfc3339(0)
DESK = ""
MOST_WHY = 200


class RecordingHealth(msgspec.Struct):
    records: bool | None = None  # None: unit of an earlier version, which does not report it
    condition: str = ""
    recording_refused: str | None = None
    services_dead: str = ""


@dataclass(frozen=True, slots=True)
class _Change:
    """The begin or end of an outage. `reason` None: it has ended, or did not exist."""

    unit: str
    kind: str
    reason: str | None
    changed_at: str


class Outages:
    """Finds outages that only the passing of time reveals."""

    def __init__(self, engine: Engine, clock: Clock, share: Share = ALL_UNITS) -> None:
        self._engine, self._clock, self._share = engine, clock, share
        self._due_ns = 0

    def connected(self) -> None:
        """Records a new connection, before any of its messages is stored. Units get time to report."""
        self._due_ns = self._clock.monotonic_ns() + UNHEARD_S * NS_PER_S
        now_ns = self._clock.utc_ns()
        with self._engine.begin() as db:
            heard_at = db.execute(select(func.max(units.c.heard_at))).scalar()
            if heard_at is not None and heard_at < rfc3339(now_ns - UNHEARD_S * NS_PER_S):
                _change(db, [_Change(DESK, "desk", "", heard_at), _Change(DESK, "desk", None, rfc3339(now_ns))])
            elif not self._share.has_all_units:  # other ingests continued: only this share's units were unheard
                _change(db, _silent_units(db, rfc3339(now_ns - UNHEARD_S * NS_PER_S), self._share))

    def update(self) -> None:
        """Updates the outages. SQLAlchemyError: the database is unavailable."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + LOOK_EVERY_S * NS_PER_S
        utc_ns = self._clock.utc_ns()
        with self._engine.begin() as db:
            db.execute(delete(outages).where(outages.c.ended_at < rfc3339(utc_ns - KEPT_S * NS_PER_S),
                                             outages.c.began_at != BEGINNING))  # fmt: skip
            _change(db, _silent_units(db, rfc3339(utc_ns - UNHEARD_S * NS_PER_S), self._share))


def store_outages(db: Connection, batch: Sequence[Arrival], accepted: Collection[str]) -> None:
    """Stores the outages of a batch, after register.register_units in its transaction. `accepted`: the units that it
    returned."""
    last: dict[str, str] = {}
    by_unit: dict[str, list[UnitMessage]] = {}
    for arrival in batch:
        if arrival.unit in accepted:
            last[arrival.unit] = rfc3339(arrival.received_ns)
            if isinstance(arrival, UnitMessage):
                by_unit.setdefault(arrival.unit, []).append(arrival)
    _begin(db, last)
    changes = [_Change(unit, "unheard", None, at) for unit, at in last.items()]
    by_status = [unit for unit, notices in by_unit.items() if any(arrival.topic == "status" for arrival in notices)]
    for unit, state in db.execute(select(units.c.unit, units.c.state).where(units.c.unit.in_(by_status))):
        if state is not None:
            changes.append(_Change(unit, "offline", "" if state == "offline" else None, last[unit]))
    for unit, notices in by_unit.items():
        healths = (arrival.decode(RecordingHealth) for arrival in notices if arrival.topic == "health")
        readable = [health for health in healths if health is not None]
        if readable:
            changes.append(_Change(unit, "not_recording", _not_recording_reason(readable[-1]), last[unit]))
    _change(db, changes)


# --- rows ----------------------------------------------------------------------------------------------------


def _begin(db: Connection, last: dict[str, str]) -> None:
    """Begins the record of a unit with its first report."""
    known = select(outages.c.unit).where(outages.c.unit.in_(last), outages.c.began_at == BEGINNING)
    strange = last.keys() - set(db.execute(known).scalars())
    if strange:
        db.execute(insert(outages), [
            {"unit": unit, "kind": "before", "why": "", "began_at": BEGINNING, "ended_at": last[unit], "times": 1}
            for unit in sorted(strange)
        ])  # fmt: skip


def _change(db: Connection, changes: Sequence[_Change]) -> None:
    standing = _standing(db, {change.unit for change in changes})
    ended: list[dict[str, Any]] = []
    for change in changes:
        open_outage = standing.pop((change.unit, change.kind), None)
        if open_outage is not None and (change.reason is None or open_outage.why != change.reason):
            ended.append({"this": open_outage.id, "at": max(change.changed_at, open_outage.began_at)})
        elif open_outage is not None:
            standing[change.unit, change.kind] = open_outage
            continue
        if change.reason is not None:
            _open(db, change)
            standing |= _standing(db, {change.unit})
    if ended:
        db.execute(update(outages).where(outages.c.id == bindparam("this")).values(ended_at=bindparam("at")), ended)


def _standing(db: Connection, names: Collection[str]) -> dict[tuple[str, str], Any]:
    found = db.execute(select(outages).where(outages.c.unit.in_(names), outages.c.ended_at.is_(None)))
    return {(row.unit, row.kind): row for row in found}


def _open(db: Connection, change: _Change) -> None:
    """Begins an outage, or extends one of the same kind that has just ended: frequent changes would fill the table."""
    just_now = rfc3339(parse_rfc3339(change.changed_at) - SAME_S * NS_PER_S)
    same_kind = (outages.c.unit == change.unit, outages.c.kind == change.kind, outages.c.why == change.reason)
    newest = select(outages.c.id).where(*same_kind, outages.c.ended_at >= just_now)
    outage_id = db.execute(newest.order_by(outages.c.began_at.desc()).limit(1)).scalar()
    if outage_id is not None:
        db.execute(update(outages).where(outages.c.id == outage_id).values(ended_at=None, times=outages.c.times + 1))
        return
    db.execute(insert(outages).values(
        unit=change.unit, kind=change.kind, why=change.reason, began_at=change.changed_at, ended_at=None, times=1
    ))  # fmt: skip


def _silent_units(db: Connection, before: str, share: Share) -> list[_Change]:
    """The units that have become unheard. Empty while no unit reports: then the desk itself is cut off."""
    newest = db.execute(select(func.max(units.c.heard_at))).scalar()
    if newest is None or newest < before:
        return []
    away = exists().where(outages.c.unit == units.c.unit, outages.c.ended_at.is_(None),
                          outages.c.kind.in_(("unheard", "offline")))  # fmt: skip
    wanted = select(units.c.unit, units.c.heard_at).where(units.c.named, units.c.heard_at < before, ~away)
    wanted = wanted.where(share.condition(units.c.unit))
    return [_Change(unit, "unheard", "", heard_at) for unit, heard_at in db.execute(wanted)]


def _not_recording_reason(health: RecordingHealth) -> str | None:
    """The unit's own reason for not recording; None if it records."""
    if health.records is not None:
        return None if health.records else _printable(health.condition) or "unknown"
    dead = [name for name in health.services_dead.split() if name == "recorder" or name.startswith("capture")]
    words = " ".join(filter(None, [health.recording_refused, *dead]))
    return _printable(words) or None


def _printable(words: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in words[:MOST_WHY])
