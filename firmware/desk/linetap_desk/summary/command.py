# SPDX-License-Identifier: Apache-2.0
"""`linetap desk summary`: once a night, by a timer."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import date, timedelta

from sqlalchemy.exc import SQLAlchemyError

from linetap_core.clock import Clock, from_utc_ns
from linetap_core.errors import BadInput
from linetap_desk import settings as desksettings
from linetap_desk.ingest import database
from linetap_desk.searching.localmoment import zone_of
from linetap_desk.summary import day, delivery
from linetap_desk.summary.settings import SummaryConfig

_LONGEST_PAUSE_S = 3600


def run(args: argparse.Namespace, clock: Clock) -> int:
    """0; 1 where it was not delivered, and standard error says so for each attempt."""
    args.broker = None
    desk, _ = desksettings.read(args)
    config = desk.summary.checked()
    if desk.db is None:
        raise BadInput(f"{args.config}: db is missing")
    zone = zone_of(config.zone)
    of = _day(args.day, from_utc_ns(clock.utc_ns()).astimezone(zone).date())
    engine = database.open_reader(desk.db)
    try:
        with engine.connect() as db:
            found = day.summary(db, of, zone, clock.utc_ns())
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
        sys.stdout.write(delivery.letter(found))
    done = [_delivered(way, config, clock) for way in ways]  # the one does not wait for the other to work
    return 0 if all(done) else 1


def _delivered(way: Callable[[], None], config: SummaryConfig, clock: Clock) -> bool:
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
    return False


def _day(text: str | None, today: date) -> date:
    """Yesterday where none is named."""
    try:
        return today - timedelta(days=1) if text is None else date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--day {text}: a day as 2026-11-24 would be right") from None
