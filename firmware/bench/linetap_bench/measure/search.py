# SPDX-License-Identifier: Apache-2.0
"""Searches for a number: in the indexes of a year of calls, with their cost at sealing; and in three years of a city's
calls at the desk, while the ingest's own code stores events of 150 units, in SQLite and in PostgreSQL.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from multiprocessing.synchronize import Event as Signal
from pathlib import Path

import msgspec
import numpy as np
from sqlalchemy import Connection, func, select

from linetap.config import load_config
from linetap.config.retention import retention_of
from linetap.config.schema import Config
from linetap.recorder.vault.signing import UnitKey
from linetap.recorder.vault.vault import Vault
from linetap.recorder.vault.writer import VaultWriter
from linetap.ring import RATE_HZ, Stretch
from linetap_bench.figures import Row, quantile
from linetap_bench.measure import generatedcalls
from linetap_bench.measure.generatedcalls import write_events
from linetap_bench.script.script import load_script
from linetap_bench.stage import servers
from linetap_bench.stage.madeunit import make_unit
from linetap_core import zones
from linetap_core.clock import NS_PER_DAY, NS_PER_MS, NS_PER_S, SYSTEM, compact, ns_of, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.calls import index
from linetap_core.evidence.calls.index import Entry
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age
from linetap_core.evidence.signing import namespaces
from linetap_core.records import Caller, CallRecord
from linetap_desk.calls import emptyresult, query
from linetap_desk.calls.criteria import SearchCriteria, Seat
from linetap_desk.calls.reading import Cursor
from linetap_desk.ingest import database
from linetap_desk.ingest.tables import events
from linetap_desk.protection import period, report
from linetap_desk.searching.departments import Departments
from linetap_desk.searching.departments import Row as SeatRow

LINES, CALLS_A_DAY, DAYS, KEPT_DAYS = 8, 60, 365, 60
FIRST = date(2026, 1, 1)
NUMBER = "01098765432"
ASKED_DAY = FIRST + timedelta(days=200)
RUNS = 5
SEALED = 480  # calls: a whole segment, as it grows in a day
CALL_S = 1


def measure_find(folder: Path, _voices: Path, notices: Path) -> list[Row]:
    vault, medium = folder / "vault", folder / "medium"
    try:
        _fill(vault, medium)
        return [*_find(vault, medium), *_seal(folder, notices)]
    finally:
        for name in ("vault", "medium", "with", "without"):
            shutil.rmtree(folder / name, ignore_errors=True)


def _find(vault: Path, medium: Path) -> list[Row]:
    day = ASKED_DAY.isoformat()
    afternoon = _took_s(vault, medium, "--from", f"{day} 13:00", "--to", f"{day} 18:00")
    everything = _took_s(vault, medium)
    method = (
        f"{LINES} lines, {CALLS_A_DAY} calls a line and day, {DAYS} epochs, each with a key of its own; the whole"
        f" command as a process, wall time, median of {RUNS}"
    )
    return [
        Row(name="find: a number, an afternoon of a year", figure=afternoon, unit="s", target=1, method=method),
        Row(name="find: a number, the whole year", figure=everything, unit="s", target=1, method=method),
    ]


def _took_s(vault: Path, medium: Path, *span: str) -> float:
    command = [sys.executable, "-m", "linetap", "find", "--number", "010-9876-5432", str(vault)]
    took = []
    for _ in range(RUNS):
        before = SYSTEM.monotonic_ns()
        environment = {**os.environ, "HOME": str(vault), "LINETAP_DESK": ""}
        done = subprocess.run(
            [*command, "--identity", str(medium), *span], capture_output=True, timeout=120, check=True, env=environment
        )
        took.append((SYSTEM.monotonic_ns() - before) / NS_PER_S)
        assert done.stdout.count(b"\n") == 1, done
        assert not done.stderr, done
    return statistics.median(took)


def _fill(vault: Path, medium: Path) -> None:
    """Writes a year's index without an expired epoch, and its keys."""
    medium.mkdir()
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        epoch, identity = (day + timedelta(days=KEPT_DAYS)).isoformat(), keys.new_identity()
        entries = [_entry(day, call) for call in range(LINES * CALLS_A_DAY)]
        path = vault / index.FOLDER / epoch / index.segment_name(day.isoformat(), 1)
        path.parent.mkdir(parents=True)
        path.write_bytes(age.encrypt(index.encode(entries), [identity.recipient]))
        (medium / f"{epoch}.index.txt").write_text(keys.identity_file(identity, "2026-01-01T00:00:00.000Z"))


