# SPDX-License-Identifier: Apache-2.0
"""`linetap desk summary`: the figures of one day, from the ingest's database; once a night, by a timer.

They name no telephone number, person or call; units by their names. Calls, destructions, outages and PBX figures are
those of the day; active alerts and the states of units are those at the time of the run.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Select, func, select
from sqlalchemy.exc import SQLAlchemyError

from linetap_core.clock import NS_PER_S, Clock, from_utc_ns, rfc3339
from linetap_core.errors import BadInput
from linetap_core.zones import local_time, start_of_ns
from linetap_desk.config import desk as desksettings
from linetap_desk.config.desk import SummaryConfig
from linetap_desk.doctor import keyfiles
from linetap_desk.ingest import database, pbxdays
from linetap_desk.ingest.measures import disposition_word, percent
from linetap_desk.ingest.outages import DESK, UNHEARD_S
from linetap_desk.ingest.register import SignerNames
from linetap_desk.ingest.tables import alerts, calls, copies, outages, pbx_days, unit_alerts, units
from linetap_desk.inputs.strict import is_possible_day, zone_of
from linetap_desk.proofs.callfolder import load_signers
from linetap_desk.setup.certificates import RENEW
from linetap_desk.summary import delivery

MOST_NAMED = 20  # units listed for each kind; others are only counted


def named(db: Connection, wanted: Select[Any]) -> dict[str, Any]:
    """The number of units, and the names of the first ones."""
    return named_of(set(db.execute(wanted).scalars()))


def named_of(names: set[str]) -> dict[str, Any]:
    return {"count": len(names), "units": sorted(names)[:MOST_NAMED]}


_FIGURES = (pbx_days.c.calls, pbx_days.c.recorded, pbx_days.c.missing, pbx_days.c.unseen)


def present_units(db: Connection, names: SignerNames | None) -> list[str]:
    """The units that the signers' file names now. A retired one sends no message by which the ingest would know."""
    known = db.execute(select(units.c.unit).where(units.c.named)).scalars()
    return [unit for unit in known if names is None or names.has(unit)]


def coverage(db: Connection, day: date, present: list[str]) -> dict[str, Any]:
    """A day's recordings compared with the PBXs' reports, of the units named in the signers' file. `percent`: of the
    reported calls, those fully recorded; None without reports."""
    of_day = (pbx_days.c.day == day.isoformat(), pbx_days.c.unit.in_(select(units.c.unit).where(units.c.named)))
    sums = [func.coalesce(func.sum(column), 0).label(column.name) for column in _FIGURES]
    total = db.execute(select(func.count().label("units"), *sums).where(*of_day)).mappings().one()
    differs = (*of_day, (pbx_days.c.missing > 0) | (pbx_days.c.unseen > 0))
    worst = select(pbx_days.c.unit, *_FIGURES).where(*differs)
    worst = worst.order_by((pbx_days.c.missing + pbx_days.c.unseen).desc(), pbx_days.c.unit).limit(MOST_NAMED)
    silent = select(units.c.unit).where(
        units.c.unit.in_(present), ~units.c.unit.in_(select(pbx_days.c.unit).where(*of_day))
    )
    return {
        "told": {name: int(value) for name, value in total.items()},
        "percent": percent(int(total["calls"]) - int(total["missing"]), int(total["calls"])),
        "units_that_differ_from_the_pbx": {
            "count": db.execute(select(func.count()).select_from(pbx_days).where(*differs)).scalar_one(),
            "units": [dict(row) for row in db.execute(worst).mappings()],
        },
        "told_nothing": named(db, silent.where(units.c.pbx_port.in_(("open", "shut")))),
        "unknown": named(db, silent.where(units.c.pbx_port.is_(None))),
    }


def span(day: date, zone: ZoneInfo) -> tuple[str, str]:
    """The begins of the day and of the next one, in the form of the tables."""
    return rfc3339(start_of_ns(day, zone)), rfc3339(start_of_ns(day + timedelta(days=1), zone))


def summary(
    db: Connection, day: date, zone: ZoneInfo, now_ns: int, names: SignerNames | None = None,
    ending: Iterable[tuple[Path, datetime]] = (),
) -> dict[str, Any]:  # fmt: skip
    """The figures. `names`: of the signers' file; None: not readable here. `ending`: certificates, and their ends. At
    the end of the broker's no unit reaches the desk any more.
    """
    since, until = span(day, zone)
    present = present_units(db, names)
    began = (calls.c.began_at >= since, calls.c.began_at < until)
    kinds = select(calls.c.disposition, func.count()).where(*began).group_by(calls.c.disposition)
    known = Counter[str]()
    for disposition, number in db.execute(kinds):
        known[disposition_word(disposition)] += number
    ours = unit_alerts.c.unit.in_(select(units.c.unit).where(units.c.named))  # unnamed units could report anything
    standing = select(unit_alerts.c.severity, func.count()).where(ours).group_by(unit_alerts.c.severity)
    new = select(alerts.c.code, func.count()).where(alerts.c.alerted_at >= since, alerts.c.alerted_at < until)
    return {
        "day": day.isoformat(),
        "zone": zone.key,
        "made_at": rfc3339(now_ns),
        "calls": {"total": known.total(), **dict(sorted(known.items()))},
        "coverage": coverage(db, day, present) if day >= pbxdays.first_kept(now_ns) else None,
        "alerts": {
            "standing": _counted(db, standing),
            "of_the_desk": _counted(db, new.group_by(alerts.c.code)),
        },
        "destructions": {
            "calls": _count(db, calls.c.destroyed_at, since, until),
            "copies": _count(db, copies.c.removed_at, since, until),
        },
        "units": _units(db, now_ns, present, names, _outages(since, until)),
        "desk_heard_nothing": db.execute(
            select(func.count()).select_from(outages).where(
                outages.c.unit == DESK, *_outages(since, until))
        ).scalar_one(),
        "certificates_that_end": [{"file": str(path), "until": f"{end:%Y-%m-%d}"} for path, end in ending],
    }  # fmt: skip


