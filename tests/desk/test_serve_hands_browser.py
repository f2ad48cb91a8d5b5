# SPDX-License-Identifier: Apache-2.0
"""Unexpected actions at a page: a button pressed twice, the back button, the same request in two tabs, a wrong or far
too large file, Korean in decomposed form.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from program_rig import InThread
from release_house import LEGAL, MANAGER, ReleaseHouse
from sqlalchemy import func, select

from linetap_desk.ceremony import keygen
from linetap_desk.custody.program.settings import Settings
from linetap_desk.serve.calls import form
from linetap_desk.serve.database.tables import requests
from linetap_desk.serve.fleet import routes
from linetap_desk.web.secure import MOST_BODY_BYTES
from release_rig import PARK, Desk
from sealing_rig import CALL_ID, UNIT

ASK, SENDS = f"/release/ask/{UNIT}/{CALL_ID}", "신청"


@pytest.fixture
def house(desk: Desk) -> Iterator[ReleaseHouse]:
    house = ReleaseHouse(desk)
    with house.served:
        yield house
    house.engine.dispose()


def at(house: ReleaseHouse, browser: Browser, role: str, path: str) -> Page:
    return house.served.page(browser, path, role, name=role)


def asked(house: ReleaseHouse) -> int:
    with house.served.site.own.connect() as db:
        return int(db.execute(select(func.count()).select_from(requests)).scalar_one())


def fill(page: Page, house: ReleaseHouse) -> None:
    page.get_by_label("통화 내용 분쟁").check()
    for name, text in (("case", "2026-117"), ("requester", "정호"), ("recipient", house.desk.requester.recipient)):
        page.locator(f"#{name}").fill(text)


def pressed_twice(page: Page, button: str, address: str) -> int:
    """The number of times the form was sent: the second press comes while the first is being processed."""
    held: list[Route] = []
    page.route(address, lambda route: held.append(route) if route.request.method == "POST" else route.continue_())
    shown = page.get_by_role("button", name=button, exact=True)
    shown.scroll_into_view_if_needed()
    box = shown.bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(*middle)
    for _ in range(500):
        if held:
            break
        page.wait_for_timeout(20)
    page.mouse.click(*middle)
    page.wait_for_timeout(300)  # a second submission would have begun by then
    held[-1].continue_()
    page.unroute(address)
    return len(held)


def test_a_double_click_is_one_request(house: ReleaseHouse, browser: Browser) -> None:
    page = at(house, browser, "officer", ASK)
    fill(page, house)
    page.wait_for_timeout(600)  # the input is stored by then, and no first click waits for that
    assert pressed_twice(page, SENDS, "**/release/ask") == 1
    page.wait_for_url("**/release/2026-*")
    assert asked(house) == 1
    page.go_back()
    fill(page, house)
    page.get_by_role("button", name=SENDS, exact=True).click()
    page.wait_for_url("**/release/2026-*")
    assert asked(house) == 2, "from the form that one has come back to, once more"


def test_two_tabs_of_one_request(house: ReleaseHouse, browser: Browser) -> None:
    """The second gets a message that the step was done, and the present page."""
    request_id = house.keyed()
    context = house.served.context(browser, LEGAL, name=LEGAL)
    tabs = [context.new_page() for _ in range(2)]
    sig = house.folder / "request.sig"
    sig.write_bytes(house.signature(request_id, PARK))
    for tab in tabs:
        tab.goto(f"{house.served.url}/release/{request_id}")
    for tab in tabs:
        tab.locator("#file").set_input_files(sig)
        tab.get_by_role("button", name="승인 서명 제출").click()
        expect(tab.locator(".steps")).to_contain_text(PARK)
    expect(tabs[1].get_by_role("alert")).to_be_visible()
    assert "one_person_two_steps" in tabs[1].get_by_role("alert").inner_text()


@pytest.mark.parametrize("size", [MOST_BODY_BYTES // 2, MOST_BODY_BYTES + 1, 30 << 20])
def test_another_file_than_the_signature(house: ReleaseHouse, browser: Browser, tmp_path: Path, size: int) -> None:
    """The page reports it; a file that is too large does not break the connection."""
    request_id = house.keyed()
    page = at(house, browser, MANAGER, f"/release/{request_id}")
    wrong = tmp_path / "결재문서.pdf"
    wrong.write_bytes(b"%PDF-1.7\n" + bytes(size))
    page.locator("#file").set_input_files(wrong)
    page.get_by_role("button", name="승인 서명 제출").click()
    if size < MOST_BODY_BYTES:
        expect(page.get_by_role("alert")).to_contain_text("approval_malformed")
    else:
        expect(page.locator("main")).to_contain_text("한 번에 보낼 수 있는 양을 넘었습니다.")
        page.go_back()
        expect(page.locator("#file")).to_be_visible()


def test_korean_that_was_pasted_in_pieces() -> None:
    """A Mac's file names have each syllable as its letters."""
    pieces = normalize("NFD", "민원실")
    unit = {"unit": "main-01", "building": "민원실", "floor": "1", "alerts": [], "calls": 0, "standing": "fine"}
    assert pieces != "민원실"
    assert routes.fits(unit, pieces, "")
    assert routes.fits({**unit, "building": pieces}, "민원실", "fine")
    assert form.typed({"department": pieces})["department"] == "민원실"


def test_a_double_click_in_the_key_program(desk: Desk, browser: Browser) -> None:
    """The signing button is pressed twice: one signature, and no refusal of a second one."""
    chosen = Settings(output=str(desk.root / "out"), signing=str(desk.root / "authority"))
    with InThread(desk, chosen, enters=False) as run:
        page = browser.new_context(locale="ko-KR").new_page()
        page.goto(run.program.url)
        page.locator("#code").fill(run.program.admission.code)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{run.program.admission.room}/")
        key_list = desk.root / "keylist.json"
        desk.run(
            keygen,
            "epochs",
            "--from",
            "2026-12-01",
            "--days",
            3,
            "--all-on-one-medium",
            desk.root / "m",
            "-o",
            key_list,
        )
        run.program.ceremony_files.paper = key_list
        page.goto(f"{run.program.url}{run.program.admission.room}/sign")
        assert pressed_twice(page, "내용을 확인했으며 서명합니다", "**/sign") == 1
        expect(page.locator("main")).to_contain_text("1 signed")
        expect(page.get_by_role("alert")).to_have_count(0)
        page.context.close()
