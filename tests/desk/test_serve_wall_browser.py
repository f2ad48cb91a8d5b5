# SPDX-License-Identifier: Apache-2.0
"""The wall of a control room in a real browser: 150 units on one screen, the faulty ones and the causes without a
click; the same on a telephone in two screens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import klm
import pytest
from fleet_rig import END_S, Speaking, fleet_site
from playwright.sync_api import Browser, Page, expect
from servesite import ServeSite, require_accessible, without_tokens
from wall_rig import CAUSE, CONTACT, CURE, NAMES, WORST, WRONG, all_is_well, goes_wrong, places, speaking_floor
from watch_rig import ALERT

from broker import Broker, until
from linetap_desk.serve.live.journal import Reader

WALL, PHONE = {"width": 1920, "height": 1080}, {"width": 390, "height": 844}
WITHIN_S = 5  # for a practised reader, by the model of docs/role-runs.md
_SHOWN = "element => { const at = element.getBoundingClientRect(); return [at.top, at.bottom, at.left, at.right]; }"
_BOTTOM = "Math.max(...[...document.querySelectorAll('.unit')].map((one) => one.getBoundingClientRect().bottom))"


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, Speaking]]:
    with speaking_floor(tmp_path_factory.mktemp("broker")) as floor:
        yield floor


@pytest.fixture(scope="module")
def served(floor: tuple[Broker, Speaking], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeSite]:
    broker, speaking = floor
    all_is_well(speaking)
    with fleet_site(tmp_path_factory.mktemp("site"), broker.port, places()) as site:
        until(lambda: standings(site) == {}, END_S)
        goes_wrong(speaking)
        until(lambda: standings(site) == WRONG, END_S)
        yield site


def standings(served: ServeSite) -> dict[str, str] | None:
    """The standings of units with faults; None before all are known."""
    _, desk, units = served.site.fleet.state(Reader(False, "ko"))
    wrong = {one["unit"]: one["standing"] for one in units if one["standing"] != "fine"}
    return wrong if desk.link == "live" and len(units) == len(NAMES) else None


def opened(served: ServeSite, browser: Browser, size: dict[str, int], path: str = "/fleet") -> Page:
    page = served.context(browser, "watch").new_page()
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    with page.expect_response(lambda answer: "/fleet/events" in answer.url):
        page.goto(f"{served.url}{path}")
    return page


def test_which_and_why_stands_on_one_screen_without_a_click(served: ServeSite, browser: Browser) -> None:
    page = opened(served, browser, WALL)
    expect(page.locator(".unit:visible")).to_have_count(len(NAMES))
    assert page.evaluate(_BOTTOM) <= WALL["height"], "150 units are one screen"
    assert page.evaluate("document.scrollingElement.scrollHeight") <= WALL["height"]
    first = page.locator(".unit").first
    expect(first).to_have_attribute("data-unit", WORST)
    for part, says in {
        '[data-field="name"]': WORST, '[data-field="floor"]': "5층", '[data-field="standing"]': "장애",
        '[data-field="began"]': "10분", '[data-field="says"]': CAUSE, '[data-field="cure"]': CURE,
        '[data-field="contact"]': CONTACT,
    }.items():  # fmt: skip
        found = first.locator(part)
        expect(found).to_contain_text(says)
        top, bottom, left, right = found.evaluate(_SHOWN)
        assert 0 <= top < bottom <= WALL["height"], part
        assert 0 <= left < right <= WALL["width"], part
    told = " ".join(
        first.locator(f'[data-field="{name}"]').inner_text() for name in ("name", "floor", "standing", "says")
    )
    assert klm.THINK_S + klm.reading_s(len(told.split())) <= WITHIN_S, f"which and why: {told}"
    order = [one.get_attribute("data-unit") for one in page.locator("#wrong .unit").all()]
    assert order == ["main-05", "main-11", "main-12", "dong-02", "health-07"]
    assert page.title() == "(5) 기기 현황 - linetap"
    expect(page.locator('[data-unit="main-11"]')).to_contain_text("SW-main-3 11")
    expect(page.locator('[data-unit="main-11"] [data-field="contact"]')).to_have_text("시설팀 2119 / 당직실 2000")
    expect(page.locator('[data-unit="dong-02"]')).to_contain_text("스스로 접속을 끝냈습니다")
    page.context.close()


def test_an_absent_unit_shows_no_live_call_and_lines_have_numbers(served: ServeSite, browser: Browser) -> None:
    page = opened(served, browser, WALL)
    away, busy = page.locator('[data-unit="main-11"]'), page.locator('[data-unit="main-03"]')
    expect(away).to_have_attribute("data-calls", "0")
    assert {line.get_attribute("data-state") for line in away.locator("[data-line]").all()} == {"unknown"}
    assert away.locator('[data-field="number"]').all_inner_texts() == [str(n) for n in range(1, 9)]
    expect(busy.locator("[data-line]").nth(0)).to_have_text("1")
    expect(busy.locator("[data-line]").nth(1)).to_have_text("●2 녹음 중")
    expect(page.locator('#counts [data-filter="calls"]')).to_have_text("통화 중 2")
    heights = page.evaluate(
        "[...new Set([...document.querySelectorAll('#well .unit')].map((one) => one.offsetHeight))]"
    )
    assert len(heights) == 1, "a unit in eight calls takes no more room"
    page.locator('#counts [data-filter="calls"]').click()
    expect(page.locator(".unit:visible")).to_have_count(2)
    page.context.close()


SPY = """
window.tones = 0;
const begin = AudioContext.prototype.createOscillator;
AudioContext.prototype.createOscillator = function () { window.tones += 1; return begin.call(this); };
"""
NEW = {**ALERT, "severity": "critical", "line": 1, "text_ko": "1번 회선이 끊겼습니다."}


def test_a_new_fault_sounds_once_where_somebody_has_allowed_it(
    served: ServeSite, browser: Browser, floor: tuple[Broker, Speaking]
) -> None:
    page = served.context(browser, "watch").new_page()
    page.add_init_script(SPY)
    with page.expect_response(lambda answer: "/fleet/events" in answer.url):
        page.goto(f"{served.url}/fleet")
    button = page.locator("#sound")
    expect(button).to_have_text("경보음 꺼짐")
    assert breaks_and_mends(page, floor[1], "annex-01") == 0
    button.click()
    expect(button).to_have_text("경보음 켜짐")
    assert breaks_and_mends(page, floor[1], "annex-02") == 2  # two tones, once
    page.reload()
    expect(button).to_have_text(re.compile("경보음: 누르면 켜집니다|경보음 켜짐"))  # as the browser permits
    page.locator("h1").click()
    expect(button).to_have_text("경보음 켜짐")
    assert breaks_and_mends(page, floor[1], "annex-03") == 2
    button.click()
    expect(button).to_have_text("경보음 꺼짐")
    assert breaks_and_mends(page, floor[1], "annex-04") == 0
    page.context.close()


def breaks_and_mends(page: Page, floor: Speaking, unit: str) -> int:
    """The number of tones meanwhile. The fault is repeated, and a line changes: nothing of it is new."""
    before: int = page.evaluate("window.tones")
    floor.say(unit, "alert/line_cut", NEW)
    expect(page.locator(f'#wrong [data-unit="{unit}"]')).to_be_attached()
    floor.say(unit, "alert/line_cut", {**NEW, "text_ko": "1번 회선이 아직 끊겨 있습니다."})
    expect(page.locator(f'#wrong [data-unit="{unit}"]')).to_contain_text("아직")
    floor.say(unit, "alert/line_cut", b"")
    expect(page.locator(f'#well [data-unit="{unit}"]')).to_be_attached()
    after: int = page.evaluate("window.tones")
    return after - before


def test_a_fault_is_acknowledged_with_a_name_and_the_page_stays(served: ServeSite, browser: Browser) -> None:
    page, other = (opened(served, browser, WALL) for _ in range(2))
    page.evaluate("window.stays = true")
    page.locator('[data-unit="main-11"]').get_by_role("button", name="확인").click()
    for one in (page, other):
        expect(one.locator('[data-unit="main-11"] [data-field="seen"]')).to_contain_text("확인: watch 님")
        order = [unit.get_attribute("data-unit") for unit in one.locator("#wrong .unit").all()]
        assert order == ["main-05", "main-12", "dong-02", "main-11", "health-07"]  # after the unacknowledged ones
        expect(one.locator('[data-unit="main-11"] button')).to_be_hidden()
    assert page.evaluate("window.stays")
    page.goto(f"{served.url}/fleet/shift")
    expect(page.locator("tbody tr").first).to_contain_text("main-11")
    page.get_by_label("다음 근무자에게 인계할 내용").fill("본관 11층 010-1234-5678 회신 대기")
    page.get_by_role("button", name="인계 사항 등록").click()
    expect(page.locator("tbody tr").first).to_contain_text("회신 대기")
    expect(other.locator("#note")).to_contain_text("watch 님): 본관 11층")
    assert "1234" not in without_tokens(page.content())
    require_accessible(page)
    for one in (page, other):
        one.context.close()


def test_a_telephone_shows_the_same_in_two_screens(served: ServeSite, browser: Browser) -> None:
    page = opened(served, browser, PHONE)
    assert page.evaluate("document.scrollingElement.scrollHeight") <= 2 * PHONE["height"]
    assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
    first = page.locator(".unit").first
    for says in (WORST, CAUSE, CURE, CONTACT):
        _, bottom, _, _ = first.get_by_text(says).first.evaluate(_SHOWN)
        assert bottom <= PHONE["height"], f"{says}: on the first screen"
    expect(page.locator(".unit:visible")).to_have_count(len(WRONG))
    expect(page.locator("#sums")).to_have_text("정상: 별관 38, 보건소 36, 본관 35, 주민센터 36")
    page.locator('#counts [data-filter="fine"]').click()
    expect(page.locator(".unit:visible")).to_have_count(len(NAMES) - len(WRONG))
    require_accessible(page)
    page.context.close()


MORE = [f"health-{floor:02d}" for floor in range(11, 16)]


def test_ten_faults_are_two_screens_of_a_telephone_too(
    served: ServeSite, browser: Browser, floor: tuple[Broker, Speaking]
) -> None:
    """The worst six in full, each other with its name and its cause in one complete line."""
    for number, unit in enumerate(MORE, 1):
        floor[1].say(unit, "alert/hum", {**ALERT, "line": number, "text_ko": f"{number}번 회선에 험이 큽니다."})
    until(lambda: len(standings(served) or ()) == len(WRONG) + len(MORE), END_S)
    page = opened(served, browser, PHONE)
    expect(page.locator(".unit:visible")).to_have_count(10)
    assert page.evaluate("document.scrollingElement.scrollHeight") <= 2 * PHONE["height"]
    assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
    for one in page.locator("#wrong .unit").all():
        says = one.locator('[data-field="says"]')
        assert one.locator('[data-field="name"]').is_visible()
        assert says.evaluate("one => one.parentElement.scrollWidth <= one.parentElement.clientWidth"), says.inner_text()
    page.context.close()
    for unit in MORE:
        floor[1].say(unit, "alert/hum", b"")
    until(lambda: len(standings(served) or ()) == len(WRONG), END_S)


def test_no_unit_then_one_more_than_the_wall_was_made_for(browser: Browser, tmp_path: Path) -> None:
    """An empty wall states that nothing is known, not that there is no fault; 151 units still fit one screen."""
    names = [*NAMES, "dong-38"]
    with speaking_floor(tmp_path) as (broker, floor), fleet_site(tmp_path / "site", broker.port, "") as empty:
        until(lambda: empty.site.fleet.figures()[0] == "live", END_S)
        page = opened(empty, browser, WALL)
        expect(page.locator("#nobody")).to_be_visible()
        expect(page.locator("#nothing-wrong")).to_be_hidden()
        expect(page.locator("#none")).to_be_hidden()
        expect(page.locator('#counts [data-filter="fine"]')).to_have_text("정상 0")
        assert page.title() == "기기 현황 - linetap"
        all_is_well(floor, names)
        expect(page.locator(".unit:visible")).to_have_count(len(names))
        expect(page.locator("#nobody")).to_be_hidden()
        expect(page.locator('#counts [data-filter="fine"]')).to_have_text(f"정상 {len(names)}")
        assert page.evaluate("document.scrollingElement.scrollHeight") <= WALL["height"]
        page.locator("#text").fill("none-99")
        expect(page.locator("#none")).to_be_visible()
        page.goto(f"{empty.url}/fleet?standing=fault")
        expect(page.locator("#none")).to_be_visible()
        floor.say("dong-38", "alert/line_cut", NEW)
        expect(page.locator("#none")).to_be_hidden()
        expect(page.locator(".unit:visible")).to_have_count(1)
        page.context.close()