def _counted(db: Connection, wanted: Select[Any]) -> dict[str, int]:
    return dict(sorted((row[0], row[1]) for row in db.execute(wanted)))


def _outages(since: str, until: str) -> tuple[ColumnElement[bool], ...]:
    """The outages that touch the day."""
    return outages.c.began_at < until, func.coalesce(outages.c.ended_at, until) >= since


def _units(
    db: Connection, now_ns: int, present: list[str], names: SignerNames | None, of_day: tuple[ColumnElement[bool], ...]
) -> dict[str, Any]:
    ours = select(units.c.unit).where(units.c.unit.in_(present))
    never = set() if names is None else names.in_full() - set(db.execute(select(units.c.unit)).scalars())
    stopped = select(outages.c.unit).where(outages.c.kind == "not_recording", outages.c.unit.in_(present), *of_day)
    late_before = rfc3339(now_ns - UNHEARD_S * NS_PER_S)
    critical = select(unit_alerts.c.unit).where(unit_alerts.c.severity == "critical")
    return {
        "named": len(present) + len(never),
        "late": named(db, ours.where(units.c.state == "online", units.c.heard_at < late_before)),
        "offline": named(db, ours.where(func.coalesce(units.c.state, "offline") == "offline")),
        "at_fault": named(db, ours.where(units.c.unit.in_(critical))),
        "never_heard": named_of(never),
        "not_recording_that_day": named(db, stopped),
    }


def _count(db: Connection, column: Any, since: str, until: str) -> int:
    return db.execute(select(func.count()).where(column >= since, column < until)).scalar_one()


def _names(signers: str | None) -> SignerNames | None:
    """The units of the signers' file; None without a readable one, and the summary is sent nevertheless."""
    if signers is None:
        return None
    try:
        return SignerNames(load_signers(Path(signers)))
    except BadInput as error:
        sys.stderr.write(f"signers_unread: {error}; units that were never heard are not named\n")
        return None


_LONGEST_PAUSE_S = 3600


def run(args: argparse.Namespace, clock: Clock) -> int:
    """Sends the summary. 0; 1 if it was not delivered; standard error has each attempt."""
    args.broker = None
    desk, _ = desksettings.read_config(args)
    config = desk.summary.checked()
    if desk.db is None:
        raise BadInput(f"{args.config}: db is missing")
    zone = zone_of(config.zone)
    of = _day(args.day, local_time(clock.utc_ns(), zone).date())
    ending = [*keyfiles.ending_certificates(desk, from_utc_ns(clock.utc_ns()), RENEW)]
    engine = database.open_reader(desk.db)
    try:
        with engine.connect() as db:
            found = summary(db, of, zone, clock.utc_ns(), _names(desk.signers), ending)
    except SQLAlchemyError as error:
        raise BadInput(f"db: {database.reason(error)}") from None
    finally:
        engine.dispose()
    ways: list[Callable[[], None]] = []
    if config.mail_server is not None:
        ways.append(lambda: delivery.mail(config, found, clock.utc_ns()))
    if config.webhook is not None:
        ways.append(lambda: delivery.webhook(config, found))
    if not ways:
        sys.stdout.write(delivery.mail_text(found))
    unusable: list[BadInput] = []
    done = [_delivered(way, config, clock, unusable) for way in ways]  # independent of each other
    if unusable:
        raise unusable[0]
    return 0 if all(done) else 1


def _delivered(way: Callable[[], None], config: SummaryConfig, clock: Clock, unusable: list[BadInput]) -> bool:
    pause_s = config.pause_s
    for attempt in range(1, config.attempts + 1):
        try:
            way()
            return True
        except delivery.NotDelivered as error:
            last = attempt == config.attempts
            then = "given up" if last else f"again in {pause_s} s"
            sys.stderr.write(f"summary_not_delivered: attempt {attempt} of {config.attempts}: {error}; {then}\n")
            if not last:
                clock.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except BadInput as error:  # no further attempt would help
            unusable.append(error)
            break
    return False


def _day(text: str | None, today: date) -> date:
    """The given day, by default yesterday."""
    try:
        day = today - timedelta(days=1) if text is None else date.fromisoformat(text)
        if not is_possible_day(day):
            raise ValueError
        return day
    except (ValueError, OverflowError):
        raise BadInput(f"--day {text}: a day as 2026-11-24 expected") from None
