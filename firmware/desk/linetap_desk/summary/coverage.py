# SPDX-License-Identifier: Apache-2.0
"""A day's recordings against what the PBXs told of it, and which units told nothing."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Connection, func, select

from linetap_desk.ingest.tables import pbx_days, units
from linetap_desk.summary.naming import MOST_NAMED, named

_FIGURES = (pbx_days.c.calls, pbx_days.c.recorded, pbx_days.c.missing, pbx_days.c.unseen)


def coverage(db: Connection, day: date) -> dict[str, Any]:
    """Of the units that the signers' file names. `percent`: of the calls that the PBXs told, those that lack nothing;
    None where they told none."""
    ours = select(units.c.unit).where(units.c.named)
    of_day = (pbx_days.c.day == day.isoformat(), pbx_days.c.unit.in_(ours))
    sums = [func.coalesce(func.sum(column), 0).label(column.name) for column in _FIGURES]
    total = db.execute(select(func.count().label("units"), *sums).where(*of_day)).mappings().one()
    differs = (*of_day, (pbx_days.c.missing > 0) | (pbx_days.c.unseen > 0))
    worst = select(pbx_days.c.unit, *_FIGURES).where(*differs)
    worst = worst.order_by((pbx_days.c.missing + pbx_days.c.unseen).desc(), pbx_days.c.unit).limit(MOST_NAMED)
    silent = ours.where(~units.c.unit.in_(select(pbx_days.c.unit).where(*of_day)))
    return {
        "told": {name: int(value) for name, value in total.items()},
        "percent": _percent(int(total["calls"]), int(total["missing"])),
        "units_that_differ_from_the_pbx": {
            "count": db.execute(select(func.count()).select_from(pbx_days).where(*differs)).scalar_one(),
            "units": [dict(row) for row in db.execute(worst).mappings()],
        },
        "told_nothing": named(db, silent.where(units.c.pbx_port.in_(("open", "shut")))),
        "unknown": named(db, silent.where(units.c.pbx_port.is_(None))),
    }


def _percent(calls: int, missing: int) -> float | None:
    """Down to a tenth: 100 is said where nothing is missing, and nowhere else."""
    return (calls - missing) * 1000 // calls / 10 if calls else None
