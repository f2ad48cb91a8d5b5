# SPDX-License-Identifier: Apache-2.0
"""Explains why a search of a unit or a line is empty: no call was made, the unit was not received, policy recorded
nothing, or the calls are destroyed. Gaps in the desk's knowledge are stated too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, exists, func, or_, select

from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap_desk.ingest.outages import DESK, UNHEARD_S
from linetap_desk.ingest.tables import WHOLE_UNIT, calls, events, origins, outages, units

PASSED = ("skipped", "exempt", "fax", "modem", "discarded")
MOST_CALLS = 20_000  # counted calls of the span
MOST_AWAY = 50


@dataclass(frozen=True, slots=True)
class ExcludedCalls:
    """Calls that policy did not record, and the reason."""

    disposition: str
    why: str
    count: int


@dataclass(frozen=True, slots=True)
class AbsencePeriod:
    """An outage; `kind` as in outages.py. `ended_at` None: it continues."""

    kind: str
    why: str
    began_at: str
    ended_at: str | None
    times: int


@dataclass(frozen=True, slots=True)
class KnownFacts:
    """The desk's information on a unit, or one of its lines, in a span. `whole`: it has all of the unit's events.
    `misdated`: calls that it reported then with times outside the span."""

    calls: int
    misdated: int
    destroyed: int
    passed: list[ExcludedCalls]
    away: list[AbsencePeriod]
    heard_at: str | None  # None: the unit never reported
    whole: bool
    ahead: bool  # the span ends after the unit's last possible report
    more: bool  # more calls, or more outages, than are listed here

    @property
    def none(self) -> bool:
        """Whether certainly no call was made: the unit was received all the time, and all of its events are stored."""
        known = self.heard_at is not None and self.whole and not self.away and not self.ahead
        return known and not self.calls and not self.misdated


def known_reasons(db: Connection, unit: str, line: int | None, since: str, until: str, now_ns: int) -> KnownFacts:
    mine = [calls.c.unit == unit, WHOLE_UNIT if line is None else calls.c.line == line]
    span = select(calls.c.disposition, calls.c.why, calls.c.destroyed_at).where(
        *mine, calls.c.began_at >= since, calls.c.began_at < until
    )
    some = span.limit(MOST_CALLS + 1).subquery()
    gone = some.c.destroyed_at.is_not(None)
    grouped = select(some.c.disposition, some.c.why, gone.label("gone"), func.count().label("count"))
    groups = [
        (disposition, why, bool(destroyed), int(number))
        for disposition, why, destroyed, number in db.execute(grouped.group_by(some.c.disposition, some.c.why, gone))
    ]
    count = sum(number for *_, number in groups)
    passed = [
        ExcludedCalls(disposition, why or "", number)
        for disposition, why, destroyed, number in groups
        if disposition in PASSED and not destroyed
    ]
    away = _absences(db, unit, since, until)
    heard_at = db.execute(select(units.c.heard_at).where(units.c.unit == unit)).scalar()
    return KnownFacts(
        calls=count,
        misdated=_misdated(db, mine, (since, until), now_ns),
        destroyed=sum(number for *_, destroyed, number in groups if destroyed),
        passed=sorted(passed, key=lambda one: -one.count),
        away=away[:MOST_AWAY],
        heard_at=heard_at,
        whole=_is_whole(db, unit),
        ahead=heard_at is not None and _is_ahead(heard_at, until, now_ns),
        more=count > MOST_CALLS or len(away) > MOST_AWAY,
    )


def _absences(db: Connection, unit: str, since: str, until: str) -> list[AbsencePeriod]:
    wanted = select(outages.c.kind, outages.c.why, outages.c.began_at, outages.c.ended_at, outages.c.times).where(
        outages.c.unit.in_((unit, DESK)),
        outages.c.began_at < until,
        or_(outages.c.ended_at.is_(None), outages.c.ended_at > since),
    )
    return [AbsencePeriod(*row) for row in db.execute(wanted.order_by(outages.c.began_at.desc()).limit(MOST_AWAY + 1))]


def _misdated(db: Connection, mine: Sequence[ColumnElement[bool]], span: tuple[str, str], now_ns: int) -> int:
    """The number of calls with an event that arrived in the span, has a time outside it, and was not delayed by an
    outage: the unit's clock was wrong. A clock that was ahead is noticed while its calls are still of the future."""
    began, at = calls.c.began_at, events.c.at
    wrong = or_(began < span[0], began >= span[1]) & or_(calls.c.late, began > rfc3339(now_ns))
    its = (events.c.unit == calls.c.unit, events.c.call_id == calls.c.call_id)
    arrived = events.c.received_at.between(*span) & or_(at < span[0], at >= span[1])
    reason = (outages.c.kind.in_(("offline", "unheard", "desk")), outages.c.unit.in_((calls.c.unit, DESK)))
    away = (outages.c.began_at <= began, or_(outages.c.ended_at.is_(None), outages.c.ended_at >= began))
    found = select(calls.c.call_id).where(
        *mine, wrong, exists().where(*its, arrived), ~exists().where(*reason, *away)
    )  # fmt: skip
    some = found.limit(MOST_AWAY).subquery()
    return db.execute(select(func.count()).select_from(some)).scalar_one()


def _is_whole(db: Connection, unit: str) -> bool:
    lacking = select(origins.c.unit).where(origins.c.unit == unit, origins.c.newest > origins.c.through)
    newest = db.execute(select(units.c.outbox_seq).where(units.c.unit == unit)).scalar()
    used_now = select(origins.c.through).where(origins.c.unit == unit).order_by(origins.c.heard_at.desc()).limit(1)
    return db.execute(lacking).first() is None and (newest or 0) <= (db.execute(used_now).scalar() or 0)


def _is_ahead(heard_at: str, until: str, now_ns: int) -> bool:
    """Whether the span goes beyond the unit's last report, with UNHEARD_S of tolerance, or into the future."""
    return until > rfc3339(now_ns) or until > rfc3339(parse_rfc3339(heard_at) + UNHEARD_S * NS_PER_S)
