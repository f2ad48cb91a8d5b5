# SPDX-License-Identifier: Apache-2.0
"""Exports the desk's figures in Prometheus' text format, from its database only: without numbers, names of persons or
call ids.

They cover units named in the signers' file; other units are only counted. Calls are those of the last 24 hours, which
an index finds: counting all calls would take longer each year. Times are absolute, so that a file may be read later.

`linetap desk metrics` prints them once, or serves them on the loopback, by plain HTTP without authentication. Remote
access is by node_exporter's textfile collector, or a proxy with TLS.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Select, func, select
from sqlalchemy.exc import SQLAlchemyError

from linetap_core import __version__
from linetap_core.clock import NS_PER_DAY, NS_PER_S, Clock, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput
from linetap_core.service import Stop
from linetap_desk.ingest import database, heads, missingevents, vaults
from linetap_desk.ingest.measures import disposition_word
from linetap_desk.ingest.tables import alerts, calls, origins, pbx_days, unit_alerts, units
from linetap_desk.web.server import LoopbackHandler, LoopbackServer, loopback_address

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_OF_A_DAY = {
    "calls": "external calls on its lines",
    "recorded": "those with a recording",
    "missing": "those without one that was due",
    "unseen": "recordings that the PBX did not report",
}
Sample = tuple[Mapping[str, str], float]

_OF_DISKS = (heads.BEGUN, *vaults.CODES)


def exposition(db: Connection, now_ns: int) -> str:
    """All figures as text; `now_ns` UTC."""
    return "".join(metric_family(*each) for each in _families(db, now_ns))


def _families(db: Connection, now_ns: int) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
    """Name, type, help and samples of each metric."""
    named = db.execute(select(units).where(units.c.named).order_by(units.c.unit)).mappings().all()
    names = {row["unit"] for row in named}
    yield "linetap_desk_info", "gauge", "The desk's software.", [({"version": __version__}, 1)]
    yield (
        "linetap_unit_info", "gauge", "What runs on a unit, as its last status has it.",
        [({"unit": row["unit"], "version": row["version"]}, 1) for row in named if row["version"]],
    )  # fmt: skip
    yield (
        "linetap_unit_online", "gauge", "1: the broker has it as online; 0: as offline, or not at all.",
        [({"unit": row["unit"]}, row["state"] == "online") for row in named],
    )  # fmt: skip
    yield (
        "linetap_unit_heard_timestamp_seconds", "gauge", "When the desk last received anything from the unit.",
        _moments(named, "heard_at"),
    )  # fmt: skip
    yield (
        "linetap_unit_health_timestamp_seconds", "gauge", "The unit's own time in its last health.",
        _moments(named, "health_at"),
    )  # fmt: skip
    yield (
        "linetap_unit_outbox_events", "gauge", "Events that the unit has and the desk has not.",
        _behind(db, names),
    )  # fmt: skip
    yield (
        "linetap_unit_holes", "gauge", "Gaps in the unit's events that are older than a minute.",
        _event_counts(db, names, alerts.c.unit, alerts.c.ended_at.is_(None), alerts.c.code == missingevents.CODE),
    )  # fmt: skip
    yield (
        "linetap_unit_log_broken", "gauge", "Alerts on signed heads of the unit's log that cannot both be true.",
        _event_counts(db, names, alerts.c.unit, alerts.c.ended_at.is_(None), alerts.c.code.in_(heads.CODES)),
    )  # fmt: skip
    yield (
        "linetap_unit_disk_alerts", "gauge", "Alerts on a vault or a log that took the place of another one.",
        _event_counts(db, names, alerts.c.unit, alerts.c.ended_at.is_(None), alerts.c.code.in_(_OF_DISKS)),
    )  # fmt: skip
    yield (
        "linetap_unit_set_aside_total", "counter", "Messages of the unit that were not valid events.",
        [({"unit": row["unit"]}, row["set_aside"]) for row in named],
    )  # fmt: skip
    standing = db.execute(select(unit_alerts).order_by(unit_alerts.c.unit, unit_alerts.c.check)).mappings().all()
    yield (
        "linetap_unit_alert", "gauge", "1: this alert of the unit is active.",
        [({name: row[name] for name in ("unit", "check", "severity")}, 1) for row in standing if row["unit"] in names],
    )  # fmt: skip
    yield (
        "linetap_calls_last_day", "gauge", "Calls that began in the last 24 h, by disposition.",
        _calls(db, names, now_ns),
    )  # fmt: skip
    yield (
        "linetap_unit_call_ended_timestamp_seconds", "gauge",
        "When the unit's last call ended that staff or its time had ended, by the unit's clock.",
        _end_counts(db, names, now_ns),
    )  # fmt: skip
    days = [row for row in _last_days(db) if row["unit"] in names]
    for column, about in _OF_A_DAY.items():
        yield (
            f"linetap_pbx_{column}", "gauge", f"Of the last day that the unit's PBX reported: {about}.",
            [({"unit": row["unit"]}, row[column]) for row in days],
        )  # fmt: skip
    yield (
        "linetap_pbx_told_timestamp_seconds", "gauge", "When the unit reported that day, or corrected it.",
        _moments(days, "told_at"),
    )  # fmt: skip
    strangers = db.execute(select(func.count()).select_from(units).where(units.c.named.is_(False))).scalar_one()
    yield "linetap_strangers", "gauge", "Units that the signers' file does not name.", [({}, strangers)]


def _last_days(db: Connection) -> Sequence[RowMapping]:
    last = select(pbx_days.c.unit, func.max(pbx_days.c.day).label("day")).group_by(pbx_days.c.unit).subquery()
    same = (pbx_days.c.unit == last.c.unit) & (pbx_days.c.day == last.c.day)
    return db.execute(select(pbx_days).join(last, same).order_by(pbx_days.c.unit)).mappings().all()


def _moments(rows: Iterable[RowMapping], column: str) -> Iterator[Sample]:
    for row in rows:
        try:
            yield {"unit": row["unit"]}, parse_rfc3339(row[column] or "") / NS_PER_S
        except (ValueError, OverflowError):
            continue  # missing or invalid time


def _behind(db: Connection, names: set[str]) -> Iterator[Sample]:
    """Unconfirmed events of each unit's present key: the numbers of another key do not apply."""
    reached = select(origins.c.unit, origins.c.through, origins.c.newest, units.c.outbox_seq)
    reached = reached.join(units, units.c.unit == origins.c.unit).order_by(origins.c.heard_at)
    unconfirmed = {
        unit: max(0, max(newest, reported or 0) - through) for unit, through, newest, reported in db.execute(reached)
    }
    yield from (({"unit": unit}, unconfirmed[unit]) for unit in sorted(names & unconfirmed.keys()))


