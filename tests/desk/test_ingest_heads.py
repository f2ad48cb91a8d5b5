# SPDX-License-Identifier: Apache-2.0
"""A log's head at the desk: it grows, or two signed heads are kept as a proof that it did not."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from ingest_rig import START_NS, UNIT, Teller, rows, trusted
from linetap_core.clock import NS_PER_S, ManualClock, rfc3339
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.unitlog import Head
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_desk.ingest import database, heads, tables
from linetap_desk.ingest.heads import HeadReport
from linetap_desk.ingest.missingevents import Holes
from linetap_desk.ingest.store import Store


def head(teller: Teller, size: int, at_s: int, of: str = "", **other: Any) -> HeadReport:
    root = hashlib.sha256(f"{of}{size}".encode()).hexdigest()
    at = rfc3339(START_NS + at_s * NS_PER_S)
    fields: dict[str, Any] = {"unit": UNIT, "size": size, "root": root, "at": at}
    data = unitlog.encode_head(Head(**{**fields, "origin": teller.origin} | other))
    sig = unarmored(sshsig.sign(data, teller.key, namespaces.HEAD))
    return HeadReport(UNIT, data, sig, START_NS + (at_s + 1) * NS_PER_S)


def hears(engine: Engine, teller: Teller, *said: HeadReport) -> None:
    for one in said:
        Store(engine).write([one], trusted(teller))


def known(engine: Engine) -> int:
    (size,) = [row["size"] for row in rows(engine, tables.heads) if not row["code"]]
    return int(size)


def alarms(engine: Engine) -> list[tuple[str, int, int]]:
    return [(row["code"], row["first"], row["last"]) for row in rows(engine, tables.alerts)]


def test_a_log_that_grows(engine: Engine, teller: Teller) -> None:
    """Repeated, signed again over the same leaves, and late: none of it is new."""
    first = head(teller, 5, 0)
    hears(engine, teller, first, first, head(teller, 9, 20), head(teller, 9, 30), head(teller, 7, 10), first)
    (row,) = rows(engine, tables.heads)
    assert (row["size"], row["unit"], row["at"]) == (9, UNIT, rfc3339(START_NS + 30 * NS_PER_S))
    assert not alarms(engine)
    assert not rows(engine, tables.set_aside)
    unitlog.check_head(row["head"], row["sig"].encode(), trusted(teller))


def test_a_shorter_one_that_was_signed_later(engine: Engine, teller: Teller) -> None:
    later = [head(teller, 4 + n, 20 + n) for n in range(3)]
    hears(engine, teller, head(teller, 9, 10), *later, *later)
    assert alarms(engine) == [("log_rollback", 4, 9)]
    assert known(engine) == 9
    assert [row["size"] for row in rows(engine, tables.heads) if row["code"] == "log_rollback"] == [4, 5, 6]


DAY_S = 86_400
CLOCKS = {"2099": 73 * 365 * DAY_S, "1970": DAY_S - START_NS // NS_PER_S}


def received(report: HeadReport, at_s: int) -> HeadReport:
    return dataclasses.replace(report, received_ns=START_NS + at_s * NS_PER_S)


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_shorter_one_after_a_head_of_a_wrong_clock(engine: Engine, teller: Teller, clock: str) -> None:
    """Whatever that head's date: the desk received it before the shorter one was signed."""
    hears(engine, teller, received(head(teller, 9, CLOCKS[clock]), 10), head(teller, 4, 2 * DAY_S))
    assert alarms(engine) == [("log_rollback", 4, 9)]
    assert known(engine) == 9


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_broker_that_repeats_a_head_of_before_a_wrong_clock(engine: Engine, teller: Teller, clock: str) -> None:
    early = head(teller, 7, 0)
    hears(engine, teller, early, received(head(teller, 9, CLOCKS[clock]), 10), received(early, 3 * DAY_S))
    assert not alarms(engine)
    assert known(engine) == 9


