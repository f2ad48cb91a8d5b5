# SPDX-License-Identifier: Apache-2.0
"""The database's list of work on copies: calls to fetch, copies to confirm or remove; and the recording of results."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, delete, func, insert, literal, select, tuple_, update

from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap_desk.copy import recordfile
from linetap_desk.copy.incoming import Call, RetentionTerm
from linetap_desk.copy.recordfile import DeskHolds
from linetap_desk.ingest import callrow
from linetap_desk.ingest.callrow import LONGEST_NS, bounded_period_ns
from linetap_desk.ingest.share import ALL_UNITS, Share
from linetap_desk.ingest.tables import (
    UNCLOSED,
    UNCOUNTED,
    UNSTORED,
    UNTIMED,
    amendments,
    calls,
    copies,
    counted,
    events,
    units,
)

log = logging.getLogger("linetap.copy")

HELD_PAUSE_S = 3600  # until the hold is checked again
MOST_EXPIRED = 50  # at once
MOST_UNREPORTED = 200
_A_LOOK = 20

_COPIED = (
    select(copies.c.unit)
    .where(copies.c.unit == calls.c.unit, copies.c.call_id == calls.c.call_id, copies.c.removed_at.is_(None))
    .exists()
)
_OPEN = (
    calls.c.record_sha256.is_not(None),
    calls.c.sealed_at.is_not(None),
    calls.c.copied_at.is_(None),
    calls.c.destroyed_at.is_(None),
)


def units_to_ask(db: Connection, share: Share = ALL_UNITS) -> list[str]:
    """Online units with uncopied calls."""
    found = select(units.c.unit).where(
        units.c.state == "online", select(calls.c.unit).where(calls.c.unit == units.c.unit, *_OPEN, ~_COPIED).exists()
    )
    return list(db.execute(found.where(share.condition(units.c.unit)).order_by(units.c.unit)).scalars())


def units_online(db: Connection, share: Share = ALL_UNITS) -> list[str]:
    """Online units that the signers' file names."""
    found = select(units.c.unit).where(units.c.state == "online", units.c.named, share.condition(units.c.unit))
    return list(db.execute(found.order_by(units.c.unit)).scalars())


def next_call(db: Connection, unit: str, skipped: set[str]) -> Call | None:
    """The oldest uncopied call, except those in `skipped`."""
    wanted = select(calls.c.call_id, calls.c.record_sha256).where(calls.c.unit == unit, *_OPEN, ~_COPIED)
    found = db.execute(wanted.order_by(calls.c.began_at).limit(_A_LOOK + len(skipped)))
    return next((Call(unit, *row) for row in found if row[0] not in skipped and recordfile.is_call_id(row[0])), None)


def unconfirmed_copies(db: Connection, share: Share = ALL_UNITS, after: tuple[str, str] = ("", "")) -> list[Call]:
    """Stored copies of online units that have not acknowledged them, by unit and call, from the one behind `after`: a
    unit without acknowledgements must not block other units' copies."""
    wanted = select(copies.c.unit, copies.c.call_id, copies.c.record_sha256).join(
        calls, (calls.c.unit == copies.c.unit) & (calls.c.call_id == copies.c.call_id)
    )
    wanted = wanted.join(units, units.c.unit == copies.c.unit).where(
        copies.c.removed_at.is_(None), units.c.state == "online", share.condition(units.c.unit), *_OPEN
    )
    order = (copies.c.unit, copies.c.call_id)
    behind = wanted.where(tuple_(*order) > tuple_(*map(literal, after)))
    return [Call(*row) for row in db.execute(behind.order_by(*order).limit(MOST_UNREPORTED))]


def units_unclosed(db: Connection, share: Share = ALL_UNITS) -> list[str]:
    """Online units with copies that lack the closing."""
    found = select(units.c.unit).where(
        units.c.state == "online", select(copies.c.unit).where(copies.c.unit == units.c.unit, UNCLOSED).exists()
    )
    return list(db.execute(found.where(share.condition(units.c.unit)).order_by(units.c.unit)).scalars())


def next_unclosed(db: Connection, unit: str, skipped: set[str]) -> Call | None:
    """The newest copy without a closing, except those in `skipped`. Copies made before the unit could give it come
    last."""
    mine = (calls.c.unit == copies.c.unit) & (calls.c.call_id == copies.c.call_id)
    found = select(copies.c.call_id, copies.c.record_sha256).join(calls, mine)
    found = found.where(copies.c.unit == unit, UNCLOSED, calls.c.destroyed_at.is_(None))
    rows = db.execute(found.order_by(copies.c.stored_at.desc()).limit(_A_LOOK + len(skipped)))
    return next((Call(unit, *row) for row in rows if row[0] not in skipped), None)


