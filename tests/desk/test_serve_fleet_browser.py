# SPDX-License-Identifier: Apache-2.0
"""The fleet's pages in a real browser: live updates, pausing, their age, and accessibility."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_rig import END_S, Speaking, fleet_site
from playwright.sync_api import Browser, Page, expect
from servesite import ServeSite, require_accessible
from watch_rig import LINE

from broker import Broker, until
from linetap_bench.measure import desk as deskmeasure
from linetap_desk.serve.live import journal
from linetap_desk.serve.live.journal import Reader

SCRIPT = "<img src=x onerror=alert(1)>"
PLACES = f'["{SCRIPT}"]\nmain-01 = 1\nmain-02 = 2\n["별관"]\nwest-01 = "<i>"\nwest-02 = 2\n'
FAULTS: list[str] = []  # of pages, checked at the end of each test: a browser's callbacks cannot raise
VISIBILITY = """state => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker"), saves=False) as running:
        yield running


@pytest.fixture(scope="module")
def floor(broker: Broker) -> Iterator[Speaking]:
    speaking = Speaking(broker.port)
    yield speaking
    speaking.close()


@pytest.fixture(scope="module")
def served(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeSite]:
    with fleet_site(tmp_path_factory.mktemp("site"), broker.port, PLACES) as site:
        yield site


@pytest.fixture(autouse=True)
def _as_at_first(served: ServeSite, floor: Speaking) -> Iterator[None]:
    FAULTS.clear()
    for unit in ("main-01", "main-02", "west-01"):
        floor.is_well(unit, 4, storage_days_left=30.5)
    for unit, check in (("main-01", "hum"), ("main-02", "hum"), ("main-02", "disk_full")):
        floor.say(unit, f"alert/{check}", b"")
    until(lambda: _fine(served) == 3, END_S)
    yield
    assert FAULTS == []


def _fine(served: ServeSite) -> int:
    _, desk, units = served.site.fleet.state(Reader(False, "ko"))
    idle = [one for one in units if all(line["state"] == "idle" for line in one["lines"].values())]
    return sum(one["standing"] == "fine" for one in idle) if desk.link == "live" else 0


def line(page: Page, unit: str, number: int) -> str:
    state: str = page.locator(f'[data-unit="{unit}"] [data-line="{number}"]').get_attribute("data-state") or ""
    return state


def has(page: Page, unit: str, number: int, state: str) -> None:
    expect(page.locator(f'[data-unit="{unit}"] [data-line="{number}"][data-state="{state}"]')).to_be_attached()


def opened(served: ServeSite, browser: Browser, path: str = "/fleet", *roles: str, scheme: str = "light") -> Page:
    """The page after the first event of its stream."""
    context = served.context(browser, *(roles or ("watch",)), scheme=scheme)
    page = context.new_page()
    page.on("dialog", lambda dialog: FAULTS.append(f"a dialog: {dialog.message}"))
    page.on("pageerror", lambda error: FAULTS.append(f"in the script: {error}"))
    with page.expect_response(lambda answer: "/fleet/events" in answer.url):
        page.goto(f"{served.url}{path}")
    return page


def test_the_page_follows_and_texts_of_units_are_no_markup(
    served: ServeSite, browser: Browser, floor: Speaking
) -> None:
    page = opened(served, browser)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    floor.say("main-01", "line/3", {**LINE, "state": "recording", "call_id": SCRIPT})
    has(page, "main-01", 3, "recording")
    expect(page.locator('[data-unit="main-01"] [data-line="3"] [data-field="state"]')).to_have_text("녹음 중")
    floor.alerts("main-02", text_ko=SCRIPT, action_ko="나사를 조이십시오")
    floor.alerts("main-02", "disk_full", severity="critical", text_ko="가득 찼습니다")
    unit = page.locator('[data-unit="main-02"]')
    expect(unit.locator('[data-field="says"]')).to_have_text("가득 찼습니다")
    expect(unit.locator('[data-field="more"]')).to_have_text("그 밖의 경보 1건")
    expect(unit.locator(".badge")).to_have_text("장애")
    floor.say("main-02", "alert/disk_full", b"")
    expect(unit.locator('[data-field="says"]')).to_have_text(SCRIPT)
    expect(unit.locator('[data-field="cure"]')).to_have_text("나사를 조이십시오")
    expect(unit.locator('[data-field="building"]')).to_have_text(SCRIPT)
    assert page.locator("main img, main i").count() == 0
    assert page.evaluate("document.getAnimations().length") == 0
    assert said == []
    page.reload()  # the server gives the same result as the script
    expect(page.locator('[data-unit="main-02"] [data-field="says"]')).to_have_text(SCRIPT)
    has(page, "main-01", 3, "recording")
    page.context.close()


