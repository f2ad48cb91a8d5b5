# SPDX-License-Identifier: Apache-2.0
"""A night at the wall: 150 units at a real broker, a switch without supply, and the ingest's own record of it.

The officer on duty finds the closet and the cause, acknowledges it and hands over; a person of the building goes there
with a telephone.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from fleet_rig import END_S, Speaking
from playwright.sync_api import Browser, BrowserContext
from role_hand import PHONE, WALL, Recording
from servesite import HOST, ServeSite
from wall_rig import NAMES, WRONG, all_is_well, goes_wrong, places, speaking_floor
from watch_rig import OFFLINE, ONLINE

from broker import until
from ingest_rig import trusted
from linetap_core.clock import NS_PER_S, SYSTEM, rfc3339
from linetap_desk.ingest import database
from linetap_desk.ingest.register import UnitMessage
from linetap_desk.ingest.store import Store
from linetap_desk.serve.live.journal import Reader
from linetap_desk.serve.people import accounts

SILENT = ("main-09", "main-10", "main-11", "main-12")  # all at the switch SW-main-3
PASSWORD = "correct horse battery"
TABLES = """db = "sqlite:///desk.db"
[broker]
host = "{host}"
port = {port}
[watch]
places = "places.toml"
"""


class Night:
    """`with night(folder) as house`."""

    def __init__(self, served: ServeSite, floor: Speaking) -> None:
        self.served, self.floor = served, floor

    def watch(self, browser: Browser, name: str) -> BrowserContext:
        return self.served.context(browser, "watch", name=name)

    def mended(self) -> None:
        """Restores the supply of the switch."""
        for unit in SILENT:
            self.floor.say(unit, "status", {**ONLINE, "since": rfc3339(SYSTEM.utc_ns())})


@contextlib.contextmanager
def night(folder: Path) -> Iterator[Night]:
    with speaking_floor(folder / "broker") as (broker, floor):
        all_is_well(floor)
        site = folder / "site"
        site.mkdir()
        (site / "places.toml").write_text(places())
        _heard(site)
        served = ServeSite(site, tables=TABLES.format(host=HOST, port=broker.port))
        with served:
            for name, shown in (("yoon", "윤재호"), ("seo", "서동현")):
                accounts.add_account(
                    served.site.access, "terminal:root", name, f"{shown} 님", ["watch"], PASSWORD, None
                )
            until(lambda: standings(served) == {}, END_S)
            goes_wrong(floor)
            for unit in SILENT:
                floor.say(unit, "status", OFFLINE)
            until(lambda: standings(served) == WRONG | dict.fromkeys(SILENT, "offline"), END_S)
            yield Night(served, floor)


def standings(served: ServeSite) -> dict[str, str] | None:
    """The standings of units with faults; None before all are known."""
    _, desk, units = served.site.fleet.state(Reader(False, "ko"))
    wrong = {one["unit"]: one["standing"] for one in units if one["standing"] != "fine"}
    return wrong if desk.link == "live" and len(units) == len(NAMES) else None


def _heard(folder: Path) -> None:
    """Stores an outage of a month ago, and the last reception of each unit, like the ingest."""
    engine, now_ns = database.open_writer(f"sqlite:///{folder / 'desk.db'}"), SYSTEM.utc_ns()
    store = Store(engine)

    def told(unit: str, kind: Literal["status", "health"], said: object, ago_s: int) -> None:
        store.write([UnitMessage(unit, kind, json.dumps(said).encode(), now_ns - ago_s * NS_PER_S)], trusted())

    for unit in SILENT:
        for state, ago_s in ((OFFLINE, 2_600_000), (ONLINE, 2_594_000)):
            told(unit, "status", state, ago_s)
        told(unit, "health", {"at": rfc3339(now_ns - 690 * NS_PER_S), "outbox_seq": 0}, 690)
        told(unit, "status", OFFLINE, 660)
    engine.dispose()


def watch_officer(house: Night, browser: Browser, record: Recording) -> None:
    hand = record.hand("watch officer", house.watch(browser, "yoon"), WALL)
    hand.open(f"{house.served.url}/fleet")
    silent = '[data-unit="main-09"]'
    hand.sees(silent, "SW-main-3")
    hand.begin("sees which closets are silent, since when, the likely cause and whom to call", f"{silent} .why")
    hand.begin("has called the number, and enters their name for all of the switch's units")
    hand.act(f'{silent} >> role=button[name="전체 확인"]')
    for unit in SILENT:
        hand.sees(f'[data-unit="{unit}"] [data-field="seen"]', "윤재호")
    hand.begin("opens the shift log")
    hand.press('role=link[name="근무 일지"]')
    hand.begin("leaves a note for the next shift")
    hand.type("#text", "본관 9~12층 스위치 SW-main-3 무전원, 시설팀 출동함")
    hand.press('role=button[name="인계 사항 등록"]')
    hand.begin("sees the note as the next shift will see it", "tbody tr:first-child")


def facilities(house: Night, browser: Browser, record: Recording) -> None:
    hand = record.hand("technician", house.served.context(browser), PHONE)
    hand.open(f"{house.served.url}/fleet")
    hand.begin("logs in on the page of the link")
    hand.type("#name", "seo")
    hand.type("#password", PASSWORD, secret=True)
    hand.press('role=button[name="로그인"]')
    silent = '[data-unit="main-09"]'
    hand.sees(silent, "SW-main-3")
    hand.begin("sees which closet, which switch and port, and what to do", f"{silent} .why")
    hand.press(f'{silent} >> [data-field="name"]')
    hand.begin("reads on the unit's page its last report and its earlier outages", ".why", "table")
    hand.end()
    house.mended()
    hand.sees('[data-field="standing"]', "정상")
    hand.begin("has restored the supply, and sees the unit come back by itself", '[data-field="standing"]')