def expired_copies(
    db: Connection, now_ns: int, holds: Path | None, share: Share = ALL_UNITS, skipped: Collection[tuple[str, str]] = ()
) -> list[Call]:
    """Expired copies without a hold, except those in `skipped` (unit and call). Two clocks must agree: the desk's, and
    that of a unit with a later call. Expiry must also be certain: the unit destroyed its call by counted time, or the
    ingest counted the whole period since the copy was stored. Wrong clocks alone, however many, delete nothing."""
    witnessed = db.execute(select(func.max(calls.c.began_at))).scalar()
    if witnessed is None:
        return []
    due_copies = select(copies.c.unit, copies.c.call_id, copies.c.record_sha256).where(
        copies.c.removed_at.is_(None),
        copies.c.look_at <= min(rfc3339(now_ns), witnessed),
        share.condition(copies.c.unit),
    )
    destroyed = select(calls.c.unit).where(
        calls.c.unit == copies.c.unit, calls.c.call_id == copies.c.call_id, calls.c.destroyed_at.is_not(None)
    )
    age_ms = counted_ms(db) - copies.c.counted_ms
    due_copies = due_copies.where(destroyed.exists() | (age_ms >= copies.c.period_s * 1000))
    rows = db.execute(due_copies.order_by(copies.c.look_at).limit(MOST_EXPIRED + len(skipped))).all()
    due_calls = [Call(*row) for row in rows if (row.unit, row.call_id) not in skipped][:MOST_EXPIRED]
    holds_of_desk = recordfile.read_holds(holds) if due_calls and holds is not None else DeskHolds()
    if holds_of_desk.unread:
        log.error("holds_unread: %.300s; no copy is removed until it can be read", holds_of_desk.unread)
    unheld = []
    for call in due_calls:
        if is_held(db, call, now_ns, holds_of_desk):
            db.execute(
                update(copies).where(_is_copy_of(call)).values(look_at=rfc3339(now_ns + HELD_PAUSE_S * NS_PER_S))
            )
        else:
            unheld.append(call)
    return unheld


def is_held(db: Connection, call: Call, now_ns: int, holds: DeskHolds) -> bool:
    """Whether the call is held: by the unit's newest report, or by a hold stored at the desk, which may still be on its
    way to the unit."""
    if callrow.is_held(db, events.c.unit == call.unit, events.c.call_id == call.call_id):
        return True
    return holds.holds(call.call_id, now_ns)


def add_counted_time(db: Connection, ms: int) -> None:
    """Adds to the counted time. Copies made by an earlier version count from now on."""
    before = counted_ms(db)
    db.execute(delete(counted))
    db.execute(insert(counted).values(id=1, ms=before + max(0, ms)))
    db.execute(update(copies).where(UNCOUNTED).values(counted_ms=before))
    untimed = select(copies.c.unit, copies.c.call_id, copies.c.until).where(UNTIMED)
    for unit, call_id, until in db.execute(untimed.limit(MOST_UNREPORTED)).all():
        mine = (calls.c.unit == unit, calls.c.call_id == call_id)
        began_at = db.execute(select(calls.c.began_at).where(*mine)).scalar()
        ns = LONGEST_NS if began_at is None else parse_rfc3339(until) - parse_rfc3339(began_at)
        of_copy = (copies.c.unit == unit) & (copies.c.call_id == call_id)
        db.execute(update(copies).where(of_copy).values(period_s=bounded_period_ns(ns) // NS_PER_S))


def counted_ms(db: Connection) -> int:
    """The time that the ingest counted over all its runs."""
    return int(db.execute(select(counted.c.ms)).scalar() or 0)


def unstored_amendments(
    db: Connection, share: Share = ALL_UNITS, skipped: Collection[tuple[str, str]] = ()
) -> list[tuple[Call, int, bytes, str]]:
    """Amendments that are not stored beside their copies yet, except those of `skipped` (unit and call)."""
    mine = (copies.c.unit == amendments.c.unit) & (copies.c.call_id == amendments.c.call_id)
    found = select(
        copies.c.unit, copies.c.call_id, copies.c.record_sha256, amendments.c.number, amendments.c.document,
        amendments.c.sig,
    ).join(amendments, mine).where(
        UNSTORED, copies.c.removed_at.is_(None), share.condition(copies.c.unit)
    )  # fmt: skip
    most = MOST_UNREPORTED + len(skipped)
    rows = [row for row in db.execute(found.limit(most)) if (row.unit, row.call_id) not in skipped]
    return [(Call(*row[:3]), row[3], row[4], row[5]) for row in rows]


def record_amended(db: Connection, call: Call, number: int, now_ns: int) -> None:
    """Records that an amendment is stored."""
    mine = (amendments.c.unit == call.unit, amendments.c.call_id == call.call_id, amendments.c.number == number)
    db.execute(update(amendments).where(*mine).values(stored_at=rfc3339(now_ns)))


def record_stored(db: Connection, call: Call, retention: RetentionTerm, now_ns: int) -> None:
    """Records a stored copy, with its retention."""
    # normalised, so that text order is time order
    until = None if retention.until is None else rfc3339(parse_rfc3339(retention.until))
    db.execute(delete(copies).where(_is_copy_of(call)))
    db.execute(insert(copies).values(
        unit=call.unit, call_id=call.call_id, record_sha256=call.record_sha256, until=until, look_at=until,
        stored_at=rfc3339(now_ns), period_s=retention.period_s, counted_ms=counted_ms(db),
    ))  # fmt: skip
    of_call = (amendments.c.unit == call.unit, amendments.c.call_id == call.call_id)
    db.execute(update(amendments).where(*of_call).values(stored_at=None))
    callrow.apply_amendment(db, call.unit, call.call_id)


def record_closed(db: Connection, call: Call, now_ns: int) -> None:
    """Records that the copy has its closing."""
    mine = (_is_copy_of(call), copies.c.record_sha256 == call.record_sha256)
    db.execute(update(copies).where(*mine).values(closing_at=rfc3339(now_ns)))


def record_removed(db: Connection, call: Call, now_ns: int) -> None:
    """Records that the copy is removed."""
    db.execute(update(copies).where(_is_copy_of(call)).values(removed_at=rfc3339(now_ns)))


def _is_copy_of(call: Call) -> ColumnElement[bool]:
    return (copies.c.unit == call.unit) & (copies.c.call_id == call.call_id)