def test_heads_of_a_clock_that_stays_ahead_are_compared_by_it(engine: Engine, teller: Teller) -> None:
    ahead = CLOCKS["2099"]
    said = [received(head(teller, size, ahead + at), at) for size, at in ((5, 0), (9, 20), (7, 10))]
    hears(engine, teller, *said, received(said[0], 3 * DAY_S))
    assert not alarms(engine)
    hears(engine, teller, received(head(teller, 6, ahead + 30), 30))
    assert alarms(engine) == [("log_rollback", 6, 9)]


@pytest.mark.parametrize("at_s", [5, 20])
def test_another_over_the_same_leaves(engine: Engine, teller: Teller, at_s: int) -> None:
    """Whatever its stated time: both signatures are kept."""
    hears(engine, teller, head(teller, 9, 10), head(teller, 9, at_s, of="other"))
    assert alarms(engine) == [("log_fork", 9, 9)]
    both = rows(engine, tables.heads)
    assert {row["code"] for row in both} == {"", "log_fork"}
    for row in both:
        unitlog.check_head(row["head"], row["sig"].encode(), trusted(teller))
    hears(engine, teller, head(teller, 12, 30))
    assert known(engine) == 12
    assert len(alarms(engine)) == 1


def test_what_is_kept_has_a_bound(engine: Engine, teller: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "MOST_MISFITS", 3)
    hears(engine, teller, head(teller, 90, 0), *(head(teller, n, n) for n in range(1, 20)))
    assert len(rows(engine, tables.heads)) == 4
    assert len(alarms(engine)) == 1


def test_a_new_key_is_a_new_log(engine: Engine, teller: Teller, tmp_path: Path) -> None:
    """A unit with a new vault gets a new key with it."""
    again = Teller(tmp_path / "again")
    hears(engine, teller, head(teller, 9, 0))
    hears(engine, again, head(again, 1, 20))
    assert not alarms(engine)
    assert len(rows(engine, tables.heads)) == 2


def test_nobody_else_says_what_the_log_is(engine: Engine, teller: Teller, tmp_path: Path) -> None:
    stranger, neighbour = Teller(tmp_path / "stranger"), Teller(tmp_path / "neighbour", "floor-04")
    good = head(teller, 9, 0)
    Store(engine).write([head(neighbour, 1, 20, unit="floor-04")], trusted(teller, neighbour))
    assert not rows(engine, tables.heads)
    spoilt = HeadReport(UNIT, good.payload.replace(b'"size":9', b'"size":8'), good.sig, good.received_ns)
    large = HeadReport(UNIT, b" " * 10_000, good.sig, good.received_ns)
    hears(engine, teller, good, head(stranger, 1, 20), spoilt, head(teller, 1, 20, unit="floor-99"), large)
    hears(engine, teller, HeadReport(UNIT, b"", "", START_NS))
    codes = [row["code"] for row in rows(engine, tables.set_aside)]
    assert len(codes) == 5
    assert {"payload_too_large", "payload_unit"} <= set(codes)
    assert known(engine) == 9
    assert not alarms(engine)


def test_what_closes_a_hole_does_not_close_this(engine: Engine, teller: Teller) -> None:
    teller.call(0)
    Store(engine).write(teller.reports(), trusted(teller))
    hears(engine, teller, head(teller, 3, 0), head(teller, 2, 1))
    Holes(engine, ManualClock()).find()
    (row,) = rows(engine, tables.alerts)
    assert row["ended_at"] is None


def test_a_database_of_an_older_version(tmp_path: Path) -> None:
    """It gets the missing columns, and old rows stay unchanged."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = database.open_writer(url)
    with engine.begin() as db:
        db.exec_driver_sql("ALTER TABLE calls DROP COLUMN rebuilt")
        db.exec_driver_sql("DROP TABLE heads")
        db.exec_driver_sql("INSERT INTO calls (unit, call_id, began_at, late) VALUES ('u', 'c', '2026', 0)")
    engine.dispose()
    engine = database.open_writer(url)
    (row,) = rows(engine, tables.calls)
    assert (row["call_id"], row["rebuilt"]) == ("c", None)
    assert not rows(engine, tables.heads)
    engine.dispose()
