# SPDX-License-Identifier: Apache-2.0
"""How long a search takes in three years of a city's calls, while the ingest's own code stores events of 150 units: in
SQLite, and the same calls in PostgreSQL, a partition a month."""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.synchronize import Event as Signal
from pathlib import Path

from sqlalchemy import Connection, func, select

from linetap_bench import postgres
from linetap_bench.measure import callsmade
from linetap_bench.measure.row import Row
from linetap_bench.measure.writing import write
from linetap_core.clock import NS_PER_DAY, NS_PER_S, SYSTEM, rfc3339
from linetap_core.errors import BadInput
from linetap_desk.calls import emptyresult, query
from linetap_desk.calls.bounds import Cursor
from linetap_desk.calls.criteria import Seat, Wanted
from linetap_desk.ingest import database
from linetap_desk.ingest.tables import events

CALLS = int(os.environ.get("LINETAP_SEARCH_CALLS", "1000000"))  # the full one is 10000000
SEARCH_S = 60
PAUSE_S = 0.05  # an office of twenty people asks no more often
EVENTS_S = 680
WARM_S = 5
SHARED_MIB = 1024  # of PostgreSQL's own memory for pages


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    path = folder / "desk.db"
    try:
        made_s = _timed(lambda: callsmade.make(path, CALLS))
        rows = _in_postgresql(path)
        return _searched(f"sqlite:///{path}", "SQLite", made_s) + rows  # last, since its events go into the same file
    finally:
        for path in folder.glob("desk.db*"):
            path.unlink()


def _in_postgresql(path: Path) -> list[Row]:
    """Nothing where none is installed, which is said."""
    try:
        postgres.programs()
    except BadInput as error:
        print(f"search: SQLite alone is measured: {error}", file=sys.stderr, flush=True)
        return []
    with postgres.Postgres(SHARED_MIB) as server:
        copied_s = _timed(lambda: callsmade.copy(path, server.url))
        rows = _searched(server.url, "PostgreSQL", copied_s)
        callsmade.make_whole(server.url)
        cut_s = _timed(lambda: database.open_writer(server.url).dispose())
    method = f"{CALLS:,} calls in one table, as an earlier version left them, into months in one transaction"
    cut_of_a_million_s = cut_s / CALLS * 1e6
    name, target = "search, PostgreSQL: an earlier index cut, a million calls", 60
    return [*rows, Row(name=name, figure=cut_of_a_million_s, unit="s", target=target, method=method)]


def _timed(what: Callable[[], None]) -> float:
    """Seconds."""
    began = SYSTEM.monotonic_ns()
    what()
    return (SYSTEM.monotonic_ns() - began) / NS_PER_S


def _searched(url: str, kind: str, made_s: float) -> list[Row]:
    context = multiprocessing.get_context("spawn")
    stop: Signal = context.Event()
    writer = context.Process(target=write, args=(url, EVENTS_S, stop))
    engine = database.open_reader(url)
    writer.start()
    try:
        with engine.connect() as db:
            SYSTEM.sleep(WARM_S)
            before, since = _stored(db), SYSTEM.monotonic_ns()
            took_ms = _look(db)
            stored_s = (_stored(db) - before) * NS_PER_S / (SYSTEM.monotonic_ns() - since)
    finally:
        stop.set()
        writer.join(30)
        engine.dispose()
    return _rows(kind, took_ms, stored_s, made_s)


def _rows(kind: str, took_ms: dict[str, list[float]], stored_s: float, made_s: float) -> list[Row]:
    every = sorted(one for its in took_ms.values() for one in its)
    slowest = sorted(((_at(its, 0.95), name) for name, its in took_ms.items()), reverse=True)[:4]
    method = (
        f"{kind}, {CALLS:,} calls of {callsmade.UNITS} units in 3 years, made in {made_s:.0f} s; {len(every)} searches"
        f" of {len(took_ms)} kinds, {len(every) / SEARCH_S:.0f} a second, from the question to the rows; p95 of the"
        " slowest kinds: "
        + ", ".join(f"{name} {ms:.0f}" for ms, name in slowest)
        + f" ms; highest {every[-1]:.0f} ms; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end"
    )
    of = f"search, {kind}:"
    return [
        Row(name=f"{of} a page of calls, p50", figure=statistics.median(every), unit="ms", target=50, method=method),
        Row(name=f"{of} a page of calls, p95", figure=_at(every, 0.95), unit="ms", target=50, method=method),
        Row(name=f"{of} events stored meanwhile", figure=stored_s, unit="/s", target=EVENTS_S * 0.98, at_most=False,
            method="signed, judged, chained and committed by the ingest's own store, five times a second"),
    ]  # fmt: skip


