# SPDX-License-Identifier: Apache-2.0
"""A release and a hold by form in a real browser, without script: each person on their page, axe on each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from release_house import LEGAL, MANAGER, ReleaseHouse
from servesite import require_accessible

from release_rig import KIM, PARK, Desk
from sealing_rig import CALL_ID, UNIT


@pytest.fixture
def house(desk: Desk) -> Iterator[ReleaseHouse]:
    house = ReleaseHouse(desk)
    with house.served:
        yield house
    house.engine.dispose()


class People:
    """Each person in a separate browser. Pages are checked by axe with script, and used without."""

    def __init__(self, house: ReleaseHouse, browser: Browser, scheme: str = "light") -> None:
        self.house, self.browser, self.scheme = house, browser, scheme
        self.kept: dict[tuple[str, bool], BrowserContext] = {}

    def at(self, role: str, path: str, script: bool = False) -> Page:
        key = (role, script)
        if key not in self.kept:
            self.kept[key] = self.house.served.context(self.browser, role, scheme=self.scheme, script=script)
        page = self.kept[key].new_page()
        page.goto(f"{self.house.served.url}{path}")
        return page

    def look(self, *roles: str, path: str) -> None:
        for role in roles:
            page = self.at(role, path, script=True)
            require_accessible(page)
            page.close()


def send(page: Page, button: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=button, exact=True).click()


def upload(page: Page, path: Path, button: str) -> None:
    page.locator("#file").set_input_files(path)
    send(page, button)


def current(page: Page) -> str:
    return page.locator(".steps [aria-current=step]").inner_text().partition("\n")[0]


def test_a_release_by_form(house: ReleaseHouse, browser: Browser, tmp_path: Path) -> None:
    people, desk = People(house, browser), house.desk
    page = people.at("officer", f"/calls/{UNIT}/{CALL_ID}")
    with page.expect_navigation():
        page.get_by_role("link", name="열람·제공 신청").click()
    people.look("officer", path=f"/release/ask/{UNIT}/{CALL_ID}")
    page.get_by_label("통화 내용 분쟁").focus()
    page.keyboard.press("Space")
    for text in ("2026-117", "정호", desk.requester.recipient):
        page.keyboard.press("Tab")
        page.keyboard.insert_text(text)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    request_id = page.url.rpartition("/")[2]
    path = f"/release/{request_id}"
    assert current(page) == "일회용 키"
    people.look("officer", "custodian", path=path)

    page = people.at("custodian", path)
    page.locator("#one_time").fill("age1nothing")
    send(page, "신청 파일 만들기")
    expect(page.get_by_role("alert")).to_contain_text("입력한 내용이 올바르지 않습니다.")
    page.locator("#one_time").fill(house.new_key(request_id))
    send(page, "신청 파일 만들기")
    assert current(page) == "승인"

    for role, who in ((LEGAL, PARK), (MANAGER, KIM)):
        people.look(role, path=path)
        page = people.at(role, "/release")
        with page.expect_navigation():
            page.get_by_role("link", name=request_id, exact=True).click()
        sig = tmp_path / "request.sig"
        sig.write_bytes(b"no signature")
        upload(page, sig, "승인 서명 제출")
        expect(page.get_by_role("alert")).to_contain_text("approval_malformed")
        with page.expect_download() as fetched:
            page.get_by_role("link", name=f"{request_id}.json").click()
        desk.stock_sign(Path(fetched.value.path()), who, sig)
        upload(page, sig, "승인 서명 제출")
        expect(page.locator(".steps")).to_contain_text(who)
    assert current(page) == "1차 개봉 파일"

    people.look("vault", "auditor", path=path)
    page = people.at("vault", path)
    half = tmp_path / "INNER.age"
    half.write_bytes(house.half(request_id))
    upload(page, half, "1차 개봉 파일 제출")
    assert current(page) == "열람 담당자 개봉"

    people.look("custodian", path=path)
    page = people.at("custodian", path)
    send(page, "티켓 만들기")
    ticket = page.locator("#ticket").inner_text()
    assert house.fetch(ticket).status_code == 200
    shown = people.at("custodian", path, script=True)
    send(shown, "티켓 만들기")
    require_accessible(shown)
    page = people.at("custodian", path)
    page.locator("summary").filter(has_text="종결하기").focus()
    page.keyboard.press("Enter")
    people.look("custodian", path="/release")
    send(page, "종결하기")
    expect(page.locator(".note.success")).to_contain_text("제공함")
    people.look("auditor", path=path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_hold_by_form(house: ReleaseHouse, browser: Browser, tmp_path: Path, scheme: str) -> None:
    people = People(house, browser, scheme)
    page = people.at("officer", f"/hold/ask/{UNIT}/{CALL_ID}")
    people.look("officer", path=f"/hold/ask/{UNIT}/{CALL_ID}")
    page.locator("#case").fill("2026-117")
    page.locator("#basis").fill("형사소송법 제215조")
    page.locator("#until").fill("2029-06-30")
    send(page, "신청")
    path = page.url.removeprefix(house.served.url)
    people.look("vault", path=path)
    page = people.at("vault", path)
    command = tmp_path / "hold.command"
    command.write_bytes(b"{}")
    upload(page, command, "명령 제출")
    expect(page.get_by_role("alert")).to_contain_text("command_malformed")
    assert current(page) == "키 관리자가 서명한 명령"
    page.locator("summary").filter(has_text="종결하기").click()
    page.locator("#remark").fill("중복 신청")
    send(page, "종결하기")
    expect(page.locator(".note.warning").first).to_contain_text("중복 신청")
    people.look("officer", path="/release")
