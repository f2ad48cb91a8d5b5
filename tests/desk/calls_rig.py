# SPDX-License-Identifier: Apache-2.0
"""Rows of calls as in an ingest's database, made without an ingest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, insert

from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap_desk.calls import query
from linetap_desk.calls.criteria import SearchCriteria, Seat
from linetap_desk.calls.reading import Cursor, Way
from linetap_desk.ingest import tables

EVIL = """<script>alert(1)</script>"'; DROP TABLE calls;--{{7*7}}%s"""  # the longest permitted name
START_NS = parse_rfc3339("2026-11-24T00:00:00Z")
EMPTY: dict[str, Any] = {column.name: None for column in tables.calls.columns} | {"late": False}


def at(seconds: float) -> str:
    return rfc3339(START_NS + round(seconds * NS_PER_S))


def call(unit: str = "floor-03", line: int | None = 1, seconds: float = 0.0, **more: Any) -> dict[str, Any]:
    began = at(seconds)
    name = f"{began.replace('-', '').replace(':', '')}-L{line or 0:02d}"
    return EMPTY | {"unit": unit, "call_id": name, "line": line, "began_at": began, "direction": "in"} | more


def recorded(unit: str = "floor-03", line: int = 1, seconds: float = 0.0, **more: Any) -> dict[str, Any]:
    ended = {"ended_at": at(seconds + 60), "sealed_at": at(seconds + 61), "duration_s": 55.0, "gaps_ms": 0.0}
    said = {"disposition": "recorded", "notice": "ko-1", "record_sha256": "ab" * 32, "answered_at": at(seconds + 5)}
    return call(unit, line, seconds) | ended | said | more


def fill(engine: Engine, rows: list[dict[str, Any]] | list[Mapping[str, Any]]) -> None:
    with engine.begin() as db:
        if rows:
            db.execute(insert(tables.calls), list(rows))


def fits(row: dict[str, Any], criteria: SearchCriteria) -> bool:
    """Whether the row fits the criteria: an independent, simple implementation."""
    seats = [Seat(row["unit"])] if criteria.seats is None else criteria.seats
    return (
        (criteria.since is None or row["began_at"] >= criteria.since)
        and (criteria.until is None or row["began_at"] < criteria.until)
        and criteria.unit in (None, row["unit"])
        and criteria.line in (None, row["line"])
        and any(
            seat.unit == row["unit"]
            and seat.line in (None, row["line"])
            and (seat.since is None or row["began_at"] >= seat.since)
            and (seat.until is None or row["began_at"] < seat.until)
            for seat in seats
        )
        and criteria.direction in (None, row["direction"])
        and criteria.disposition in (None, row["disposition"])
        and (criteria.mark is None or (row["mark"] is not None and criteria.mark in ("any", row["mark"])))
        and criteria.state in (None, query.state_of(row))
    )


def order(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["began_at"], row["unit"], row["call_id"]


def walk(
    db: Connection, criteria: SearchCriteria, size: int, way: Way = "older", first: str = at(-1)
) -> list[list[dict[str, Any]]]:
    """The pages from first to last; each token is converted to text and back."""
    cursor = None if way == "older" else Cursor("newer", first)
    pages = []
    for _ in range(10_000):
        page = query.page(db, criteria, cursor, size)
        pages.append(page.rows)
        following = page.older if way == "older" else page.newer
        if following is None:
            return pages
        cursor = Cursor.parse(following.token())
    raise AssertionError("it does not end")