def _at(times: list[float], part: float) -> float:
    return sorted(times)[int(len(times) * part)]


def _look(db: Connection) -> dict[str, list[float]]:
    chance, took = random.Random(9), defaultdict(list)
    kinds, end_ns = _kinds(chance), SYSTEM.monotonic_ns() + round(SEARCH_S * NS_PER_S)
    while SYSTEM.monotonic_ns() < end_ns:
        for name, ask in kinds.items():
            began = SYSTEM.monotonic_ns()
            ask(db)
            took[name].append((SYSTEM.monotonic_ns() - began) / 1e6)
            SYSTEM.sleep(PAUSE_S)
    return took


def _kinds(chance: random.Random) -> dict[str, Callable[[Connection], object]]:
    """What an office asks, and what is worst to be asked: nothing to find, or one in thousands."""

    def at() -> str:
        return rfc3339(chance.randrange(callsmade.FIRST_NS, callsmade.LAST_NS))

    def span(days: float) -> Wanted:
        since = chance.randrange(callsmade.FIRST_NS, callsmade.LAST_NS)
        return Wanted(since=rfc3339(since), until=rfc3339(since + round(days * NS_PER_DAY)))

    def unit() -> str:
        return callsmade.unit_name(chance.randrange(callsmade.UNITS))

    def line() -> int:
        return chance.randrange(1, callsmade.LINES + 1)

    def seats(count: int) -> list[Seat]:
        return [Seat(unit(), line()) for _ in range(count)]

    def ask(made: Callable[[], Wanted], deep: bool = False) -> Callable[[Connection], object]:
        return lambda db: query.page(db, made(), Cursor("older", at()) if deep else None)

    def known(db: Connection) -> object:
        week = span(7)
        return emptyresult.known(db, unit(), line(), str(week.since), str(week.until), callsmade.LAST_NS)

    return {
        "newest": ask(Wanted),
        "anywhere": ask(Wanted, deep=True),
        "an hour": ask(lambda: span(1 / 24)),
        "unit": ask(lambda: Wanted(unit=unit()), deep=True),
        "line, a week": ask(lambda: replace(span(7), unit=unit(), line=line())),
        "line, outgoing, recorded": ask(
            lambda: Wanted(unit=unit(), line=line(), direction="out", disposition="recorded"), deep=True
        ),
        "department of 12": ask(lambda: Wanted(seats=seats(12)), deep=True),
        "department of 60, missed": ask(lambda: replace(span(30), seats=seats(60), disposition="missed")),
        "fax": ask(lambda: Wanted(disposition="fax"), deep=True),
        "missed and outgoing: none": ask(lambda: Wanted(disposition="missed", direction="out")),
        "a unit's discarded": ask(lambda: Wanted(unit=unit(), disposition="discarded"), deep=True),
        "marks": ask(lambda: Wanted(mark="any"), deep=True),
        "a line's marks": ask(lambda: Wanted(unit=unit(), line=line(), mark="abuse")),
        "held": ask(lambda: Wanted(state="held")),
        "in progress": ask(lambda: Wanted(state="open")),
        "a unit's destroyed": ask(lambda: Wanted(unit=unit(), state="destroyed")),
        "not copied": ask(lambda: Wanted(state="sealed")),
        "line 7 of any unit": ask(lambda: Wanted(line=7, direction="unknown"), deep=True),
        "why nothing": known,
    }


def _stored(db: Connection) -> int:
    count = db.execute(select(func.count()).select_from(events)).scalar_one()
    db.rollback()  # a reader that stays in its past would keep the writer's log from being taken in
    return count
