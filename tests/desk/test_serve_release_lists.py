# SPDX-License-Identifier: Apache-2.0
"""Releases and holds beyond one page: nothing is missing or repeated, and one's own tasks are found."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from release_house import LEGAL, NOW_NS, ReleaseHouse
from servesite import chromium, require_accessible
from sqlalchemy import insert, text

from linetap_core.clock import NS_PER_S, ManualClock, rfc3339
from linetap_desk.serve.database.tables import holds, requests
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.release import views
from postgres_rig import Postgres
from release_rig import Desk
from sealing_rig import CALL_ID, UNIT

DAY_NS = 86_400 * NS_PER_S
OPEN, CLOSED, HOLDS = 620, 530, 610
ID = re.compile(r'href="/(?:release|hold)/(H?2026-\d+)">')


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReleaseHouse]:
    with contextlib.ExitStack() as held:
        more = f'db = "{held.enter_context(Postgres()).url}"' if request.param == "postgresql" else ""
        desk = Desk.make(tmp_path_factory.mktemp("lists"))
        house = ReleaseHouse(desk, ManualClock(NOW_NS, NS_PER_S), more=more)
        held.callback(house.engine.dispose)
        held.enter_context(house.served)
        with writing(house.served.site.own) as db:
            db.execute(insert(requests), [asked(number) for number in range(1, OPEN + 1)])
            db.execute(insert(requests), [closed(number) for number in range(OPEN + 1, OPEN + CLOSED + 1)])
            db.execute(insert(holds), [hold(number) for number in range(1, HOLDS + 1)])
        yield house


def asked(number: int, **more: Any) -> dict[str, Any]:
    """Seven of each moment, so that a page ends within one moment."""
    at = NOW_NS - (2000 - number // 7) * NS_PER_S
    return {
        "id": f"2026-{number:04d}", "unit": UNIT, "call_id": CALL_ID, "line": 3, "record_sha256": "0" * 64,
        "purpose": "dispute", "case_number": "2026-117", "requester": "Jung", "recipient": "age1",
        "asked_by": "officer", "asked_at": rfc3339(at), "expires_at": rfc3339(at + DAY_NS), **more,
    }  # fmt: skip


def closed(number: int) -> dict[str, Any]:
    return asked(number, closed_by="officer", closed_at=rfc3339(NOW_NS), outcome="not_given", remark="wrong call")


def hold(number: int) -> dict[str, Any]:
    at = rfc3339(NOW_NS - (2000 - number // 7) * NS_PER_S)
    return {
        "id": f"H2026-{number:04d}", "unit": UNIT, "call_id": CALL_ID, "record_sha256": "0" * 64,
        "case_number": "2026-117", "basis": "Act 215", "until": rfc3339(NOW_NS + DAY_NS), "asked_by": "officer",
        "asked_at": at, "command": b"{}", "command_at": at, "command_by": "vault",
    }  # fmt: skip


def shown(page: str, section: str) -> list[str]:
    found = re.search(rf'<section aria-labelledby="{section}">(.*?)</section>', page, re.DOTALL)
    return ID.findall(found[1]) if found else []


def link(page: str, section: str, rel: str) -> str:
    found = re.search(rf'<section aria-labelledby="{section}">(.*?)</section>', page, re.DOTALL)
    assert found
    there = re.search(rf'rel="{rel}" href="([^"]+)"', found[1])
    return html.unescape(there[1]) if there else ""


def walk(client: httpx.Client, section: str, page: str, rel: str) -> list[list[str]]:
    pages = [shown(page, section)]
    while path := link(page, section, rel):
        answer = client.get(path)
        assert answer.status_code == 200
        page = answer.text
        pages.append(shown(page, section))
        assert len(pages) < 20
    return [*pages, [page]]


@pytest.mark.parametrize(
    ("section", "wanted"),
    [
        ("open", [f"2026-{number:04d}" for number in range(1, OPEN + 1)]),
        ("closed", [f"2026-{number:04d}" for number in range(OPEN + CLOSED, OPEN, -1)]),
        ("holds", [f"H2026-{number:04d}" for number in range(HOLDS, 0, -1)]),
    ],
)
def test_every_one_is_on_one_page_and_back_again(house: ReleaseHouse, section: str, wanted: list[str]) -> None:
    auditor = house.client("auditor")
    *there, (last,) = walk(auditor, section, auditor.get("/release").text, "next")
    assert [one for page in there for one in page] == wanted
    *back, (first,) = walk(auditor, section, last, "prev")
    assert [one for page in reversed(back) for one in page] == wanted
    assert link(first, section, "next")
    assert not link(last, section, "next")


def test_what_is_asked_for_meanwhile_shifts_no_page(house: ReleaseHouse) -> None:
    auditor = house.client("auditor")
    page = auditor.get("/release").text
    first = shown(page, "holds")
    newer = hold(9000) | {"id": "H2026-9000", "asked_at": rfc3339(NOW_NS)}
    with writing(house.served.site.own) as db:
        db.execute(insert(holds), [newer])
    try:
        second = shown(auditor.get(link(page, "holds", "next")).text, "holds")
        assert second[0] == f"H2026-{int(first[-1][-4:]) - 1:04d}"
    finally:
        with writing(house.served.site.own) as db:
            db.execute(holds.delete().where(holds.c.id == "H2026-9000"))


def test_what_is_mine_is_found_behind_all_others(house: ReleaseHouse) -> None:
    """The last to expire of 621 open ones waits for an approver, the oldest of 611 holds for the vault officer."""
    waiting = asked(8000, request=b"{}", one_time="age1", keyed_by="custodian")
    unsigned = hold(0) | {"id": "H2026-8000", "command": None, "command_at": None, "command_by": None}
    with writing(house.served.site.own) as db:
        db.execute(insert(requests), [waiting])
        db.execute(insert(holds), [unsigned])
    try:
        assert shown(house.client(LEGAL).get("/release").text, "mine") == ["2026-8000"]
        vault = house.client("vault").get("/release").text
        assert shown(vault, "mine")[0] == "H2026-8000"
        assert len(shown(vault, "mine")) == views.SIZE
        assert "You may have more tasks." in vault
        custodian = house.client("custodian").get("/release").text
        assert shown(custodian, "mine") == shown(house.client("auditor").get("/release").text, "open")
        assert "are listed above" in custodian
    finally:
        with writing(house.served.site.own) as db:
            db.execute(requests.delete().where(requests.c.id == "2026-8000"))
            db.execute(holds.delete().where(holds.c.id == "H2026-8000"))


@pytest.mark.parametrize(
    "token",
    ["x", "open~on~now~2026-0001", "mine~on~2026-11-27T01:00:00.000Z~2026-0001", "open~on~2026-11-27T01:00:00.000Z~'"],
)
def test_a_token_that_is_none(house: ReleaseHouse, token: str) -> None:
    answer = house.client("auditor").get("/release", params={"page": token})
    assert answer.status_code == 400
    assert "That page is not in these lists." in answer.text
    assert len(shown(answer.text, "open")) == views.SIZE


def test_a_page_is_read_by_its_index(house: ReleaseHouse) -> None:
    with house.served.site.own.connect() as db:
        explain = "EXPLAIN QUERY PLAN"
        if db.dialect.name == "postgresql":  # it reads so few rows without an index, if permitted
            db.execute(text("SET LOCAL enable_seqscan = off"))
            explain = "EXPLAIN"
        for table, order in (("requests", "asked_at"), ("requests", "expires_at"), ("holds", "asked_at")):
            plan = db.execute(text(f"{explain} SELECT * FROM {table} ORDER BY {order}, id LIMIT 51")).all()
            assert re.search(rf"(INDEX|using) {table}_{order.removesuffix('_at')}\b", str(plan)), plan


def test_a_page_of_a_list_in_a_browser(house: ReleaseHouse) -> None:
    with chromium() as browser:
        page = house.served.page(browser, "/release", "auditor")
        require_accessible(page)
        page.get_by_role("navigation", name="쪽 이동: 보존 조치 목록").get_by_role("link", name="다음 쪽").click()
        page.wait_for_url("**page=holds*")
        require_accessible(page)
        assert page.locator("tbody tr").count() == views.SIZE
        page.get_by_role("link", name="모든 목록").click()
        page.wait_for_url("**/release")
