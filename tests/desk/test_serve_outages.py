# SPDX-License-Identifier: Apache-2.0
"""Outages recorded by the ingest, on the pages of units."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from calls_house import NOW_NS, OTHER, UNIT, CallsHouse
from picture_site import Noon
from servesite import ServeSite
from sqlalchemy import create_engine, insert

from broker import HOST, Broker, until
from linetap_core.clock import NS_PER_S, ManualClock, rfc3339
from linetap_desk.ingest.tables import outages
from linetap_desk.serve.fleet import outages as recorded
from linetap_desk.serve.fleet.outages import Outage
from linetap_desk.serve.live.journal import Absences

END_S = 60


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CallsHouse]:
    house = CallsHouse(tmp_path_factory.mktemp("house"))
    house.fill()
    yield house
    house.engine.dispose()


@pytest.fixture(scope="module")
def served(house: CallsHouse) -> Iterator[ServeSite]:
    (house.folder / "places.toml").write_text(f'["본관"]\n{UNIT} = 3\n{OTHER} = 4\n')
    with Broker(house.folder / "broker", saves=False) as broker:
        served = house.serve(Noon(NOW_NS))
        text = served.config.read_text()
        served.config.write_text(f'{text}[broker]\nhost = "{HOST}"\nport = {broker.port}\n')
        with served:
            until(lambda: served.site.fleet.figures()[0] == "live", END_S)
            yield served


def kept(house: CallsHouse, kind: str, began_s: int, ended_s: int | None, why: str = "", times: int = 1) -> None:
    """Stores an outage; times in seconds before now."""
    at = [None if s is None else rfc3339(NOW_NS - s * NS_PER_S) for s in (began_s, ended_s)]
    with house.engine.begin() as db:
        row = {"unit": UNIT, "kind": kind, "why": why, "began_at": at[0], "ended_at": at[1], "times": times}
        db.execute(insert(outages).values(**row))


def test_the_outages_of_a_unit_with_cause_and_length(house: CallsHouse, served: ServeSite) -> None:
    kept(house, "not_recording", 9000, 8400, "disk_full", 3)
    kept(house, "not_recording", 7000, 6990, "of_a_later_version")
    kept(house, "offline", 3600, None)
    with house.engine.connect() as db:
        found = recorded.history(db, UNIT, ManualClock(NOW_NS))
        known = recorded.absences(db)
    assert [(one.kind, one.s, one.ended is None) for one in found] == [
        ("offline", 3600, True), ("not_recording", 10, False), ("not_recording", 600, False)
    ]  # fmt: skip
    assert known.began[UNIT, "offline"] == found[0].began
    assert set(known.began) == {(UNIT, "offline")}
    page = served.client("watch").get(f"/fleet/unit/{UNIT}").text
    for words in ("1시간 0분", "10분", "진행 중", "저장 공간이 없어 녹음하지 않습니다.", "(3회)", "of_a_later_version"):
        assert words in page, words
    assert recorded.why_of(found, "en")["disk_full"].startswith("The disk is full")
    assert "기록된 중단이 없습니다" not in page


def test_the_wall_knows_since_when_a_unit_is_away(served: ServeSite) -> None:
    """The broker reports nothing of it here; the ingest's record is in the model all the same."""
    until(lambda: (UNIT, "offline") in served.site.fleet._absences.began, END_S)


def test_a_database_that_is_away_hides_no_unit(
    served: ServeSite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    empty = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    monkeypatch.setattr(served.site, "ingest_db", empty)
    answer = served.client("watch").get(f"/fleet/unit/{UNIT}")
    empty.dispose()
    assert answer.status_code == 200
    assert "이전 중단 이력을 표시하지 못합니다" in answer.text


def test_a_length_is_never_below_zero() -> None:
    later, now = rfc3339(NOW_NS + NS_PER_S), rfc3339(NOW_NS)
    assert recorded._length_s(later, now, ManualClock(NOW_NS)) == 0
    assert Outage("offline", "", later, None, 0, 1).ended is None


def test_the_end_waits_for_a_query_that_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread would otherwise return its connection to a pool that is already closed."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(_: Any) -> Absences:
        begun.set()
        may_end.wait(END_S)
        ended.set()
        return Absences()

    async def serve() -> bool:
        site: Any = SimpleNamespace(ingest_db=object(), fleet=SimpleNamespace(set_absences=lambda _: None))
        async with recorded.lifespan(site):
            await asyncio.to_thread(begun.wait, END_S)
            asyncio.get_running_loop().call_later(0.05, may_end.set)
        return ended.is_set()

    monkeypatch.setattr(recorded, "_absences", slow)
    assert asyncio.run(serve())
