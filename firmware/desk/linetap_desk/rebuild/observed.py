# SPDX-License-Identifier: Apache-2.0
"""Observations of the desk itself, which no unit can report again: taken over from the old database if it can be read.

These are outages, PBX days, rejected reports, alerts, contradictory signed heads, expired copies and the counted time
of the ingest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Connection, Engine, Table, insert, inspect, select

from linetap_core.errors import Refusal
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing.signers import Signer
from linetap_desk.ingest.tables import alerts, copies, counted, heads, outages, pbx_days, set_aside, units, vaults

_AT_ONCE = 500


def take_over(old: Engine, new: Engine, signers: list[Signer]) -> Counter[str]:
    """How many rows of each table. SQLAlchemyError: the old one cannot be read, and nothing was taken."""
    taken: Counter[str] = Counter()
    with old.connect() as source, new.begin() as db:
        for table in (units, outages, pbx_days, alerts, set_aside, heads, vaults, copies, counted):
            rows = [row for found in _rows(source, table) if (row := _of_ours(table, found, signers)) is not None]
            taken[table.name] = len(rows)
            for at in range(0, len(rows), _AT_ONCE):
                db.execute(insert(table), rows[at : at + _AT_ONCE])
    return taken


def _rows(source: Connection, table: Table) -> Iterator[dict[str, Any]]:
    columns = _there(source, table)
    if not columns:
        return
    wanted = select(*columns).order_by(*table.primary_key)
    if table is copies:
        wanted = wanted.where(copies.c.removed_at.is_not(None))
    for row in source.execute(wanted).mappings():
        # The new database numbers its rows in the same order; the one row of `counted` has a fixed number.
        yield {name: value for name, value in row.items() if name != "id" or table is counted}


def _there(source: Connection, table: Table) -> list[Column[Any]]:
    """Those that an earlier version kept, if it had the table."""
    looked = inspect(source)
    if not looked.has_table(table.name):
        return []
    names = {column["name"] for column in looked.get_columns(table.name)}
    return [column for column in table.columns if column.name in names]


def _of_ours(table: Table, row: dict[str, Any], signers: list[Signer]) -> dict[str, Any] | None:
    """None for a head that nobody has signed whom the file names: it is held against others as evidence."""
    if table is units:
        return row | {"state": None}  # the broker says it anew
    if table is heads:
        try:
            unitlog.check_head(bytes(row["head"]), row["sig"].encode("utf-8"), signers)
        except Refusal:
            return None
    return row
