# SPDX-License-Identifier: Apache-2.0
"""An empty result with its reason: no call, unit not received, policy, destroyed. From the ingest's own data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls_house import NOON_NS, NOW_NS, OTHER, UNIT, CallsHouse
from calls_rig import EVIL
from sqlalchemy import delete, update

from ingest_rig import trusted
from linetap_core.clock import NS_PER_S, rfc3339
from linetap_desk.calls import emptyresult
from linetap_desk.calls.emptyresult import ExcludedCalls, KnownFacts
from linetap_desk.ingest import tables
from linetap_desk.ingest.judge import Report
from linetap_desk.ingest.register import UnitMessage
from linetap_desk.ingest.store import Store


@pytest.fixture
def house(tmp_path: Path) -> Iterator[CallsHouse]:
    house = CallsHouse(tmp_path)
    house.fill()
    yield house
    house.engine.dispose()


def known(
    house: CallsHouse, unit: str, line: int | None, since_s: float, until_s: float, now_ns: int = NOW_NS
) -> KnownFacts:
    """Seconds from noon in Seoul."""
    since, until = (rfc3339(NOON_NS + round(seconds * NS_PER_S)) for seconds in (since_s, until_s))
    with house.engine.connect() as db:
        return emptyresult.known_reasons(db, unit, line, since, until, now_ns)


def kinds(found: KnownFacts) -> list[str]:
    return [one.kind for one in found.away]


def test_no_call(house: CallsHouse) -> None:
    found = known(house, UNIT, 7, 0, 3600)
    assert found.none
    assert (found.calls, found.destroyed, found.passed, found.away) == (0, 0, [], [])


def test_a_call_is_not_no_call(house: CallsHouse) -> None:
    found = known(house, UNIT, 1, 0, 3600)
    assert (found.none, found.calls) == (False, 2)
    assert known(house, UNIT, 1, 0.001, 600).none, "both ends of a span count as they are written"


def test_the_unit_was_not_heard(house: CallsHouse) -> None:
    found = known(house, OTHER, 5, 2000, 5000)
    assert (found.none, kinds(found)) == (False, ["offline"])
    assert (found.away[0].began_at, found.away[0].ended_at) == ("2026-11-24T03:50:00.000Z", "2026-11-24T04:06:40.000Z")
    assert kinds(known(house, OTHER, 5, 3900, 5000)) == ["offline"]
    assert known(house, OTHER, 5, 4000, 5000).none
    assert known(house, OTHER, 5, 2000, 3000).none


def test_before_anything_was_kept(house: CallsHouse) -> None:
    found = known(house, UNIT, 5, -10_000, -9000)
    assert (found.none, kinds(found)) == (False, ["before"])


def test_passed_by_policy(house: CallsHouse) -> None:
    found = known(house, UNIT, 2, 1000, 1500)
    assert found.passed == [ExcludedCalls("discarded", "notice_failed", 1), ExcludedCalls("skipped", "internal", 1)]
    assert not found.none
    assert known(house, UNIT, 3, 0, 3600).passed == [ExcludedCalls("discarded", EVIL, 1)]


def test_destroyed(house: CallsHouse) -> None:
    found = known(house, OTHER, 2, 0, 1000)
    assert (found.none, found.calls, found.destroyed, found.passed) == (False, 1, 1, [])


def test_of_what_is_still_to_come_nobody_knows(house: CallsHouse) -> None:
    day = (NOW_NS - NOON_NS) / NS_PER_S
    assert known(house, UNIT, 5, 0, day).none
    assert known(house, UNIT, 5, 0, day + 3600).ahead
    later = known(house, UNIT, 5, 0, day + 3600, NOW_NS + 7200 * NS_PER_S)
    assert later.ahead, "the desk has not heard it since"
    assert not later.none


def test_a_unit_that_nobody_knows(house: CallsHouse) -> None:
    found = known(house, "attic", None, 0, 3600)
    assert (found.none, found.heard_at) == (False, None)


@pytest.mark.parametrize("days", [-3, 400])
def test_a_unit_whose_clock_is_wrong(house: CallsHouse, days: int) -> None:
    """It began with the time of before the weekend, or of next year; its call of noon has that time."""
    teller, wrong_s = house.tellers[UNIT], days * 86_400
    house.passed("wrong", UNIT, 7, 1500 + wrong_s, "missed")
    Store(house.engine).write(teller.reports(teller.outbox.last_seq, late_s=-wrong_s), trusted(*house.tellers.values()))
    house._hear(NOW_NS - NS_PER_S, UNIT)
    found = known(house, UNIT, 7, 0, 3600)
    assert (found.none, found.calls, found.misdated) == (False, 0, 1)
    assert known(house, UNIT, 6, 0, 3600).none
    assert known(house, UNIT, 7, 1600, 3600).none, "it did not arrive then"


def test_a_call_that_an_outage_made_late_is_not_misdated(house: CallsHouse) -> None:
    teller = house.tellers[OTHER]
    house.passed("backlog", OTHER, 7, 3500, "missed")  # while OTHER was offline, until 4000
    Store(house.engine).write(teller.reports(teller.outbox.last_seq, late_s=700), trusted(*house.tellers.values()))
    house._hear(NOW_NS - NS_PER_S, OTHER)
    found = known(house, OTHER, 7, 4100, 5000)
    assert (found.none, found.misdated) == (True, 0)


@pytest.mark.parametrize("how", ["hole", "health"])
def test_events_that_are_missing(house: CallsHouse, how: str) -> None:
    """One event lost with a later one received; or the newest, known only from the unit's health."""
    teller = house.tellers[UNIT]
    last = teller.outbox.last_seq
    house.tell("started", UNIT, "20261124T050000.000Z-L05", 5, 7300)
    if how == "hole":
        house.tell("started", UNIT, "20261124T050100.000Z-L05", 5, 7360)
        arrived: list[Report | UnitMessage] = [teller.reports(last + 2, 1)[0]]
    else:
        said = {"at": rfc3339(NOW_NS), "outbox_seq": last + 1}
        arrived = [UnitMessage(UNIT, "health", json.dumps(said).encode(), NOW_NS)]
    assert known(house, UNIT, 7, 0, 3600).whole
    Store(house.engine).write(arrived, trusted(*house.tellers.values()))
    found = known(house, UNIT, 7, 0, 3600)
    assert (found.whole, found.none) == (False, False)
    Store(house.engine).write(teller.reports(last + 1), trusted(*house.tellers.values()))
    assert known(house, UNIT, 7, 0, 3600).none


def test_the_desk_was_away(house: CallsHouse) -> None:
    with house.engine.begin() as db:
        db.execute(delete(tables.outages))
        db.execute(update(tables.units).values(heard_at=rfc3339(NOON_NS)))
    house.outages(NOON_NS + 5000 * NS_PER_S).connected()
    assert kinds(known(house, UNIT, 7, 1000, 2000)) == ["desk"]
    assert known(house, UNIT, 7, 5000, 5000, NOON_NS).away == []


def test_there_is_a_bound(house: CallsHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emptyresult, "MOST_CALLS", 3)
    assert known(house, UNIT, None, 0, 9000).more
    assert not known(house, UNIT, 2, 0, 9000).more
