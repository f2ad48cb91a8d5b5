# SPDX-License-Identifier: Apache-2.0
"""A leg in pieces of months: a page is mostly found in two partitions, and the others are not planned for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from linetap_desk.calls.criteria import Leg
from linetap_desk.calls.keyset import Cursor, Way
from linetap_desk.ingest import months

STEPS = (2, 6, 24)  # months, each behind the other; then everything that is left


def of(leg: Leg, cursor: Cursor | None, way: Way, there: Sequence[int]) -> Iterator[Leg]:
    """`there`: the months that have a partition, in their order; outside of them nothing is gained by a piece. Of the
    newest two one is ahead, or has just begun."""
    if not there:
        yield leg
        return
    first = _first(leg, cursor, way, there)
    for step in STEPS:
        first = first - step if way == "older" else first + step
        if not there[0] < first <= there[-1]:
            break
        edge = months.begins(first)
        if leg.since >= edge if way == "older" else leg.until is not None and leg.until <= edge:
            break
        if way == "older":
            yield replace(leg, since=edge)
            leg = replace(leg, until=edge)
        else:
            yield replace(leg, until=edge)
            leg = replace(leg, since=edge)
    yield leg


def _first(leg: Leg, cursor: Cursor | None, way: Way, there: Sequence[int]) -> int:
    """Older: the month behind the first that is read. Newer: that month."""
    times = [leg.until if way == "older" else leg.since, None if cursor is None else cursor.began_at]
    known = [number for time in times if (number := months.number_of(time)) is not None]
    if way == "older":
        return min([there[-1], *known]) + 1
    return max([there[0], *known])
