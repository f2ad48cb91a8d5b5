# SPDX-License-Identifier: Apache-2.0
"""A custodian at their own machine, with Debian's Chromium and by keyboard: from the code to the requester's files.
Afterwards the disks, including the browser's own folder, are searched for the audio.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from citizen_rig import asked, packed
from custody_rig import CALL, SECONDS, Helper, marked_call, released
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect, sync_playwright
from servesite import CHROMIUM, launched, require_accessible

from broker import until
from linetap_core.codecs import g711
from release_rig import ID, Desk
from sealing_rig import noise

LIMIT_S = 120
complaints: list[str] = []
# Records the start of each playback: its time, and the position in the audio.
WATCH = """
window.started = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when) {
  window.started.push({ seconds: this.buffer.duration, loud: Math.max(...this.buffer.getChannelData(0)) });
  return start.call(this, when);
};
"""


@pytest.fixture(autouse=True)
def _no_complaints() -> Iterator[None]:
    complaints.clear()
    yield
    assert complaints == []


@pytest.fixture
def helper(desk: Desk) -> Iterator[Helper]:
    with Helper(desk, released(desk, marked_call(desk))) as helper:
        yield helper


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """The browser's profile folder."""
    return tmp_path / "profile"


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with launched(playwright) as browser:
        yield browser


@pytest.fixture
def kept(playwright: Playwright, profile: Path) -> Iterator[BrowserContext]:
    """The whole browser, with a profile on the disk."""
    context = playwright.chromium.launch_persistent_context(
        str(profile), executable_path=CHROMIUM, args=["--no-sandbox"], locale="ko-KR"
    )
    yield watched(context)
    context.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="ko-KR")
    yield watched(context)
    context.close()


def watched(context: BrowserContext) -> BrowserContext:
    context.set_default_timeout(LIMIT_S * 1000)
    context.add_init_script(WATCH)
    return context


def _listen(message: ConsoleMessage) -> None:
    """Ignores expected refusals, and the end of a helper."""
    if message.type == "error" and not any(one in message.text for one in ("status of 4", "CONNECTION_REFUSED")):
        complaints.append(message.text)


def entered(helper: Helper, context: BrowserContext) -> Page:
    """The page after the code was typed, as people type it."""
    page = context.new_page()
    page.on("console", _listen)
    page.goto(f"{helper.site.url}/")
    expect(page.locator("#code")).to_be_focused()
    page.keyboard.type(helper.site.admission.code.lower().replace("-", " "))
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(f"신청 {ID}")
    return page


def tab_to(page: Page, selector: str) -> None:
    """Moves only by keys, with a number of presses acceptable to a person."""
    for _ in range(30):
        if page.evaluate("(s) => document.activeElement.matches(s)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector}: not reached")


def opened(page: Page) -> None:
    tab_to(page, f"a[href$='{CALL}']")
    page.keyboard.press("Enter")
    expect(page.locator("#listen")).to_be_visible()
    tab_to(page, "#listen")
    page.keyboard.press("Enter")
    expect(page.locator("#player")).to_be_focused()


def test_a_citizens_copy_is_marked_at_the_players_position(desk: Desk, context: BrowserContext) -> None:
    with Helper(desk, packed(desk, asked(desk))) as helper:
        page = entered(helper, context)
        opened(page)
        for key, field in (("5", "mask-from"), ("6", "mask-to")):  # tenths of 12 s
            page.locator("#player").press(key)
            page.locator(f"[data-take={field}]").click()
        assert [page.locator(f"#mask-{name}").input_value() for name in ("from", "to")] == ["6.0", "7.2"]
        require_accessible(page)
        page.locator("#mask-to").fill(f"0:{SECONDS}")  # to the end, so that what plays from there is silent
        page.locator("#mask-to").press("Enter")
        expect(page.locator("table", has_text="12.000")).to_contain_text("6.000")
        require_accessible(page)
        page.locator("#masked").check()
        page.locator("#player").press("5")
        page.locator("#player").press("Space")
        until(lambda: page.evaluate("window.started.length > 0"), LIMIT_S)
        assert page.evaluate("window.started[0].loud") == 0
        page.locator("#player").press("Space")
        page.locator("form[action$='/copy'] button").click()
        expect(page.locator("#passphrase")).to_have_text(re.compile("[A-Z2-9]{4}(-[A-Z2-9]{4}){4}"))
        require_accessible(page)
        page.emulate_media(media="print")
        expect(page.locator("#passphrase")).to_be_visible()
        for hidden in ("header", "footer", "main a"):
            expect(page.locator(hidden)).to_be_hidden()


def at_s(page: Page) -> float:
    return float(page.locator("#at").input_value())


