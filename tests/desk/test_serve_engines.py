# SPDX-License-Identifier: Apache-2.0
"""The desk's pages in Firefox and in WebKit, Safari's engine; all other tests view them in Chromium. The ministry's
check of public web sites asks for three browsers (3종 이상 웹 브라우저: 디지털타임스, 2011-03-24).
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from engine import Engine
from firefox import Firefox, firefox
from fleet_rig import Speaking, fleet_site
from picture_list import SHOTS, Shot
from picture_site import PictureSite
from servesite import LIMIT_S, ServeSite
from watch_rig import LINE
from webkit import webkit

from broker import Broker, until
from linetap_desk.serve.live.journal import Reader
from linetap_desk.serve.people import sessions
from linetap_desk.web import text
from linetap_desk.web.pages import LANGUAGE_COOKIE

ROOT = Path(__file__).parents[2]
(PAPER,) = (shot for shot in SHOTS if shot.name == "paper")
WRONG = "아이디 또는 비밀번호가 맞지 않습니다."
WITH_SESSION = [shot for shot in SHOTS if not shot.locked and not shot.waits]


@pytest.fixture(scope="module", params=[firefox, webkit], ids=lambda engine: engine.__name__)
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with request.param(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureSite]:
    with PictureSite.opened(tmp_path_factory.mktemp("pages") / "site") as site:
        yield site


def log_in(browser: Engine, served: ServeSite, *roles: str) -> None:
    browser.forget()
    browser.open(f"{served.url}/login")
    if roles:
        browser.cookie(sessions.COOKIE, served.session(*roles))


@pytest.mark.parametrize("shot", WITH_SESSION, ids=lambda shot: shot.name)
def test_a_page_is_whole_on_a_narrow_screen(site: PictureSite, browser: Engine, shot: Shot) -> None:
    log_in(browser, site.served, *filter(None, [shot.role]))
    browser.open(site.served.url + site.address(shot))
    assert browser.run("return document.documentElement.lang") == "ko"
    assert browser.run("return getComputedStyle(document.querySelector('main')).display") != "inline", "a style sheet"
    assert browser.beyond_the_edge() == []


def pages(browser: Firefox, to: Path) -> int:
    to.write_bytes(browser.printed())
    words = ["pdfinfo", str(to)]
    found = subprocess.run(words, capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
    assert re.search(r"^Page size: .*\(A4\)$", found, re.MULTILINE)
    return int(re.findall(r"^Pages: +(\d+)$", found, re.MULTILINE)[0])


@pytest.mark.parametrize("browser", [firefox], indirect=True, ids=["firefox"])  # WebKit's driver does not print
def test_the_staffs_sheet_prints_on_one_page(browser: Firefox, tmp_path: Path) -> None:
    browser.open((ROOT / "docs/ending-a-call-sheet.html").as_uri())
    assert pages(browser, tmp_path / "sheet.pdf") == 1


@pytest.mark.parametrize("browser", [firefox], indirect=True, ids=["firefox"])
@pytest.mark.parametrize("language", text.LANGUAGES)
def test_a_units_page_prints_on_both_sides_of_a_sheet(
    site: PictureSite, browser: Firefox, tmp_path: Path, language: str
) -> None:
    log_in(browser, site.served, "officer")
    browser.cookie(LANGUAGE_COOKIE, language)
    for path in ("/adoption/paper", PAPER.address):
        browser.open(f"{site.served.url}{path}")
        assert browser.run("return document.documentElement.lang") == language
        assert pages(browser, tmp_path / "paper.pdf") == 2


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[tuple[ServeSite, Speaking]]:
    with (
        Broker(tmp_path / "broker", saves=False) as broker,
        fleet_site(tmp_path / "site", broker.port, '["본관"]\nmain-01 = 1\n') as served,
        contextlib.closing(Speaking(broker.port)) as speaking,
    ):
        yield served, speaking


def shows(browser: Engine, state: str) -> bool:
    """Whether the page shows this state of line 2."""
    line = """document.querySelector('[data-unit="main-01"] [data-line="2"]')"""
    return bool(browser.run(f"return {line}?.dataset.state") == state)


def text_of(browser: Engine) -> str:
    return f"the page shows: {browser.run("return document.querySelector('main').innerText")}"


def press_pause(browser: Engine) -> None:
    """Presses the button by script: a driver's mouse may miss a button that a change of the page above it moves."""
    label = "return document.querySelector('#pause').textContent"
    before = browser.run(label)
    browser.run("document.querySelector('#pause').click()")
    until(lambda: browser.run(label) != before, LIMIT_S, partial(text_of, browser))


def test_a_line_changes_by_itself_and_not_while_paused(browser: Engine, floor: tuple[ServeSite, Speaking]) -> None:
    served, unit = floor
    unit.is_well("main-01", 4)
    log_in(browser, served, "officer")
    browser.open(f"{served.url}/fleet")
    for state in ("idle", "ringing", "recording"):
        unit.say("main-01", "line/2", {**LINE, "state": state})
        until(partial(shows, browser, state), LIMIT_S)
    press_pause(browser)
    unit.say("main-01", "line/2", {**LINE, "state": "idle"})
    until(lambda: served.site.fleet.state(Reader(False, "ko"))[2][0]["lines"]["2"]["state"] == "idle", LIMIT_S)
    assert shows(browser, "recording")
    press_pause(browser)
    until(partial(shows, browser, "idle"), LIMIT_S, partial(text_of, browser))


def test_a_wrong_password_is_told(browser: Engine, floor: tuple[ServeSite, Speaking]) -> None:
    served, _ = floor
    log_in(browser, served)
    browser.write("#name", "kim")
    browser.write("#password", "wrong")
    browser.click("form[action='/login'] button")
    until(lambda: browser.run("return document.querySelector('[role=alert]')?.textContent.trim()") == WRONG, LIMIT_S)
