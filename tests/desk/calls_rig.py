# SPDX-License-Identifier: Apache-2.0
"""Rows of calls as an ingest might have them, made without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, insert

from linetap.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap.desk.ingest import tables

EVIL = """<script>alert(1)</script>"'; DROP TABLE calls;--{{7*7}}%s"""  # no longer than a name may be
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
