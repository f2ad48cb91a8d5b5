# SPDX-License-Identifier: Apache-2.0
"""Login, the locked session and the review, as used by people: by keyboard, in both languages, in every colour scheme.

The clock is the site's own, so that the test decides when a session locks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect
from servesite import ServeSite, require_accessible

from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_core.enrolment.adoption import Begin
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.people import accounts
from linetap_desk.web.pages import LANGUAGE_COOKIE

LIMIT_MS = 60_000
PASSWORD = "correct horse battery"
complaints: list[str] = []
LOOKS = [(language, scheme) for language in ("ko", "en") for scheme in ("light", "dark")]


@pytest.fixture(autouse=True)
def _no_complaints() -> Iterator[None]:
    """Fails on messages of the browser's console: a broken policy, a missing file."""
    complaints.clear()
    yield
    assert complaints == []


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(parse_rfc3339("2026-10-07T01:00:00Z"), NS_PER_S)


@pytest.fixture
def served(run_dir: Path, clock: ManualClock) -> Iterator[ServeSite]:
    with ServeSite(run_dir / "site", clock) as served:
        accounts.add_account(served.site.access, "terminal:root", "kim", "김민지", ["officer"], PASSWORD, None)
        yield served


def open_page(served: ServeSite, browser: Browser, look: tuple[str, str], path: str, *roles: str) -> Page:
    """The page in a language and a theme."""
    language, scheme = look
    context = served.context(browser, *roles, scheme=scheme)
    context.add_cookies(
        [{"name": LANGUAGE_COOKIE, "value": language, "url": served.url, "secure": True, "sameSite": "Strict"}]
    )
    page = context.new_page()
    page.on("console", _listen)
    page.goto(f"{served.url}{path}")
    return page


def _listen(message: ConsoleMessage) -> None:
    """Collects messages. Chromium also logs each unsuccessful answer, which is expected for a wrong password."""
    if message.type == "error" and "status of 4" not in message.text:
        complaints.append(message.text)


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))


@pytest.mark.parametrize("look", LOOKS, ids="-".join)
def test_the_login_for_everybody(served: ServeSite, browser: Browser, look: tuple[str, str]) -> None:
    page = open_page(served, browser, look, "/login")
    require_accessible(page)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(255, 255, 255)") == (look[1] == "light")
    page.get_by_label({"ko": "아이디", "en": "Name"}[look[0]]).fill("kim")
    page.get_by_label({"ko": "비밀번호", "en": "Password"}[look[0]]).fill("wrong")
    page.locator("form[action='/login'] button").click()
    expect(page.get_by_role("alert")).to_have_text(
        {"ko": "아이디 또는 비밀번호가 맞지 않습니다.", "en": "The name or the password is wrong."}[look[0]]
    )
    require_accessible(page)


def test_from_the_first_key_to_the_desk_without_a_mouse(served: ServeSite, browser: Browser) -> None:
    page = open_page(served, browser, ("ko", "light"), "/")
    walked = []
    for _ in range(5):
        page.keyboard.press("Tab")
        walked.append(focused(page))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"{walked[-1]}: the focus is not seen"
    assert walked == ["본문 바로가기", "linetap 통화 녹음 데스크", "name", "password", "로그인"]
    page.locator("#name").focus()
    page.keyboard.type("kim")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("통화 녹음 데스크")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#main"), "the skip link leads to the content").to_be_focused()


@pytest.mark.parametrize("look", LOOKS, ids="-".join)
def test_a_page_that_lies_open_goes_when_its_session_locks(
    served: ServeSite, browser: Browser, clock: ManualClock, look: tuple[str, str]
) -> None:
    page = open_page(served, browser, look, "/login")
    page.clock.install()
    page.goto(f"{served.url}/login?next=/password")
    page.locator("#name").fill("kim")
    page.locator("#password").fill(PASSWORD)
    page.locator("form[action='/login'] button").click()
    expect(page.locator("#again")).to_be_visible()
    require_accessible(page)
    clock.advance(served.site.settings.idle_s * NS_PER_S)
    asked: list[Route] = []
    page.route("**/alive", lambda question: asked.append(question))
    page.clock.run_for(60_000)
    while not asked:
        page.wait_for_timeout(10)
    for question in asked:
        question.continue_()
    page.wait_for_url("**/unlock?next=%2Fpassword")
    assert len(asked) == 1, "a slow desk was asked again before it had answered: the page goes twice"
    page.unroute("**/alive")
    require_accessible(page)
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/password")


