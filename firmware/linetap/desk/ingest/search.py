# SPDX-License-Identifier: Apache-2.0
"""`linetap desk calls`: what the desk knows of calls, in the order they began. It only reads."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.exc import SQLAlchemyError

from linetap.clock import parse_rfc3339, rfc3339
from linetap.desk.ingest import database
from linetap.desk.ingest.tables import calls
from linetap.errors import BadInput

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_HIGHEST_LIMIT = 100_000


def run(args: argparse.Namespace) -> int:
    """0, also where nothing was found."""
    wanted = query(args)
    engine = database.open_reader(args.db)
    try:
        with engine.connect() as db:
            found = [dict(row) for row in db.execute(wanted).mappings()]
    except SQLAlchemyError as error:
        raise BadInput(f"--db: {database.reason(error)}") from None
    finally:
        engine.dispose()
    if len(found) > args.limit:
        sys.stderr.write(f"there are more than {args.limit}: these are the newest; --from, --to or --limit say which\n")
    found = found[: args.limit][::-1]
    sys.stdout.writelines(_json(row) for row in found) if args.json else sys.stdout.writelines(_table(found))
    return 0


def query(args: argparse.Namespace) -> Select[Any]:
    """The newest first, and one more than is shown. BadInput for a time that is none."""
    if not 1 <= args.limit <= _HIGHEST_LIMIT:
        raise BadInput(f"--limit {args.limit}: 1 to {_HIGHEST_LIMIT} would be right")
    wanted = select(calls)
    for column, value in (
        (calls.c.unit, args.unit),
        (calls.c.line, args.line),
        (calls.c.disposition, args.disposition),
    ):
        if value is not None:
            wanted = wanted.where(column == value)
    if args.since is not None:
        wanted = wanted.where(calls.c.began_at >= _time(args.since, "--from"))
    if args.until is not None:
        wanted = wanted.where(calls.c.began_at < _time(args.until, "--to"))
    order = (calls.c.began_at.desc(), calls.c.unit.desc(), calls.c.call_id.desc())
    return wanted.order_by(*order).limit(args.limit + 1)


def _time(text: str, option: str) -> str:
    """As it stands in the table."""
    try:
        return rfc3339(parse_rfc3339(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text))
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{option} {text}: {error}; 2026-11-24 or 2026-11-24T22:56:00Z would be right") from None


def _json(row: Mapping[str, Any]) -> str:
    return msgspec.json.encode({name: value for name, value in row.items() if value is not None}).decode() + "\n"


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    widths = "{:24}  {:16}  {:>4}  {:7}  {:10}  {:>9}  {:7}  {}\n"
    if rows:
        yield widths.format("began", "unit", "line", "way", "what", "seconds", "state", "call")
    for row in rows:
        yield widths.format(
            row["began_at"], row["unit"], row["line"] or "", row["direction"] or "", row["disposition"] or "",
            "" if row["duration_s"] is None else f"{row['duration_s']:.1f}", _state(row), row["call_id"],
        )  # fmt: skip


def _state(row: Mapping[str, Any]) -> str:
    """The last that became of it; with a star, where some of it was told anew from the unit's log and records."""
    words = (
        ("destroyed_at", "gone"),
        ("held_at", "held"),
        ("copied_at", "copied"),
        ("sealed_at", "sealed"),
        ("ended_at", "ended"),
    )
    word = next((word for column, word in words if row[column] is not None), "open")
    return f"{word}*" if row["rebuilt"] else word
