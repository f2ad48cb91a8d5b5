# SPDX-License-Identifier: Apache-2.0
"""Two officers and two custodians of a group by form in a real browser, without script; axe on each page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from group_house import GroupHouse
from playwright.sync_api import Browser, Page, expect
from servesite import require_accessible


@pytest.fixture
def house(run_dir: Path) -> Iterator[GroupHouse]:
    house = GroupHouse(run_dir)
    with house.served:
        yield house
    house.engine.dispose()


def at(house: GroupHouse, browser: Browser, path: str, role: str, name: str) -> Page:
    """The page, checked by axe with script, then used without."""
    looked = house.served.page(browser, path, role, name=name)
    for details in looked.locator("details").all():
        details.locator("summary").click()
    require_accessible(looked)
    looked.close()
    page = house.served.context(browser, role, name=name, script=False).new_page()
    page.goto(f"{house.served.url}{path}")
    return page


def upload(page: Page, path: Path, button: str, field: str = "#file") -> None:
    page.locator(field).set_input_files(path)
    with page.expect_navigation():
        page.locator(f"form:has({field})").get_by_role("button", name=button, exact=True).click()


@pytest.mark.soak  # a minute and a half; the hold below has the same forms
def test_a_release_by_a_group(house: GroupHouse, browser: Browser, tmp_path: Path) -> None:
    request_id = house.approved()
    path = f"/release/{request_id}"
    part, half = tmp_path / "PART.age", tmp_path / "INNER.age"
    page = at(house, browser, path, "vault", "vault-1")
    expect(page.locator("#officers")).to_contain_text("남은 인원: 2명. 첫 차례: 1, 2번 중 한 사람.")
    part.write_bytes(b"no partial")
    upload(page, part, "중간 개봉 파일 제출")
    expect(page.get_by_role("alert")).to_contain_text("partial_malformed")
    part.write_bytes(house.peeled(1))
    upload(page, part, "중간 개봉 파일 제출")
    expect(page.locator("#officers")).to_contain_text("남은 인원: 1명. 다음 차례: 2, 3번 중 한 사람.")
    expect(page.locator("#file")).to_have_count(0)

    page = at(house, browser, path, "vault", "vault-3")
    expect(page.locator("pre").first).to_contain_text("--partial partial/1.age")
    half.write_bytes(house.half_of(1, 3, request_id))
    upload(page, half, "1차 개봉 파일 제출")
    expect(page.locator(".steps [aria-current=step]")).to_contain_text("열람 담당자 개봉")

    page = at(house, browser, path, "custodian", "keeper-1")
    page.locator("details:has(#file) summary").click()
    part.write_bytes(b"no partial")
    upload(page, part, "다음 열람 담당자에게 넘길 파일 제출")
    expect(page.get_by_role("alert")).to_contain_text("partial_malformed")
    part.write_bytes(house.custodians_part(1, request_id))
    page.locator("details:has(#file) summary").click()
    upload(page, part, "다음 열람 담당자에게 넘길 파일 제출")
    expect(page.locator(".steps [aria-current=step]")).to_contain_text("남은 인원: 1명")
    at(house, browser, path, "custodian", "keeper-2")
    at(house, browser, path, "auditor", "auditor")


def test_a_hold_by_a_group(house: GroupHouse, browser: Browser, tmp_path: Path) -> None:
    fields = {"unit": "closet-3f", "call_id": house.desk.call.name, "case": "1", "basis": "2", "until": "2099-06-30"}
    answer = house.served.post(house.client("officer"), "/hold/ask", **fields)
    path = answer.headers["location"]
    page = at(house, browser, path, "vault", "vault-1")
    part = tmp_path / "partial-1.age"
    part.write_bytes(house.peeled(1))
    upload(page, part, "중간 개봉 파일 제출", "#part")
    expect(page.locator("#officers")).to_contain_text("다음 차례: 2, 3번 중 한 사람.")
    at(house, browser, path, "vault", "vault-2")