def test_from_the_code_to_the_requesters_files_by_keyboard(helper: Helper, kept: BrowserContext, profile: Path) -> None:
    page = entered(helper, kept)
    require_accessible(page)
    opened(page)
    require_accessible(page)
    expect(page.locator("main")).to_contain_text("01012345678")
    page.locator("#player").focus()
    page.keyboard.press("Space")
    until(lambda: page.evaluate("window.started.length > 0") and at_s(page) > 0.2, LIMIT_S)
    assert page.evaluate("window.started[0].loud") > 0.5
    expect(page.locator("#toggle")).to_have_text("일시 정지")
    expect(page.locator("#said")).to_contain_text("재생")
    page.keyboard.press("5")
    assert SECONDS / 2 <= at_s(page) < SECONDS / 2 + 3
    page.keyboard.press("ArrowLeft")
    assert at_s(page) < SECONDS / 2 - 1
    page.keyboard.press("ArrowUp")
    expect(page.locator("#speed")).to_have_value("1.25")
    page.keyboard.press("Space")
    expect(page.locator("#toggle")).to_have_text("재생")
    stood = at_s(page)
    page.keyboard.press("ArrowRight")
    assert at_s(page) == pytest.approx(min(SECONDS, stood + 5), abs=0.2)
    page.keyboard.press("9")
    expect(page.locator("#at")).to_have_attribute(
        "aria-valuetext", "0:12 가운데 0:10, 2026. 11. 25. 오전 7시 58분 11초 GMT+9"
    )
    page.keyboard.press("Space")  # to the end, where it stops by itself
    expect(page.locator("#toggle")).to_have_text("재생")
    assert at_s(page) == SECONDS
    tab_to(page, "form[action$='/give'] button")
    page.keyboard.press("Enter")
    expect(page.locator(".note.success")).to_contain_text(f"{CALL}.wav.age")
    require_accessible(page)
    page.get_by_role("link", name=f"신청 {ID}").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(f"신청 {ID}")
    tab_to(page, "form[action$='/bundle'] button")
    page.keyboard.press("Enter")
    expect(page.locator(".note.success")).to_contain_text(f"{ID}.zip")
    require_accessible(page)
    tab_to(page, "input[name='sure']")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("도우미가 끝났습니다")
    require_accessible(page)
    assert page.evaluate("getComputedStyle(document.querySelector('.note')).borderLeftWidth") == "4px"
    helper.thread.join(LIMIT_S)
    assert not helper.thread.is_alive()
    kept.close()
    require_no_sound(helper.desk.root, helper.folder, profile)


def require_no_sound(*roots: Path) -> None:
    """Asserts that no file has the audio as mu-law, as the browser's samples, or as played."""
    mulaw = np.frombuffer(noise(SECONDS * 8000, seed=7), np.uint8)
    pcm = g711.decode(mulaw)
    wanted = [
        form[begin : begin + 48]
        for form in (mulaw.tobytes(), pcm.astype("<i2").tobytes(), (pcm / np.float32(32768)).astype("<f4").tobytes())
        for begin in range(0, len(form) - 48, len(form) // 8)
    ]
    searched = 0
    for root in roots:
        for path in root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                searched += 1
                assert not any(one in data for one in wanted), path
                assert b"01012345678" not in data, path
    assert searched > 50


def test_what_is_searched_for_is_what_was_heard(helper: Helper, tmp_path: Path) -> None:
    """The search finds a recording on a disk."""
    inside = helper.inside()
    helper.post(inside, f"/call/{CALL}/listen")
    (tmp_path / "kept").write_bytes(helper.get(inside, f"/call/{CALL}/sound?from=0&speed=1.0").content)
    with pytest.raises(AssertionError, match="kept"):
        require_no_sound(tmp_path)


def test_the_picture_and_the_table_say_the_same(helper: Helper, context: BrowserContext) -> None:
    page = entered(helper, context)
    opened(page)
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    assert [[cell.strip() for cell in row.split("\t")] for row in rows.all_inner_texts()] == [
        ["녹음 고지: hall", "5.00초", "0:00"], ["빈 구간: overrun", "0.50초", "0:06"], ["표시: 폭언", "-", "0:08"],
    ]  # fmt: skip
    colours = page.evaluate(
        """() => [0.2, 6.75 / 12, 8 / 12].map((x) => {
          const canvas = document.getElementById("wave");
          return [...canvas.getContext("2d").getImageData(Math.round(x * canvas.width), 1, 1, 1).data].join();
        })"""
    )
    assert len(set(colours)) == 3
    assert all(not colour.endswith(",0") for colour in colours)
    page.get_by_role("button", name="0:08 표시").click()
    assert at_s(page) == 8
    expect(page.locator("#player")).to_be_focused()


@pytest.mark.parametrize("look", [("ko", "dark"), ("en", "light"), ("en", "dark")], ids="-".join)
def test_in_both_languages_and_lights(helper: Helper, context: BrowserContext, look: tuple[str, str]) -> None:
    language, light = look
    page = entered(helper, context)
    opened(page)
    page.locator(f"footer button[value='{language}']").click()
    page.locator(f"footer button[value='{light}']").click()
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("#toggle")).to_have_text({"ko": "재생", "en": "Play"}[language])
    require_accessible(page)


def test_a_second_browser_and_a_wrong_code(helper: Helper, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{helper.site.url}/")
    require_accessible(page)
    page.locator("#code").fill("AAAA-AAAA")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("코드가 맞지 않습니다")
    require_accessible(page)
    entered(helper, context)
    page.goto(f"{helper.site.url}/")
    expect(page.get_by_role("alert")).to_contain_text("이미 다른 창")
    require_accessible(page)


def test_a_page_that_lies_open_goes_with_the_helper(helper: Helper, context: BrowserContext) -> None:
    page = entered(helper, context)
    page.clock.install()
    opened(page)
    expect(page.locator("main")).to_contain_text("01012345678")
    helper.server.should_exit = True
    helper.thread.join(LIMIT_S)
    page.clock.run_for(6000)
    expect(page.locator("h1")).to_have_text("도우미가 끝났습니다")
    assert "01012345678" not in page.content()
    complaints.clear()  # that nobody answers