def test_the_link_to_a_call_is_for_who_may_look_at_it(served: ServeSite, browser: Browser, floor: Speaking) -> None:
    officer, watch = (opened(served, browser, "/fleet/unit/main-01", role) for role in ("officer", "watch"))
    floor.say("main-01", "line/1", {**LINE, "state": "recording", "call_id": "a/../b?c"})
    for page in (officer, watch):
        has(page, "main-01", 1, "recording")
    link = officer.locator('[data-unit="main-01"] [data-line="1"] a')
    assert link.get_attribute("href") == "/calls/main-01/a%2F..%2Fb%3Fc"
    assert watch.locator('[data-unit="main-01"] [data-line="1"] a').count() == 0
    for page in (officer, watch):
        page.context.close()


def test_paused_it_stays_and_then_catches_up(served: ServeSite, browser: Browser, floor: Speaking) -> None:
    page = opened(served, browser)
    page.locator("#pause").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#own")).to_contain_text("갱신을 멈췄습니다")
    floor.say("main-01", "line/2", {**LINE, "state": "ringing"})
    other = opened(served, browser)
    has(other, "main-01", 2, "ringing")
    assert line(page, "main-01", 2) == "idle"
    page.keyboard.press("Enter")
    has(page, "main-01", 2, "ringing")
    expect(page.locator("#own")).to_be_hidden()
    for one in (page, other):
        one.context.close()