@pytest.mark.parametrize("look", LOOKS, ids="-".join)
def test_the_review(served: ServeSite, browser: Browser, clock: ManualClock, look: tuple[str, str]) -> None:
    for number in range(3):
        subject = Subject(
            calls=(f"20261007T010000.00{number}Z-L03",), terms="<script>alert(1)</script>", case="2026-117"
        )
        served.site.access.append("kim", "10.0.0.7", "view", subject)
    clock.step_utc(parse_rfc3339("2026-11-02T01:00:00Z") - clock.utc_ns())
    page = open_page(served, browser, look, "/review", "auditor")
    require_accessible(page)
    page.get_by_role("link", name="2026-10").click()
    require_accessible(page)
    page.get_by_role("link", name="kim", exact=True).click()
    expect(page.get_by_text("<script>alert(1)</script>").first).to_be_visible()
    require_accessible(page)
    page.go_back()
    page.locator("#remark").fill("이상 없음")
    page.locator("main button").click()
    expect(page.locator(".note.success")).to_contain_text("이상 없음")
    expect(page.locator(".note.success")).to_contain_text("KST")
    require_accessible(page)


def test_forms_work_without_script(served: ServeSite, browser: Browser) -> None:
    page = served.context(browser, script=False).new_page()
    page.goto(f"{served.url}/login")
    page.locator("#name").fill("kim")
    page.locator("#password").fill(PASSWORD)
    page.locator("form[action='/login'] button").click()
    expect(page.locator("h1")).to_have_text("통화 녹음 데스크")
    page.get_by_role("button", name="로그아웃").click()
    expect(page.locator("#name")).to_be_visible()


def test_at_twice_the_size(served: ServeSite, browser: Browser) -> None:
    """WCAG 1.4.4: 200 % of 1280 px is a page of 640 px."""
    page = open_page(served, browser, ("ko", "light"), "/", "auditor")
    page.set_viewport_size({"width": 640, "height": 480})
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 640


def test_no_script_of_another_gets_in(served: ServeSite, browser: Browser) -> None:
    """The policy itself, in a browser: inline script and a string as markup are refused."""
    page = served.page(browser, "/login")
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          try { script.textContent = "window.inline = true"; } catch { window.refused = "script text"; }
          document.body.append(script);
          try { document.body.insertAdjacentHTML("beforeend", "<b>x</b>"); } catch { window.markup = "refused"; }
        }"""
    )
    assert page.evaluate("window.inline") is None
    assert page.evaluate("window.markup") == "refused"


def test_a_unit_that_asks_is_on_the_page_by_itself(served: ServeSite, browser: Browser) -> None:
    """Another one too; without replacing an opened form, for which the page shows a message instead."""
    page = open_page(served, browser, ("en", "light"), "/adoption", "officer")
    asks = page.locator('form[action$="/choose"]')
    expect(asks).to_have_count(0)
    for n in (1, 2):
        served.site.adoption.begin(Begin(commitment=f"{n:064x}", serial=f"1000000{n}"), f"10.1.1.{n}")
        expect(asks).to_have_count(n, timeout=LIMIT_MS)
    page.locator("details summary").last.click()
    page.evaluate("window.same = true")
    served.site.adoption.begin(Begin(commitment=f"{3:064x}", serial="10000003"), "10.1.1.3")
    expect(page.get_by_text("There is news of a unit.")).to_be_visible(timeout=LIMIT_MS)
    assert page.evaluate("window.same") is True
    page.locator("#news a").click()
    expect(asks).to_have_count(3)
