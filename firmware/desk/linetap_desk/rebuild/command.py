# SPDX-License-Identifier: Apache-2.0
"""`linetap desk rebuild`: builds a new index beside the old one, from the store and the units; when complete, it
replaces the old one.

The desk's own observations, which no unit can report again, are copied from the old database if it is readable:
outages, PBX days, rejected reports, alerts, contradictory signed heads, expired copies, figures of destroyed calls and
the ingest's counted time.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, Table, func, insert, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from linetap_core.clock import S_PER_DAY, Clock
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing.signers import Signer
from linetap_core.service import Stop, start_logging
from linetap_desk.config import desk as desksettings
from linetap_desk.config.desk import Settings
from linetap_desk.copy.s3 import open_store
from linetap_desk.ingest import database, destroyedcalls
from linetap_desk.ingest.register import SignersFile
from linetap_desk.ingest.tables import (
    alerts,
    calls,
    cleared_days,
    copies,
    counted,
    destroyed_days,
    events,
    heads,
    metadata,
    outages,
    pbx_days,
    set_aside,
    units,
    vaults,
)
from linetap_desk.inputs.strict import zone_of
from linetap_desk.rebuild import newdatabase, storedcalls
from linetap_desk.rebuild.storedcalls import Refused
from linetap_desk.rebuild.units import Answered, request_events

MOST_S = S_PER_DAY
_COUNTED = (events, calls, copies, units)


@dataclass(slots=True)
class RebuildResult:
    """The final report. `old` None: the old database could not be read, or should not be."""

    old: Counter[str] | None = None
    taken: Counter[str] = field(default_factory=Counter)
    refusal_reason: str = ""
    new: Counter[str] = field(default_factory=Counter)
    copied: int | None = None
    from_record: int = 0
    answered: Answered = field(default_factory=Answered)
    refused: Refused = field(default_factory=Refused)


def run(args: argparse.Namespace, clock: Clock) -> int:
    """Rebuilds the index. 0; 1 if something was refused, or an online unit has not reported everything: the new
    database is in use nevertheless."""
    stop = Stop()
    args.broker = args.client_id = args.signers = args.db = args.key = args.copy = None
    settings = desksettings.ingest_settings(args)
    if not 0 <= args.for_s <= MOST_S:
        raise BadInput(f"--for {args.for_s}: from 0 to {MOST_S} seconds expected")
    if settings.key is None and args.for_s:
        raise BadInput(f"{args.config}: key is missing: it signs the requests to units; --for 0 requests nothing")
    start_logging("rebuild")
    with newdatabase.exclusive_place(settings.db, clock) as where:
        found = None if where.whole else _fill(where, settings, args, clock, stop)
        kept = where.swap()
    lines = (
        ["the new database was complete already and only had to be put in place"] if found is None else _lines(found)
    )
    kept = f"the old database is {kept}, until a person removes it" if kept else "there was no old database"
    sys.stdout.write("\n".join([*lines, kept]) + "\n")
    return 1 if found is not None and (found.refused.counts or found.answered.lacking) else 0


def _fill(
    where: newdatabase.DatabasePlace, settings: Settings, args: argparse.Namespace, clock: Clock, stop: Stop
) -> RebuildResult:
    signers = SignersFile(settings.signers)
    store = None
    if settings.copy is not None:
        store = open_store(
            settings.copy.store, None if settings.copy.incoming is None else Path(settings.copy.incoming)
        )
    found, new = RebuildResult(), where.begin()
    try:
        if not args.without_old:
            _take_over(settings.db, new, signers, found)
        if store is not None and settings.copy is not None:
            holds = None if settings.copy.holds is None else Path(settings.copy.holds)
            try:
                found.copied = storedcalls.store_copies(store, holds, new, signers.now(), found.refused, clock.utc_ns())
            except OSError as error:
                raise Refusal(f"copy.store {settings.copy.store}: {error}; the old database is as it was") from None
        if args.for_s:
            found.answered = request_events(settings, new, signers, clock, stop, args.for_s)
        if stop.requested:
            raise Refusal("interrupted; the old database is as it was, and `linetap desk rebuild` begins again")
        found.from_record = storedcalls.settle(new, found.refused)
        with new.begin() as db:
            while destroyedcalls.clear_destroyed(db, zone=zone_of(settings.zone), counts=found.old is None):
                pass
        found.new = _counts(new)
    finally:
        new.dispose()
    where.finish(new)
    return found


def _take_over(db: str, new: Engine, signers: SignersFile, found: RebuildResult) -> None:
    try:
        old = database.open_reader(db)
    except BadInput:
        found.refusal_reason = "there is no old database"
        return
    try:
        found.old = _counts(old)
        found.taken = take_over(old, new, signers.now())
    except SQLAlchemyError as error:
        found.old, found.refusal_reason = None, f"the old database cannot be read: {database.reason(error)}"
    finally:
        old.dispose()


def _counts(engine: Engine) -> Counter[str]:
    with engine.connect() as db:
        return Counter({
            table.name: db.execute(select(func.count()).select_from(table)).scalar_one() for table in _COUNTED
        })  # fmt: skip


def _lines(found: RebuildResult) -> list[str]:
    lines = [f"{'':12}{'old':>10}{'rebuilt':>10}"]
    for table in _COUNTED:
        old = "?" if found.old is None else found.old[table.name]
        lines.append(f"{table.name:12}{old:>10}{found.new[table.name]:>10}")
    gone = "?" if found.old is None else max(0, found.old["events"] - found.new["events"])
    lines.append(f"{gone} events are missing: their units have dropped them, or are not online")
    lines.append(f"{found.from_record} calls are derived from their record in the store only, without a signed event")
    taken = ", ".join(f"{found.taken[table.name]} {table.name}" for table in metadata.sorted_tables
                      if table.name in ("outages", "pbx_days", "alerts", "set_aside", "heads"))  # fmt: skip
    lines.append(f"observed by the desk only, and taken over: {taken}" if found.old is not None else
                 f"what only the desk observed (outages, pbx_days, alerts, set_aside, older heads) is lost: "
                 f"{found.refusal_reason or 'nothing was to be taken over'}")  # fmt: skip
    if found.copied is not None:
        lines.append(f"{found.copied} calls have a verified record in the store; {sum(found.refused.counts.values())} "
                     "entries there or among the holds were refused")  # fmt: skip
    lines += [f"refused {code}: {count}" for code, count in sorted(found.refused.counts.items())]
    lines += [f"  {line}" for line in found.refused.lines]
    answered = found.answered
    lines.append(f"{len(answered.done)} of {len(answered.online)} online units have reported everything")
    late = answered.lacking[: storedcalls.MOST_PRINTED]
    lines += [f"  not yet: {unit}; the ingest requests it again" for unit in late]
    return lines


_AT_ONCE = 500


def take_over(old: Engine, new: Engine, signers: list[Signer]) -> Counter[str]:
    """Copies the desk's observations; returns the number of rows of each table. SQLAlchemyError: the old database
    cannot be read, and nothing was copied."""
    taken: Counter[str] = Counter()
    with old.connect() as source, new.begin() as db:
        for table in (
            units,
            outages,
            pbx_days,
            alerts,
            set_aside,
            heads,
            vaults,
            copies,
            counted,
            cleared_days,
            destroyed_days,
        ):
            rows = [row for found in _rows(source, table) if (row := _row_to_keep(table, found, signers)) is not None]
            taken[table.name] = len(rows)
            for at in range(0, len(rows), _AT_ONCE):
                db.execute(insert(table), rows[at : at + _AT_ONCE])
    return taken


def _rows(source: Connection, table: Table) -> Iterator[dict[str, Any]]:
    columns = _common_columns(source, table)
    if not columns:
        return
    wanted = select(*columns).order_by(*table.primary_key)
    if table is copies:
        wanted = wanted.where(copies.c.removed_at.is_not(None))
    for row in source.execute(wanted).mappings():
        # The new database numbers its rows in the same order; the one row of `counted` has a fixed number.
        yield {name: value for name, value in row.items() if name != "id" or table is counted}


def _common_columns(source: Connection, table: Table) -> list[Column[Any]]:
    """The columns that the table has in an earlier version; empty if the table is missing there."""
    looked = inspect(source)
    if not looked.has_table(table.name):
        return []
    names = {column["name"] for column in looked.get_columns(table.name)}
    return [column for column in table.columns if column.name in names]


def _row_to_keep(table: Table, row: dict[str, Any], signers: list[Signer]) -> dict[str, Any] | None:
    """The row to copy; None for a head without a named signer's signature, since heads are compared as evidence."""
    if table is units:
        return row | {"state": None}  # the broker reports it again
    if table is heads:
        try:
            unitlog.check_head(bytes(row["head"]), row["sig"].encode("utf-8"), signers)
        except Refusal:
            return None
    return row