def year_of(unit: str) -> Iterator[tuple[date, list[Entry]]]:
    """A unit's calls by day; one of all calls is the searched one."""
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        calls = (_entry(day, call) for call in range(LINES * CALLS_A_DAY))
        yield day, [msgspec.structs.replace(entry, unit=unit) for entry in calls]


def _entry(day: date, number: int) -> Entry:
    """A call each minute from 08:00 on; one of all is the searched one."""
    at_ns = parse_rfc3339(f"{day}T08:00:00+09:00") + number * 60 * NS_PER_S
    line = number % LINES + 1
    asked = day == ASKED_DAY and number == CALLS_A_DAY * LINES * 3 // 4  # at 16:00
    return Entry(
        call_id=f"{compact(at_ns)}-L{line:02d}", unit="floor-03", line=line, at=rfc3339(at_ns), direction="in",
        number=NUMBER if asked else f"0101234{number:04d}", extension=f"23{line:02d}",
    )  # fmt: skip


def _seal(folder: Path, notices: Path) -> list[Row]:
    """Times the vault's thread from a call's end to its `sealed` event, alternately with and without an index."""
    units = [_unit(folder / name, notices) for name in ("with", "without")]
    units[1][0].vault.index.add = lambda *_: None  # type: ignore[method-assign]
    took: list[list[float]] = [[], []]
    for number in range(SEALED):
        for (vault, config), figures in zip(units, took, strict=True):
            figures.append(_close_ms(vault, config, number))
    with_index, without = map(statistics.median, took)
    method = (
        f"{SEALED} calls of {CALL_S} s in turn with an index and without, wall time of the vault's thread from the end"
        f" to the event: {with_index:.1f} and {without:.1f} ms, the difference of the medians"
    )
    name = "find: what the index adds to a call's seal"
    return [Row(name=name, figure=with_index - without, unit="ms", target=10, method=method)]


def _unit(folder: Path, notices: Path) -> tuple[VaultWriter, Config]:
    folder.mkdir()
    script = folder / "lines.toml"
    script.write_text(f"lines = {LINES}\nduration_s = 1\n")
    config = load_config(make_unit(load_script(script), folder, notices))
    config = msgspec.structs.replace(config, run_dir=str(folder / "run"))
    config.vault_path.mkdir(exist_ok=True)
    key = UnitKey(Path(config.key))
    sign, log = key.signer(namespaces.RECORD), key.open_log(config, SYSTEM)
    return VaultWriter(Vault(config, _Silence(), key.open_outbox(config), sign, SYSTEM, log)), config


def _close_ms(vault: VaultWriter, config: Config, number: int) -> float:
    at_ns = parse_rfc3339("2026-11-24T00:00:00Z") + number * 60 * NS_PER_S
    line = number % LINES + 1
    call_id, ended = f"{compact(at_ns)}-L{line:02d}", at_ns + CALL_S * NS_PER_S
    vault.open(call_id, line, 0)
    assert vault.step()
    record = CallRecord(
        call_id=call_id, unit=config.unit, line=line, direction="in", caller=Caller(number=NUMBER),
        ended_at=rfc3339(ended), retention=retention_of(config, ended, line, "recorded", marked=False),
    )  # fmt: skip
    vault.close(call_id, CALL_S * RATE_HZ, record)
    before = SYSTEM.monotonic_ns()
    assert vault.step()
    return (SYSTEM.monotonic_ns() - before) / NS_PER_MS


class _Silence:
    def stretch(self, line: int, first: int, end: int) -> Stretch:  # noqa: ARG002
        return Stretch(np.zeros(end - first, np.int16), [])