def _event_counts(db: Connection, names: set[str], unit: Any, *where: Any) -> Iterator[Sample]:
    """Samples of every known unit, including zeros: it is hard to alert on a series that disappears."""
    rows = db.execute(select(unit, func.count()).where(*where).group_by(unit))
    counts: dict[str, int] = {row[0]: row[1] for row in rows}
    yield from (({"unit": name}, counts.get(name, 0)) for name in sorted(names))


def _by_unit(figures: Select[Any], *more: Any) -> Select[Any]:
    """Groups calls by unit. An expression: SQLite's planner would read all calls in the order of the column's index."""
    return figures.group_by(calls.c.unit + "", *more)


def _calls(db: Connection, names: set[str], now_ns: int) -> Iterator[Sample]:
    of_a_day = select(func.min(calls.c.unit), calls.c.disposition, func.count()).where(
        calls.c.began_at >= rfc3339(now_ns - NS_PER_DAY)
    )
    counts = Counter[tuple[str, str]]()
    for unit, disposition, count in db.execute(_by_unit(of_a_day, calls.c.disposition)):
        if unit in names:
            counts[unit, disposition_word(disposition)] += count
    for (unit, word), count in sorted(counts.items()):
        yield {"unit": unit, "disposition": word}, count


def _end_counts(db: Connection, names: set[str], now_ns: int) -> Iterator[Sample]:
    of_a_day = select(func.min(calls.c.unit).label("unit"), func.max(calls.c.ended_at).label("last")).where(
        calls.c.situation.is_not(None), calls.c.began_at >= rfc3339(now_ns - NS_PER_DAY)
    )
    rows = db.execute(_by_unit(of_a_day).order_by("unit")).mappings().all()
    yield from _moments([row for row in rows if row["unit"] in names], "last")


def metric_family(name: str, kind: str, about: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        within = ",".join(f'{key}="{label.translate(_ESCAPES)}"' for key, label in labels.items())
        lines.append(f"{name}{{{within}}} {float(value):.15g}" if within else f"{name} {float(value):.15g}")
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_AT_ONCE = 4


def run(db: str, listen: str | None, clock: Clock) -> int:
    """Prints or serves the figures; returns 0. BadInput for an unreadable database, or an address outside the
    loopback."""
    address = None if listen is None else loopback_address(listen, f"--listen {listen}")
    engine = database.open_reader(db)
    try:
        now = _read(engine, clock)
        if address is None:
            sys.stdout.write(now)
        else:
            _serve(address, lambda: _read(engine, clock))
    except SQLAlchemyError as error:
        raise BadInput(f"--db: {database.reason(error)}") from None
    finally:
        engine.dispose()
    return 0


def _read(engine: Engine, clock: Clock) -> str:
    with engine.connect() as db:
        return exposition(db, clock.utc_ns())


def _serve(address: tuple[str, int], read: Callable[[], str]) -> None:
    stop = Stop()
    try:
        server = Server(address, read)
    except OSError as error:
        raise BadInput(f"--listen {address[0]}:{address[1]}: {error.strerror}") from None
    with server:
        host, port = server.server_address[:2]
        sys.stderr.write(f"http://{host!s}:{port}/metrics\n")
        sys.stderr.flush()
        while not stop.requested:
            server.handle_request()


class Server(LoopbackServer):
    def __init__(self, address: tuple[str, int], read: Callable[[], str]) -> None:
        """`read`: returns the figures; its SQLAlchemyError is answered with 503."""
        self.read = read
        super().__init__(address, Handler, MOST_AT_ONCE)


class Handler(LoopbackHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path != "/metrics":
            self.send_error(404)
            return
        try:
            body = self.server.read().encode()
        except SQLAlchemyError as error:
            self.send_error(503, database.reason(error))
            return
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
