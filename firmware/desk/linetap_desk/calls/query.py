# SPDX-License-Identifier: Apache-2.0
"""Reads a page of calls, newest first, out of millions, for `linetap desk calls` and the desk's pages.

No search reads more than BUDGET rows. A page that is not full by then states the end of its search (`looked_to`), and
the next one continues there: rare calls are found in steps, without delaying other requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from linetap_desk.calls.criteria import Leg, SearchCriteria, State, legs
from linetap_desk.calls.reading import Cursor, Reading, Way

SIZE = 50
CHUNK = 2000  # rows that one statement may read
BUDGET = 4000  # rows for a page; a page with many legs divides them
LEAST = 100  # rows that a leg gets at least


@dataclass(frozen=True, slots=True)
class Page:
    """A page of calls. `rows`: newest first. `looked_to`: the page is not full, and calls beyond this time are not
    searched yet."""

    rows: list[dict[str, Any]]
    older: Cursor | None
    newer: Cursor | None
    looked_to: str | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    rows: list[dict[str, Any]]
    looked_to: str | None  # None: to the end of the search


def page(db: Connection, criteria: SearchCriteria, cursor: Cursor | None = None, size: int = SIZE) -> Page:
    """The page. BadInput for criteria that cannot be searched at once."""
    way: Way = cursor.way if cursor is not None else "older"
    parts = legs(criteria)
    budget = max(LEAST, BUDGET // max(1, len(parts)))
    reading = Reading(db, way, whole=len(parts) == 1)
    found = [_read_leg(reading, leg, cursor, size + 1, budget) for leg in parts]
    fence = _nearest([one.looked_to for one in found if one.looked_to is not None], way)
    every = {_key(row): row for one in found for row in one.rows}  # a seat may be named twice
    rows = [row for row in every.values() if fence is None or not _is_beyond(row["began_at"], fence, way)]
    rows.sort(key=_key, reverse=way == "older")
    more, rows = len(rows) > size, rows[:size]
    rows = rows if reading.whole else reading.filled(rows)
    if more:
        fence = None
    return _page(rows, way, cursor, more, fence)


def state_of(row: Mapping[str, Any]) -> State:
    """The call's latest state."""
    columns: tuple[tuple[str, State], ...] = (
        ("destroyed_at", "destroyed"), ("held_at", "held"), ("copied_at", "copied"), ("sealed_at", "sealed"),
        ("ended_at", "ended"),
    )  # fmt: skip
    return next((state for column, state in columns if row[column] is not None), "open")


# --- one leg -------------------------------------------------------------------------------------------------


def _read_leg(reading: Reading, leg: Leg, cursor: Cursor | None, most: int, budget: int) -> _Found:
    rows: list[dict[str, Any]] = []
    at, looked = cursor, 0
    while leg.rest:
        chunk = min(CHUNK, budget - looked)
        fence, count = reading.fence(leg, at, chunk)
        fence = fence if count == chunk else None
        if count:
            rows += reading.rows(leg, at, most - len(rows), fence)
        looked += count
        if len(rows) == most or fence is None:
            return _Found(rows, None)
        if looked >= budget:
            return _Found(rows, fence)
        at = Cursor(reading.way, fence)
    return _Found(reading.rows(leg, at, most, None), None)


# --- from legs to a page -------------------------------------------------------------------------------------


def _page(rows: list[dict[str, Any]], way: Way, cursor: Cursor | None, more: bool, fence: str | None) -> Page:
    """The page with its cursors. `more`: there are further calls in this direction. The other direction leads back; an
    empty page leads only to the search itself."""
    rows = rows if way == "older" else rows[::-1]
    back: Way = "newer" if way == "older" else "older"
    on = Cursor(way, fence) if fence is not None else None
    if more:
        on = Cursor.beyond(way, rows[-1] if way == "older" else rows[0])
    behind = None
    if cursor is not None and rows:
        behind = Cursor.beyond(back, rows[0] if way == "older" else rows[-1])
    older, newer = (on, behind) if way == "older" else (behind, on)
    return Page(rows, older, newer, fence)


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["began_at"], row["unit"], row["call_id"]


def _nearest(fences: list[str], way: Way) -> str | None:
    """The time beyond which some leg was not searched."""
    if not fences:
        return None
    return max(fences) if way == "older" else min(fences)


def _is_beyond(began_at: str, fence: str, way: Way) -> bool:
    return began_at < fence if way == "older" else began_at > fence