def test_a_tab_that_was_hidden_is_right_again(
    served: ServeSite, browser: Browser, floor: Speaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For so long that its position in the journal is gone: it gets everything, once."""
    monkeypatch.setattr(journal, "MOST_ENTRIES", 3)
    page = opened(served, browser)
    page.evaluate(VISIBILITY, "hidden")
    other = opened(served, browser)
    for n in (1, 2, 3, 4):
        floor.say("west-01", f"line/{n}", {**LINE, "state": "notice"})
        has(other, "west-01", n, "notice")
    floor.say("west-01", "line/4", b"")
    floor.is_well("new-07", 1)
    expect(other.locator('[data-unit="new-07"]')).to_be_attached()
    assert line(page, "west-01", 1) == "idle"
    page.evaluate(VISIBILITY, "visible")
    has(page, "west-01", 3, "notice")
    expect(page.locator('#well [data-unit="new-07"]')).to_be_attached()
    expect(page.locator('[data-unit="west-01"] [data-line]')).to_have_count(3)
    for topic in ("health", "line/1", "status"):
        floor.say("new-07", topic, b"")
    expect(page.locator('[data-unit="new-07"]')).to_have_count(0)
    for one in (page, other):
        one.context.close()


def test_a_tab_that_was_hidden_for_an_hour_asks_once_for_what_it_lacks(
    served: ServeSite, browser: Browser, floor: Speaking
) -> None:
    """The bench measures the time. Here the fetches are checked: none meanwhile, then only the changes."""
    page = served.context(browser, "watch").new_page()
    page.clock.install()
    with page.expect_response(lambda answer: "/fleet/events" in answer.url):
        page.goto(f"{served.url}/fleet")
    floor.say("west-01", "line/3", {**LINE, "state": "ringing"})
    has(page, "west-01", 3, "ringing")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(served.url)))
    page.evaluate(VISIBILITY, "hidden")
    page.clock.run_for(3_600_000)
    for n in (1, 2):
        floor.say("west-01", f"line/{n}", {**LINE, "state": "notice"})
    until(lambda: _state(served, "west-01", 2) == "notice", END_S)
    assert [url for url in asked if url != "/alive"] == []
    assert line(page, "west-01", 1) == "idle"
    with page.expect_response(lambda answer: "/fleet/events" in answer.url):
        page.evaluate(VISIBILITY, "visible")
    for n in (1, 2):
        has(page, "west-01", n, "notice")
    (again,) = [url for url in asked if url != "/alive"]
    assert re.fullmatch(r"/fleet/events\?after=\w+-\d+", again)
    number = served.site.fleet.number_of(again.partition("=")[2])
    assert number is not None
    assert served.site.fleet.after(number) is not None, "it is told what is different, and not everything"
    page.context.close()


def test_the_bench_sees_it_come_back_both_ways(
    served: ServeSite, browser: Browser, floor: Speaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, states = deskmeasure.newest, itertools.cycle(("ringing", "notice"))

    def changed(page: Page, url: str) -> int:
        state = next(states)
        floor.say("west-01", "line/2", {**LINE, "state": state})
        until(lambda: _state(served, "west-01", 2) == state, END_S)
        return newest(page, url)

    monkeypatch.setattr(deskmeasure, "HIDDEN_S", 0)
    monkeypatch.setattr(deskmeasure, "TIMES", 2)
    monkeypatch.setattr(deskmeasure, "newest", changed)
    page = served.context(browser, "watch").new_page()
    page.add_init_script(deskmeasure.HOOK)
    page.goto(f"{served.url}/fleet")
    found = deskmeasure.measure_hidden_tab(page, served.url)
    assert all(0 < ms < deskmeasure.MOST_MS for ms, _ in (*found.changed, *found.whole))
    assert [changes for _, changes in found.changed] == [1, 1]
    page.context.close()


def _state(served: ServeSite, unit: str, number: int) -> str:
    _, _, units = served.site.fleet.state(Reader(False, "ko"))
    return next(str(one["lines"][str(number)]["state"]) for one in units if one["unit"] == unit)


def test_the_page_shows_its_age(served: ServeSite, browser: Browser, broker: Broker) -> None:
    page = opened(served, browser)
    expect(page.locator("#desk")).to_contain_text("실시간")
    broker.stop()
    expect(page.locator("#desk")).to_contain_text("갱신되지 않음")
    expect(page.locator('#well [data-unit="main-01"]')).to_be_visible()  # unchanged; its age is shown above
    broker.start()
    expect(page.locator("#desk")).to_contain_text("실시간")
    page.context.close()


def test_a_desk_that_is_gone_is_seen_on_the_page(browser: Browser, broker: Broker, tmp_path: Path) -> None:
    with fleet_site(tmp_path / "site", broker.port, PLACES) as served:
        logged_in = served.context(browser, "watch").storage_state()
        context = browser.new_context(ignore_https_errors=True, storage_state=logged_in)  # outlives the desk
        page = context.new_page()
        with page.expect_response(lambda answer: "/fleet/events" in answer.url):
            page.goto(f"{served.url}/fleet")
        expect(page.locator("#own")).to_be_hidden()
    expect(page.locator("#own")).to_contain_text("데스크의 정보가 들어오지 않습니다")
    context.close()


def test_the_filter_by_keyboard_and_without_script(served: ServeSite, browser: Browser, floor: Speaking) -> None:
    page = opened(served, browser)
    floor.alerts("main-02", text_ko="험이 큽니다")
    page.get_by_label("기기, 건물, 층 또는 경보").focus()
    page.keyboard.type("험이")
    shown = page.locator(".unit[data-unit]:visible")
    expect(shown).to_have_count(1)
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    expect(shown).to_have_count(4)
    page.locator('#counts [data-filter="wrong"]').click()
    expect(shown).to_have_count(2)
    assert [one.get_attribute("data-unit") for one in shown.all()] == ["west-02", "main-02"]  # the worst first
    page.locator('#counts [data-filter="unheard"]').focus()
    page.keyboard.press("Enter")
    expect(shown).to_have_count(1)
    expect(shown).to_have_attribute("data-unit", "west-02")
    expect(page.locator("#counts [aria-current]")).to_have_text("연결된 적 없음 1")
    assert page.url.endswith("/fleet")
    page.context.close()
    answer = served.client("watch").get("/fleet", params={"text": "험이", "standing": "warning"}).text
    assert answer.count('class="unit"') == 5  # all, and the mould
    assert answer.count(" hidden><h3>") == 3
    assert 'value="험이"' in answer


@pytest.mark.parametrize(("scheme", "language"), [("light", "한국어"), ("dark", "English")])
def test_the_page_is_accessible(
    served: ServeSite, browser: Browser, floor: Speaking, scheme: str, language: str
) -> None:
    floor.alerts("main-02", "disk_full", severity="critical")
    floor.say("main-01", "line/2", {**LINE, "state": "recording", "call_id": "c"})
    page = opened(served, browser, "/fleet", "officer", scheme=scheme)
    page.get_by_role("button", name=language).click()
    for path in ("/fleet", "/fleet?standing=wrong", "/fleet/unit/main-02", "/fleet/unit/west-02"):
        page.goto(f"{served.url}{path}")
        require_accessible(page)
        assert page.locator("[aria-live], [role=status]").count() == 1
    page.context.close()


def test_a_unit_s_own_page_has_all_of_its_alerts(served: ServeSite, browser: Browser, floor: Speaking) -> None:
    for n in range(7):
        floor.alerts("west-01", f"a{n}", text_ko=f"경보 {n}")
    page = opened(served, browser, "/fleet/unit/west-01")
    expect(page.locator(".alerts li")).to_have_count(7)
    floor.alerts("west-01", "a7", severity="critical", text_ko="경보 7")
    expect(page.locator(".alerts strong").first).to_have_text("경보 7")
    fleet = opened(served, browser)
    expect(fleet.locator('[data-unit="west-01"] [data-field="more"]')).to_have_text("그 밖의 경보 7건")
    for n in range(8):
        floor.say("west-01", f"alert/a{n}", b"")
    expect(page.locator(".alerts li")).to_have_count(0)
    expect(fleet.locator('#well [data-unit="west-01"]')).to_be_visible()
    for one in (page, fleet):
        one.context.close()