CALLS = int(os.environ.get("LINETAP_SEARCH_CALLS", "1000000"))  # 10000000 in the full bench
SEARCH_S = 60
PAUSE_S = 0.05  # more searches than an office of twenty people makes
EVENTS_S = 680
WARM_S = 5
SHARED_MIB = 1024  # PostgreSQL's own page memory


def _report(path: Path) -> Row:
    """Writes the report's search; each line is in one of forty departments."""
    of = period.parse("2025", zones.zone_of(zones.KOREA))
    units = range(generatedcalls.UNITS)
    table = Departments([
        SeatRow(0, generatedcalls.unit_name(unit), line, "", f"{unit % 40}") for unit in units for line in range(1, 9)
    ])  # fmt: skip
    engine = database.open_reader(f"sqlite:///{path}")
    before = SYSTEM.monotonic_ns()
    with engine.connect() as db:
        found = report.make(db, of, table, None, generatedcalls.LAST_NS)
    took_s = (SYSTEM.monotonic_ns() - before) / NS_PER_S
    engine.dispose()
    method = f"SQLite, {found.total['calls'] + found.found.unmeasured:,} calls of a year, by 40 departments; wall time"
    return Row(
        name="search, SQLite: the report on protection of a year", figure=took_s, unit="s", target=60, method=method
    )


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    path = folder / "desk.db"
    try:
        made_s = _timed(lambda: generatedcalls.make(path, CALLS))
        rows = [*_in_postgresql(path), _report(path)]
        return _searched(f"sqlite:///{path}", "SQLite", made_s) + rows  # last, because its events go into the same file
    finally:
        for path in folder.glob("desk.db*"):
            path.unlink()


def _in_postgresql(path: Path) -> list[Row]:
    """Rows for PostgreSQL; none, with a message, if it is not installed."""
    try:
        servers.programs()
    except BadInput as error:
        print(f"search: SQLite alone is measured: {error}", file=sys.stderr, flush=True)
        return []
    with servers.Postgres(SHARED_MIB) as server:
        copied_s = _timed(lambda: generatedcalls.copy(path, server.url))
        return _searched(server.url, "PostgreSQL", copied_s)


def _timed(what: Callable[[], None]) -> float:
    """The duration of a call of `what`, in seconds."""
    began = SYSTEM.monotonic_ns()
    what()
    return (SYSTEM.monotonic_ns() - began) / NS_PER_S


def _searched(url: str, kind: str, made_s: float) -> list[Row]:
    context = multiprocessing.get_context("spawn")
    stop: Signal = context.Event()
    writer = context.Process(target=write_events, args=(url, EVENTS_S, stop))
    engine = database.open_reader(url)
    writer.start()
    try:
        with engine.connect() as db:
            SYSTEM.sleep(WARM_S)
            before, since = _stored(db), SYSTEM.monotonic_ns()
            took_ms = _search_times(db)
            stored_s = (_stored(db) - before) * NS_PER_S / (SYSTEM.monotonic_ns() - since)
    finally:
        stop.set()
        writer.join(30)
        engine.dispose()
    return _rows(kind, took_ms, stored_s, made_s)


def _rows(kind: str, took_ms: dict[str, list[float]], stored_s: float, made_s: float) -> list[Row]:
    every = sorted(one for its in took_ms.values() for one in its)
    slowest = sorted(((quantile(its, 0.95), name) for name, its in took_ms.items()), reverse=True)[:4]
    method = (
        f"{kind}, {CALLS:,} calls of {generatedcalls.UNITS} units in 3 years, made in {made_s:.0f} s; "
        f"{len(every)} searches of {len(took_ms)} kinds, {len(every) / SEARCH_S:.0f} a second, from the question to "
        "the rows; p95 of the"
        " slowest kinds: "
        + ", ".join(f"{name} {ms:.0f}" for ms, name in slowest)
        + f" ms; highest {every[-1]:.0f} ms; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end"
    )
    of = f"search, {kind}:"
    return [
        Row(name=f"{of} a page of calls, p50", figure=statistics.median(every), unit="ms", target=50, method=method),
        Row(name=f"{of} a page of calls, p95", figure=quantile(every, 0.95), unit="ms", target=50, method=method),
        Row(name=f"{of} events stored meanwhile", figure=stored_s, unit="/s", target=EVENTS_S * 0.98, at_most=False,
            method="signed, judged, chained and committed by the ingest's own store, five times a second"),
    ]  # fmt: skip


