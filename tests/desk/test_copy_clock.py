# SPDX-License-Identifier: Apache-2.0
"""Copies and wrong clocks: the desk's and units' clocks alone delete nothing; counted time is required."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from copy_rig import DAY_NS, UNIT, Units
from sqlalchemy import select, update

from linetap_core.clock import ManualClock, parse_rfc3339, rfc3339
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.records import CallRecord, Retention
from linetap_desk.ingest import tables

NOW = "2026-11-24T23:00:00.000Z"
WAITS = Retention(class_="standard", epoch="overflow-1", until=None, waits_for="clock", days=60)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(parse_rfc3339(NOW), 10**9)


@pytest.fixture
def units(tmp_path: Path, clock: ManualClock) -> Iterator[Units]:
    made = Units(tmp_path, clock)
    yield made
    made.copying.end()
    made.engine.dispose()


def copy_of(units: Units, record: CallRecord) -> dict[str, object]:
    with units.engine.connect() as db:
        found = db.execute(select(tables.copies).where(tables.copies.c.call_id == record.call_id)).one()
    return found._asdict()


def call_of(units: Units, record: CallRecord) -> dict[str, object]:
    with units.engine.connect() as db:
        found = db.execute(select(tables.calls).where(tables.calls.c.call_id == record.call_id)).one()
    return found._asdict()


def later_call(units: Units, at: str) -> None:
    """Stores a later call of another unit, by its clock."""
    name = f"{at.replace('-', '').replace(':', '')}-L02"
    units.tell("started", name, parse_rfc3339(at))


def passes(units: Units, clock: ManualClock, days: float) -> None:
    clock.advance(round(days * DAY_NS))
    units.serve()


def amend(units: Units, record: CallRecord, ended_at: str, until: str, number: int = 1) -> Amendment:
    data = (units.folder_of(record.call_id) / sealed.RECORD).read_bytes()
    document = Amendment(
        suite=amendment.SUITE, unit=UNIT, call_id=record.call_id, number=number, record_sha256=amendment.digest(data),
        began_at=ended_at, ended_at=ended_at, uncertainty_s=40, until=until, made_at=NOW,
    )  # fmt: skip
    text = amendment.encode(document)
    signature = sshsig.sign(text, units.teller.key, namespaces.RECORD)
    units.tell(
        "amended", record.call_id, record_sha256=document.record_sha256, amendment=text.decode(),
        amendment_sig=unarmored(signature),
    )  # fmt: skip
    return document


def test_two_wrong_clocks_delete_no_copy(units: Units, clock: ManualClock) -> None:
    record = units.sealed_call(1)
    units.serve()
    clock.step_utc(8 * 365 * DAY_NS)
    later_call(units, "2034-11-24T00:00:00.000Z")
    passes(units, clock, 1)
    assert copy_of(units, record)["removed_at"] is None
    passes(units, clock, 60)
    assert copy_of(units, record)["removed_at"], "its period has been counted, whatever the clocks say"


def test_its_unit_proves_that_it_is_over(units: Units, clock: ManualClock) -> None:
    """On a rarely running desk: the unit has counted the period, and has destroyed its own."""
    record = units.sealed_call(1)
    units.serve()
    clock.step_utc(61 * DAY_NS)
    later_call(units, "2027-01-25T00:00:00.000Z")
    passes(units, clock, 0.01)
    assert copy_of(units, record)["removed_at"] is None
    units.tell("destroyed", record.call_id, clock.utc_ns(), why="retention")
    passes(units, clock, 0.01)
    assert copy_of(units, record)["removed_at"]


def test_a_copy_of_an_earlier_version_is_counted_from_now_on(units: Units, clock: ManualClock) -> None:
    record = units.sealed_call(1)
    units.serve()
    with units.engine.begin() as db:
        db.execute(update(tables.copies).values(period_s=None, counted_ms=None))
    clock.step_utc(100 * DAY_NS)
    later_call(units, "2027-03-01T00:00:00.000Z")
    passes(units, clock, 59)
    assert copy_of(units, record)["removed_at"] is None
    passes(units, clock, 2)
    assert copy_of(units, record)["removed_at"]


def test_an_amendment_gives_a_call_its_time_and_its_copy_its_day(units: Units, clock: ManualClock) -> None:
    record = units.sealed_call(1, retention=WAITS)
    units.serve()
    assert copy_of(units, record)["look_at"] is None
    document = amend(units, record, "2026-11-20T10:00:00.000Z", "2027-01-19T15:00:00.000Z")
    found = call_of(units, record)
    assert (found["began_at"], found["ended_at"]) == (document.began_at, document.ended_at)
    passes(units, clock, 0.01)
    copy = copy_of(units, record)
    assert copy["until"] == document.until
    assert str(copy["look_at"]) >= document.until
    place = units.store / UNIT / amendment.FOLDER / amendment.name(record.call_id, 1)
    assert place.read_bytes() == amendment.encode(document)
    assert place.with_name(place.name + namespaces.SUFFIX).exists()
    passes(units, clock, 61)
    later_call(units, "2027-01-30T00:00:00.000Z")
    passes(units, clock, 0.01)
    assert copy_of(units, record)["removed_at"]
    assert not place.exists()


def test_an_amendment_that_came_before_the_copy_counts_too(units: Units, clock: ManualClock) -> None:
    record = units.sealed_call(1, retention=WAITS)
    document = amend(units, record, "2026-11-20T10:00:00.000Z", "2027-01-19T15:00:00.000Z")
    units.serve()
    passes(units, clock, 0.01)
    assert copy_of(units, record)["until"] == document.until


@pytest.mark.parametrize("waits", [True, False])
def test_a_unit_alone_shortens_nothing_at_the_desk(units: Units, clock: ManualClock, waits: bool) -> None:
    record = units.sealed_call(1, retention=WAITS) if waits else units.sealed_call(1)
    units.serve()
    amend(units, record, "2026-09-01T00:00:00.000Z", "2026-11-01T00:00:00.000Z")
    later_call(units, "2026-12-24T00:00:00.000Z")
    units.tell("destroyed", record.call_id, clock.utc_ns(), why="retention")
    passes(units, clock, 30)
    assert copy_of(units, record)["removed_at"] is None
    passes(units, clock, 31)
    later_call(units, "2027-02-24T00:00:00.000Z")
    passes(units, clock, 0.01)
    assert copy_of(units, record)["removed_at"]


def test_an_amendment_of_a_copy_with_an_endless_period_ends_no_service(units: Units) -> None:
    """Such a period is from an earlier version; with the time of the copy it is after the last year."""
    record = units.sealed_call(1, retention=WAITS)
    units.serve()
    with units.engine.begin() as db:
        db.execute(update(tables.copies).values(period_s=(1 << 63) - 1))
    document = amend(units, record, "2026-11-20T10:00:00.000Z", "9999-12-31T00:00:00.000Z")
    assert copy_of(units, record)["look_at"] == document.until


def test_an_amendment_of_another_record_or_signature_changes_nothing(units: Units, clock: ManualClock) -> None:
    record = units.sealed_call(1, retention=WAITS)
    units.serve()
    units.tell("amended", record.call_id, record_sha256="0" * 64, amendment="{}", amendment_sig="AAAA")
    passes(units, clock, 0.01)
    assert copy_of(units, record)["until"] is None
    assert call_of(units, record)["began_at"] == rfc3339(sealed.call_ns(record.call_id) + 0)
