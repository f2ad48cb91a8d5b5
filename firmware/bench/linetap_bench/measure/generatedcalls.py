# SPDX-License-Identifier: Apache-2.0
"""Three years of calls in an ingest's tables, made by SQLite itself (ten million take a minute) and copied to
PostgreSQL; and signed events of many units, written at a given rate by the ingest's own store.

Nine in ten of the calls older than a year are destroyed and cleared; three in a thousand are marked, one in ten
thousand is held.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event as Signal
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from linetap_core.clock import NS_PER_DAY, NS_PER_S, S_PER_DAY, SYSTEM, compact, parse_rfc3339, rfc3339
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, signers, sshsig
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.records import CallEvent, EventKind
from linetap_core.vaultformat.outboxfiles import GENESIS
from linetap_desk.ingest import database
from linetap_desk.ingest.judge import Report
from linetap_desk.ingest.store import Store
from linetap_desk.ingest.tables import calls

UNITS, LINES = 150, 8
LAST_NS = parse_rfc3339("2026-11-24T09:00:00Z")
FIRST_NS = LAST_NS - 3 * 365 * NS_PER_DAY
KEPT_S = 365 * S_PER_DAY
_CHUNK = 1_000_000

# `h` is a hash with Knuth's multiplier, so that consecutive calls are of different units.
_MAKE = """
WITH RECURSIVE n(i) AS (SELECT :low UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :high),
spread AS (SELECT i, (i * 2654435761) % 4294967296 AS h, :first + i * :step AS t FROM n),
call AS (
  SELECT h, t, t < :cleared AND h % 10 < 9 AS gone, (h / 7) % 1000 AS kind, (h / 13) % 1000 AS way,
    printf('floor-%03d', (h / 3) % :units + 1) AS unit, (h / 500) % :lines + 1 AS line,
    strftime('%Y-%m-%dT%H:%M:', t / 1000, 'unixepoch') || printf('%02d.%03dZ', (t / 1000) % 60, t % 1000) AS began
  FROM spread
),
outcome AS (
  SELECT *, CASE WHEN kind < 700 THEN 'recorded' WHEN kind < 850 THEN 'missed' WHEN kind < 900 THEN 'unanswered'
    WHEN kind < 970 THEN 'skipped' WHEN kind < 985 THEN 'fax' WHEN kind < 995 THEN 'discarded' ELSE 'exempt' END AS what
  FROM call
)
INSERT INTO calls (unit, call_id, line, direction, disposition, began_at, answered_at, ended_at, sealed_at, copied_at,
  held_at, destroyed_at, duration_s, notice, mark, gaps_ms, why, record_sha256, late, rebuilt)
SELECT unit, replace(replace(began, '-', ''), ':', '') || printf('-L%02d', line), line,
  CASE WHEN gone THEN NULL WHEN what = 'missed' THEN 'in' WHEN way < 500 THEN 'in' WHEN way < 999 THEN 'out'
    ELSE 'unknown' END,
  what, began, iif(gone, NULL, began), iif(gone, NULL, began), iif(gone OR what <> 'recorded', NULL, began),
  iif(gone OR what <> 'recorded', NULL, began), iif(NOT gone AND h % 10000 = 17, began, NULL), iif(gone, began, NULL),
  iif(gone, NULL, h % 600 / 1.0), iif(gone OR what <> 'recorded', NULL, 'ko-1'),
  iif(NOT gone AND what = 'recorded' AND way < 4, 'abuse', NULL), iif(gone OR what <> 'recorded', NULL, 0.0),
  iif(gone OR what <> 'skipped', NULL, 'internal'),
  iif(what = 'recorded', printf('%064x', h), NULL), 0, 0
FROM outcome
"""


def unit_name(number: int) -> str:
    return f"floor-{number + 1:03d}"


def make(path: Path, count: int) -> None:
    """Makes the new database `path` with `count` calls and the indexes of an ingest."""
    database.open_writer(f"sqlite:///{path}").dispose()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA synchronous=OFF")
        for index in calls.indexes:
            # created again below, which is faster than updating them
            db.execute(f'DROP INDEX IF EXISTS "{index.name}"')
        step_ms = (LAST_NS - FIRST_NS) / 1e6 / count
        for low in range(0, count, _CHUNK):
            db.execute(_MAKE, {
                "low": low, "high": min(low + _CHUNK, count), "first": FIRST_NS // 1_000_000, "step": int(step_ms),
                "cleared": LAST_NS // 1_000_000 - KEPT_S * 1000, "units": UNITS, "lines": LINES,
            })  # fmt: skip
            db.commit()
    db.close()
    database.open_writer(f"sqlite:///{path}").dispose()


def copy(path: Path, url: str) -> None:
    """Copies the calls of `path` to PostgreSQL."""
    engine = database.open_writer(url)
    names = ", ".join(column.name for column in calls.columns)
    flags = [number for number, column in enumerate(calls.columns) if column.name in ("late", "rebuilt")]
    with contextlib.closing(sqlite3.connect(path)) as made, engine.begin() as db:
        for index in calls.indexes:
            db.execute(text(f"DROP INDEX {index.name}"))
        driver = db.connection.driver_connection
        assert driver is not None
        with driver.cursor() as cursor, cursor.copy(f"COPY calls ({names}) FROM STDIN") as into:
            for row in made.execute(f"SELECT {names} FROM calls"):
                into.write_row([bool(value) if at in flags else value for at, value in enumerate(row)])
    database.open_writer(url).dispose()
    with engine.begin() as db:
        db.execute(text("ANALYZE"))
    engine.dispose()


TURN_S = 0.2
_STEPS: tuple[EventKind, ...] = ("started", "notice", "answered", "ended", "sealed")


@dataclass
class _Unit:
    """A unit with a new key, whose events are numbered from 1 whatever the database has of the unit."""

    name: str
    key: Ed25519PrivateKey = field(default_factory=keys.new_unit_key)
    seq: int = 0
    prev: str = GENESIS
    call_id: str = ""

    def report(self) -> Report:
        now_ns = SYSTEM.utc_ns()
        step = _STEPS[self.seq % len(_STEPS)]
        self.seq += 1
        line = self.seq // len(_STEPS) % LINES + 1
        if step == "started":
            self.call_id = f"{compact(now_ns)}-L{line:02d}"
        event = CallEvent(
            seq=self.seq, event=step, at=rfc3339(now_ns), unit=self.name, call_id=self.call_id, line=line,
            prev=self.prev, origin=keys.fingerprint(self.key.public_key()), direction="in",
        )  # fmt: skip
        if step in ("ended", "sealed"):
            event = msgspec.structs.replace(event, disposition="recorded", duration_s=60.0)
        payload = msgspec.json.encode(event)
        self.prev = hashlib.sha256(payload).hexdigest()
        return Report(self.name, payload, unarmored(sshsig.sign(payload, self.key, namespaces.EVENT)), now_ns)


def write_events(url: str, events_s: int, stop: Signal) -> None:
    """Writes events until `stop`. The next turn makes up for a slow one, as with a broker's queue."""
    units = [_Unit(unit_name(number)) for number in range(UNITS)]
    trusted = signers.parse("".join(f"{one.name} {keys.public_line(one.key.public_key())}\n" for one in units))
    engine = database.open_writer(url)
    store, began, written = Store(engine), SYSTEM.monotonic_ns(), 0
    while not stop.wait(TURN_S):
        wanted = (SYSTEM.monotonic_ns() - began) * events_s // NS_PER_S
        store.write([units[n % len(units)].report() for n in range(written, wanted)], trusted)
        written = wanted
    engine.dispose()
