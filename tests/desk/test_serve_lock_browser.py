# SPDX-License-Identifier: Apache-2.0
"""A lock while a person types: a warning comes first, and the text is restored afterwards.

The clock is the site's own, so that the test decides when a session locks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import Error as PlaywrightError
from servesite import ServeSite, require_accessible

from broker import until
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_desk.serve.citizen import store
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.people import accounts

PASSWORD = "correct horse battery"
CASE = "2026-1107 도로과"
POLL_MS = 15_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(parse_rfc3339("2026-10-07T01:00:00Z"), NS_PER_S)


@pytest.fixture
def served(run_dir: Path, clock: ManualClock) -> Iterator[ServeSite]:
    with ServeSite(run_dir / "site", clock) as served:
        for name, shown, role in (
            ("kim", "김민지", "officer"),
            ("lee", "이준호", "officer"),
            ("han", "한지우", "auditor"),
        ):
            accounts.add_account(served.site.access, "terminal:root", name, shown, [role], PASSWORD, None)
        yield served


@pytest.fixture
def page(served: ServeSite, browser: Browser) -> Page:
    """A form of the desk, with half of it typed."""
    page = served.page(browser, "/calls", "officer", name="kim")
    page.clock.install()
    page.reload()
    page.locator("#case").fill(CASE)
    page.locator("#direction").select_option("in")
    return page


def holds(page: Page, expression: str) -> bool:
    """Polls from here: `wait_for_function` evaluates a text, which the page's own policy forbids."""
    try:
        return bool(page.evaluate(expression))
    except PlaywrightError:  # the page is being left
        return False


def kept(page: Page) -> str:
    return str(page.evaluate("JSON.stringify(sessionStorage) + JSON.stringify(localStorage)"))


def lock(served: ServeSite, page: Page, clock: ManualClock, path: str = "unlock") -> None:
    clock.advance(served.site.settings.idle_s * NS_PER_S if path == "unlock" else 13 * 3600 * NS_PER_S)
    page.clock.run_for(POLL_MS)
    page.wait_for_url(f"**/{path}?next=**")


def log_in(page: Page, name: str = "") -> None:
    if name:
        page.locator("#name").fill(name)
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/calls")


def typed(page: Page) -> tuple[str, str]:
    values = [page.locator(f"#{name}").input_value() for name in ("case", "direction")]
    return values[0], values[1]


def test_a_warning_before_and_going_on(served: ServeSite, page: Page, clock: ManualClock) -> None:
    page.clock.run_for(POLL_MS)
    expect(page.locator("#ending")).to_be_hidden()
    clock.advance((served.site.settings.idle_s - 60) * NS_PER_S)
    page.clock.run_for(POLL_MS)
    box = page.locator("#ending")
    expect(box).to_be_visible()
    expect(box).to_contain_text("화면이 잠깁니다")
    require_accessible(page)
    with page.expect_response("**/stay"):
        box.get_by_role("button").click()
    expect(box).to_be_hidden()
    clock.advance(61 * NS_PER_S)
    page.clock.run_for(POLL_MS)
    assert typed(page) == (CASE, "in")
    assert "/calls" in page.url, "it goes on"


def test_who_types_is_there(served: ServeSite, page: Page, clock: ManualClock) -> None:
    for _ in range(3):
        clock.advance((served.site.settings.idle_s - 30) * NS_PER_S)
        page.clock.run_for(POLL_MS * 5)
        with page.expect_response("**/stay"):
            page.locator("#case").press_sequentially("1")
    assert page.url.endswith("/calls")


@pytest.mark.parametrize("over", ["unlock", "login"])
def test_what_was_typed_is_there_again(served: ServeSite, page: Page, clock: ManualClock, over: str) -> None:
    page.clock.run_for(1000)
    until(lambda: holds(page, "sessionStorage.getItem('linetap-draft') !== null"))
    lock(served, page, clock, over)
    assert "도로과" not in kept(page), "nothing readable lies in the browser"
    assert "도로과" not in page.content()
    log_in(page, "kim" if over == "login" else "")
    expect(page.locator("#kept")).to_be_visible()
    assert typed(page) == (CASE, "in")
    require_accessible(page)
    page.locator("#kept button").click()
    assert typed(page) == ("", "")
    assert kept(page) == "{}{}"


def test_another_person_in_the_same_tab_gets_none_of_it(served: ServeSite, page: Page, clock: ManualClock) -> None:
    lock(served, page, clock, "login")
    log_in(page, "lee")
    expect(page.locator("#kept")).to_be_hidden()
    assert typed(page) == ("", "")
    until(lambda: holds(page, "sessionStorage.length === 0"))


def test_a_search_that_was_sent_is_not_typed_any_more(served: ServeSite, page: Page) -> None:
    page.locator("main form button[type=submit]").click()
    page.wait_for_url("**/calls/found?**")
    until(lambda: holds(page, "sessionStorage.length === 0"))
    page.goto(f"{served.url}/calls")
    expect(page.locator("#case")).to_have_value("")
    expect(page.locator("#kept")).to_be_hidden()


def test_a_form_sent_after_the_lock(served: ServeSite, browser: Browser, clock: ManualClock) -> None:
    """Before the page has noticed the lock: the input is on its own page after the unlocking."""
    page = served.page(browser, "/review/2026-09", "auditor", name="han")
    page.locator("#remark").fill("9월 점검: 이상 없음")
    clock.advance(served.site.settings.idle_s * NS_PER_S)
    page.locator("main form button[type=submit]").click()
    expect(page.locator("h1")).to_have_text("401")
    page.get_by_role("link", name="다시 로그인하여 이 화면으로 돌아가기").click()
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/review/2026-09")
    expect(page.locator("#remark")).to_have_value("9월 점검: 이상 없음")
    page.locator("main form button[type=submit]").click()
    until(lambda: holds(page, "sessionStorage.length === 0"))
    expect(page.locator("#remark")).to_have_count(0)


def test_what_a_refusal_does_not_take_is_there_again(served: ServeSite, browser: Browser) -> None:
    """A reason of half a page, and a ground that does not match the decision."""
    row = {
        "id": "C2026-0001", "alias": "홍길동", "digits": "5678", "called_on": "2026-10-05", "asked": "copy",
        "verified": "id_card", "received_on": "2026-10-06", "counted_from": "2026-10-06", "registered_by": "park",
        "registered_at": "2026-10-06T01:00:00.000Z",
    }  # fmt: skip
    with writing(served.site.own) as db:
        store.add(db, row)
    page = served.page(browser, "/citizen/C2026-0001", "approver-legal", name="choi")
    reason = "통화 상대방의 음성이 함께 녹음되어 있습니다. " * 8
    page.locator('[name="decision"][value="partial"]').check()
    page.locator("#ground").select_option("not_held")
    page.locator("#reason").fill(reason)
    button = page.get_by_role("button", name="결정")
    button.click()
    expect(page.locator("main [role=alert]")).to_be_visible()
    expect(page.locator("#reason")).to_have_value(reason)
    expect(page.locator('[name="decision"][value="partial"]')).to_be_checked()
    page.locator("#ground").select_option("others")
    button.click()
    expect(page.locator("main [role=alert]")).to_have_count(0)
    until(lambda: holds(page, "sessionStorage.length === 0"))
    with served.site.own.connect() as db:
        assert store.require(db, "C2026-0001").row["reason"] == reason.strip()
