# SPDX-License-Identifier: Apache-2.0
"""How many units, and the first of them by name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select

MOST_NAMED = 20  # units of a kind; more are only counted


def named(db: Connection, wanted: Select[tuple[str]]) -> dict[str, Any]:
    names = sorted(set(db.execute(wanted).scalars()))
    return {"count": len(names), "units": names[:MOST_NAMED]}
