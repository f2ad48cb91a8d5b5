# SPDX-License-Identifier: Apache-2.0
"""`linetap desk calls`: lists the desk's calls in the order of their beginning. It only reads."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from linetap_core import jsontext
from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.errors import BadInput
from linetap_desk.calls import query
from linetap_desk.calls.criteria import SearchCriteria
from linetap_desk.ingest import database

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_HIGHEST_LIMIT = 100_000


def run(args: argparse.Namespace) -> int:
    """Lists the calls; returns 0, also without a result."""
    criteria = _criteria(args)
    engine = database.open_reader(args.db)
    try:
        with engine.connect() as db:
            found = _newest(db, criteria, args.limit + 1)
    except SQLAlchemyError as error:
        raise BadInput(f"--db: {database.reason(error)}") from None
    finally:
        engine.dispose()
    if len(found) > args.limit:
        sys.stderr.write(
            f"there are more than {args.limit}: these are the newest; --from, --to or --limit select others\n"
        )
    found = found[: args.limit][::-1]
    sys.stdout.writelines(_json(row) for row in found) if args.json else sys.stdout.writelines(_table(found))
    return 0


def _criteria(args: argparse.Namespace) -> SearchCriteria:
    """The criteria. BadInput for an invalid time."""
    if not 1 <= args.limit <= _HIGHEST_LIMIT:
        raise BadInput(f"--limit {args.limit}: 1 to {_HIGHEST_LIMIT} expected")
    since = None if args.since is None else _time(args.since, "--from")
    until = None if args.until is None else _time(args.until, "--to")
    return SearchCriteria(since=since, until=until, unit=args.unit, line=args.line, disposition=args.disposition)


def _newest(db: Connection, criteria: SearchCriteria, most: int) -> list[dict[str, Any]]:
    """The newest calls, from as many pages as necessary: a command may take longer than a page."""
    found: list[dict[str, Any]] = []
    page = query.page(db, criteria, None, most)
    found += page.rows
    while page.older is not None and len(found) < most:
        page = query.page(db, criteria, page.older, most - len(found))
        found += page.rows
    return found


def _time(text: str, option: str) -> str:
    """The time in the form of the table."""
    try:
        return rfc3339(parse_rfc3339(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text))
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{option} {text}: {error}; 2026-11-24 or 2026-11-24T22:56:00Z expected") from None


def _json(row: Mapping[str, Any]) -> str:
    return jsontext.line({name: value for name, value in row.items() if value is not None})


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
    """The call's last state; with a star if part of it was reconstructed from the unit's log and records."""
    state = query.state_of(row)
    word = "gone" if state == "destroyed" else state
    return f"{word}*" if row["rebuilt"] else word
