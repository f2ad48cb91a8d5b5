# SPDX-License-Identifier: Apache-2.0
"""`linetap desk protection`: the report of a month or a year as CSV, on standard output or into a file."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from linetap_core.clock import Clock
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput
from linetap_desk.config import pages
from linetap_desk.config.pages import Settings
from linetap_desk.coverage.compare import compare
from linetap_desk.coverage.register import Register
from linetap_desk.ingest import database
from linetap_desk.protection import period, report, sheet
from linetap_desk.protection.period import Period
from linetap_desk.protection.report import Report
from linetap_desk.searching.departments import Departments
from linetap_desk.serve.database.tables import requests
from linetap_desk.serve.protection.released import released


def run(args: argparse.Namespace, clock: Clock) -> int:
    settings = pages.read_settings(args.config)
    found = make_report(settings, period.parse(args.period, settings.zone), clock.utc_ns())
    data = sheet.csv_of(found, args.language)
    if args.out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return 0
    try:
        replace_durably(args.out, data)
    except OSError as error:
        raise BadInput(f"{args.out}: {error.strerror}") from None
    return 0


def make_report(settings: Settings, of: Period, now_ns: int) -> Report:
    """The report. BadInput if the ingest's database cannot be read; without the pages' own database the report states
    that."""
    if settings.desk.db is None:
        raise BadInput("db: missing in desk.toml; sqlite:///desk.db expected")
    table = Departments([])
    if settings.desk.serve.lines is not None:
        table = Departments.load(Path(settings.desk.serve.lines), settings.zone)
    register = None if settings.desk.serve.extensions is None else Register.load(Path(settings.desk.serve.extensions))
    if register is not None:
        table = table.filled(register.departments, register.trunks)
    engine = database.open_reader(settings.desk.db)
    try:
        with engine.connect() as db:
            database.begin_snapshot(db)
            opened = _released_counts(settings, of, table)
            return report.make(db, of, table, opened, now_ns, _coverage_counts(db, register, table, now_ns))
    except SQLAlchemyError as error:
        raise BadInput(f"db: {database.reason(error)}") from None
    finally:
        engine.dispose()


def _coverage_counts(
    db: Connection, register: Register | None, table: Departments, now_ns: int
) -> tuple[int, int] | None:
    if register is None:
        return None
    found = compare(db, register, table, now_ns)
    return found.tapped, found.staff


def _released_counts(settings: Settings, of: Period, table: Departments) -> Counter[str] | None:
    """The released calls; None if this user cannot read the pages' database, which belongs to the user of the pages."""
    try:
        engine = database.open_reader(settings.db)
    except BadInput:
        return None
    try:
        with engine.connect() as db:
            db.execute(select(requests.c.id).limit(1))
            return released(db, of, table)
    except SQLAlchemyError:
        return None
    finally:
        engine.dispose()