def _search_times(db: Connection) -> dict[str, list[float]]:
    chance, took = random.Random(9), defaultdict(list)
    kinds, end_ns = _kinds(chance), SYSTEM.monotonic_ns() + ns_of(SEARCH_S)
    while SYSTEM.monotonic_ns() < end_ns:
        for name, ask in kinds.items():
            began = SYSTEM.monotonic_ns()
            ask(db)
            took[name].append((SYSTEM.monotonic_ns() - began) / 1e6)
            SYSTEM.sleep(PAUSE_S)
    return took


def _kinds(chance: random.Random) -> dict[str, Callable[[Connection], object]]:
    """An office's usual searches, and the worst ones: no result, or one in thousands."""

    def at() -> str:
        return rfc3339(chance.randrange(generatedcalls.FIRST_NS, generatedcalls.LAST_NS))

    def span(days: float) -> SearchCriteria:
        since = chance.randrange(generatedcalls.FIRST_NS, generatedcalls.LAST_NS)
        return SearchCriteria(since=rfc3339(since), until=rfc3339(since + round(days * NS_PER_DAY)))

    def unit() -> str:
        return generatedcalls.unit_name(chance.randrange(generatedcalls.UNITS))

    def line() -> int:
        return chance.randrange(1, generatedcalls.LINES + 1)

    def seats(count: int) -> list[Seat]:
        return [Seat(unit(), line()) for _ in range(count)]

    def ask(made: Callable[[], SearchCriteria], deep: bool = False) -> Callable[[Connection], object]:
        return lambda db: query.page(db, made(), Cursor("older", at()) if deep else None)

    def known(db: Connection) -> object:
        week = span(7)
        return emptyresult.known_reasons(db, unit(), line(), str(week.since), str(week.until), generatedcalls.LAST_NS)

    return {
        "newest": ask(SearchCriteria),
        "anywhere": ask(SearchCriteria, deep=True),
        "an hour": ask(lambda: span(1 / 24)),
        "unit": ask(lambda: SearchCriteria(unit=unit()), deep=True),
        "line, a week": ask(lambda: replace(span(7), unit=unit(), line=line())),
        "line, outgoing, recorded": ask(
            lambda: SearchCriteria(unit=unit(), line=line(), direction="out", disposition="recorded"), deep=True
        ),
        "department of 12": ask(lambda: SearchCriteria(seats=seats(12)), deep=True),
        "department of 60, missed": ask(lambda: replace(span(30), seats=seats(60), disposition="missed")),
        "fax": ask(lambda: SearchCriteria(disposition="fax"), deep=True),
        "missed and outgoing: none": ask(lambda: SearchCriteria(disposition="missed", direction="out")),
        "a unit's discarded": ask(lambda: SearchCriteria(unit=unit(), disposition="discarded"), deep=True),
        "marks": ask(lambda: SearchCriteria(mark="any"), deep=True),
        "a line's marks": ask(lambda: SearchCriteria(unit=unit(), line=line(), mark="abuse")),
        "held": ask(lambda: SearchCriteria(state="held")),
        "in progress": ask(lambda: SearchCriteria(state="open")),
        "a unit's destroyed": ask(lambda: SearchCriteria(unit=unit(), state="destroyed")),
        "not copied": ask(lambda: SearchCriteria(state="sealed")),
        "line 7 of any unit": ask(lambda: SearchCriteria(line=7, direction="unknown"), deep=True),
        "why nothing": known,
    }


def _stored(db: Connection) -> int:
    count = db.execute(select(func.count()).select_from(events)).scalar_one()
    db.rollback()  # a reader with an old snapshot would prevent the checkpoint of the writer's log
    return count
