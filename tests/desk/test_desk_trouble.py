# SPDX-License-Identifier: Apache-2.0
"""A flood of alerts, forged events, events in any order: the desk's stored data and its pages."""

from __future__ import annotations

import json
import random
import re
from itertools import batched
from pathlib import Path

from servesite import ServeSite
from watch_rig import ALERT

from ingest_rig import UNIT, Teller, rows, trusted
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_desk.ingest import database, register, tables
from linetap_desk.ingest.judge import Report
from linetap_desk.ingest.register import UnitMessage
from linetap_desk.ingest.store import Store
from linetap_desk.watch import units

FLOOD_UNITS, FLOOD_ALERTS = 2500, 40  # 100,000 of both; fewer of one unit than it may have
NOW_NS = parse_rfc3339("2026-11-24T23:30:00Z")
DESK = 'db = "sqlite:///desk.db"\nsigners = "allowed_signers"\n'


def test_a_hundred_thousand_alerts_at_the_ingest(tmp_path: Path) -> None:
    """Units without a signers' file, each with fewer alerts than permitted; and one unit with all of them."""
    engine = database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    store, alert = Store(engine), json.dumps(ALERT).encode()
    crowd = [
        UnitMessage(f"flood-{n:04d}", "alert", alert, NOW_NS, f"a{check}")
        for n in range(FLOOD_UNITS) for check in range(FLOOD_ALERTS)
    ]  # fmt: skip
    for some in batched(crowd, 10_000, strict=False):
        store.write(some, [])
    assert len(crowd) == 100_000
    assert len(rows(engine, tables.units)) == register.MOST_STRANGERS
    assert len(rows(engine, tables.unit_alerts)) == register.MOST_STRANGERS * FLOOD_ALERTS
    store.connected()
    store.write([UnitMessage("flood-0000", "alert", alert, NOW_NS, f"a{n}") for n in range(100_000)], [])
    assert len(rows(engine, tables.unit_alerts)) == register.MOST_ALERTS
    engine.dispose()


def test_a_hundred_thousand_alerts_before_the_fleet_page() -> None:
    """Through the model behind page and stream; with the real limits."""
    told, alert = units.Units(), json.dumps(ALERT).encode()
    for n in range(FLOOD_UNITS):
        for check in range(FLOOD_ALERTS):
            told.receive(f"linetap/v1/flood-{n:04d}/alert/a{check}", alert, NOW_NS)
    assert sum(len(unit.alerts) for unit in told.units.values()) == units.MOST_ALERTS_IN_ALL
    assert told.passed_over == FLOOD_UNITS * FLOOD_ALERTS - units.MOST_ALERTS_IN_ALL


def served_from(folder: Path, reports: list[Report], teller: Teller, at_once: int) -> ServeSite:
    folder.mkdir()
    (folder / "allowed_signers").write_text(teller.signer)
    engine = database.open_writer(f"sqlite:///{folder / 'desk.db'}")
    for at in range(0, len(reports), at_once):
        Store(engine).write(reports[at : at + at_once], trusted(teller))
    engine.dispose()
    return ServeSite(folder, ManualClock(NOW_NS), tables=DESK)


def pages(served: ServeSite, calls: list[str]) -> list[str]:
    client = served.client("officer")
    found = [client.get("/calls/found"), *(client.get(f"/calls/{UNIT}/{call}") for call in calls)]
    assert {answer.status_code for answer in found} == {200}
    return [re.sub(r'(name="(?:csrf|draft)" (?:content|value)=)"[\w+/=-]+"', r"\1", answer.text) for answer in found]


def test_late_doubled_and_reordered_events_give_the_same_pages(tmp_path: Path) -> None:
    """All arrived an hour late, so that only their order differs: an event after its successor is reported as late."""
    teller = Teller(tmp_path / "unit")
    for call in range(5):
        teller.call(call)
    reports = teller.reports(late_s=3600)
    shuffled = [*reports, *reports[::3]]
    random.Random(7).shuffle(shuffled)
    calls = [f"20261124T2256{call:02d}.000Z-L01" for call in range(5)]
    with (
        served_from(tmp_path / "straight", reports, teller, 100) as straight,
        served_from(tmp_path / "crooked", shuffled, teller, 3) as crooked,
    ):
        expected = pages(straight, calls)
        assert all(call in expected[0] for call in calls)
        assert pages(crooked, calls) == expected


def test_forged_events_are_on_no_page(tmp_path: Path) -> None:
    """Signed by an unknown key, changed after the signature, another unit's own under this topic."""
    teller, stranger = Teller(tmp_path / "unit"), Teller(tmp_path / "stranger")
    other = Teller(tmp_path / "other", unit="floor-04")
    for one in (teller, stranger, other):
        one.call(1)
    good = teller.reports()

    def forged(call: int, report: Report) -> Report:
        """The same with another call, and the old signature."""
        told = json.loads(report.payload) | {"call_id": f"20261124T2256{call:02d}.000Z-L01"}
        return Report(UNIT, json.dumps(told).encode(), report.sig, report.received_ns)

    theirs = [Report(UNIT, one.payload, one.sig, one.received_ns) for one in (*stranger.reports(), *other.reports())]
    named = json.loads(good[0].payload) | {"call_id": "20261124T225655.000Z-L01", "seq": 6}
    own_hand = stranger.report(json.dumps(named).encode())
    reports = [*theirs, *(forged(44, one) for one in good), own_hand, *good]
    with served_from(tmp_path / "desk", reports, teller, 4) as served:
        client = served.client("officer")
        text = client.get("/calls/found").text
        assert re.findall(rf'href="/calls/{UNIT}/([^"]+)"', text) == ["20261124T225601.000Z-L01"]
        assert {client.get(f"/calls/{UNIT}/20261124T2256{n}.000Z-L01").status_code for n in (44, 55)} == {404}
        page = client.get(f"/calls/{UNIT}/20261124T225601.000Z-L01").text
        assert page.count("서명") >= len(good)
    engine = database.open_writer(f"sqlite:///{tmp_path / 'desk' / 'desk.db'}")
    assert [row["payload"] for row in rows(engine, tables.events)] == [one.payload for one in good]
    assert len(rows(engine, tables.set_aside)) == len(reports) - len(good)
    engine.dispose()
