# SPDX-License-Identifier: Apache-2.0
"""`linetap search` as in operation: the command with its ticket, its pages on the loopback, a real browser."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from program_rig import InThread
from search_house import UNIT, ZONE, SearchHouse
from servesite import chromium, require_accessible

import windows_like
from broker import until
from linetap_desk.custody import serving
from linetap_desk.custody.program.settings import Settings
from linetap_desk.custody.search import pages
from linetap_desk.custody.search.session import SearchSession
from linetap_desk.custody.site import Admission, CasePages
from linetap_desk.web import secure

NUMBER = "01012345678"
LIMIT_S = 120
FORM = {"kind": "number", "text": "010-1234-5678", "from": "2026-11-24", "to": "2026-11-24"}


@pytest.fixture
def house(tmp_path: Path, run_dir: Path) -> Iterator[SearchHouse]:
    house = SearchHouse(tmp_path, run_dir)
    with house.served:
        yield house
        house.close()


class SearchHelper:
    """The pages of a session, in a thread."""

    def __init__(self, house: SearchHouse, session: SearchSession) -> None:
        self.held = contextlib.ExitStack()
        at = self.held.enter_context(serving.listening(0))
        url = serving.url_of(at)
        look = CasePages(ZONE, "linetap_desk.custody")
        self.site = pages.SearchSite(Admission(), look, house.clock, url, 900, session)
        self.server = serving.server(self.site, pages.make_app(self.site))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [at]})
        self.thread.start()
        self.held.callback(self._end)
        until(lambda: self.server.started or not self.thread.is_alive(), LIMIT_S)

    def _end(self) -> None:
        self.server.should_exit = True
        self.thread.join(LIMIT_S)
        assert not self.thread.is_alive()

    def inside(self) -> httpx.Client:
        return entered(self.held, self.site.url, self.site.admission.code)

    def search(self, client: httpx.Client, **more: str) -> httpx.Response:
        return searched(client, self.site.url, self.site.admission.room, **more)


def entered(held: contextlib.ExitStack, url: str, code: str) -> httpx.Client:
    client = held.enter_context(httpx.Client(base_url=url, timeout=LIMIT_S))
    answer = client.post("/", data={"code": code}, headers={"origin": url})
    assert answer.status_code == 303, answer.text
    return client


def searched(client: httpx.Client, url: str, room: str, **more: str) -> httpx.Response:
    token = secure.token_of(str(client.cookies.get("linetap-custody")))
    return client.post(f"{room}/", data={secure.FIELD: token, **FORM, **more}, headers={"origin": url})


@pytest.fixture
def helper(house: SearchHouse) -> Iterator[SearchHelper]:
    house.copied(NUMBER, "0212340000")
    helper = SearchHelper(house, house.session())
    with helper.held:
        yield helper


def test_a_number_is_typed_into_a_form_and_stands_in_no_address(house: SearchHouse, helper: SearchHelper) -> None:
    client = helper.inside()
    answer = helper.search(client)
    assert answer.status_code == 200
    assert NUMBER in answer.text
    assert f"{house.served.url}/release/ask/{UNIT}/" in answer.text
    links = re.findall(r'(?:href|action)="([^"]+)"', answer.text)
    assert not any(part in link for link in links for part in (NUMBER, "12345678", "5678"))
    assert "no-store" in answer.headers["cache-control"]
    assert len(house.rows()) == 1


def test_nobody_searches_without_the_code(helper: SearchHelper) -> None:
    stranger = helper.held.enter_context(httpx.Client(base_url=helper.site.url, timeout=LIMIT_S))
    answer = stranger.post(f"{helper.site.admission.room}/", data=FORM, headers={"origin": helper.site.url})
    assert answer.status_code == 403
    client = helper.inside()
    assert (
        client.post(f"{helper.site.admission.room}/", data=FORM, headers={"origin": helper.site.url}).status_code == 400
    )


@pytest.mark.parametrize(
    "more", [{"text": "12"}, {"kind": "everything"}, {"from": "soon"}, {"to": "2027-01-01"}, {"text": ""}]
)
def test_what_cannot_be_searched_is_answered_in_one_line(helper: SearchHelper, more: dict[str, str]) -> None:
    answer = helper.search(helper.inside(), **more)
    assert answer.status_code == 409
    assert 'id="error"' in answer.text


def test_where_the_desk_logs_nothing_the_page_says_so(house: SearchHouse, helper: SearchHelper) -> None:
    client = helper.inside()
    house.served.site.finding.end(helper.site.session._connection._token)
    answer = helper.search(client)
    assert answer.status_code == 409
    assert "search_not_logged" in answer.text
    assert 'id="found"' not in answer.text


def test_in_a_browser_from_the_reason_to_the_release(house: SearchHouse, helper: SearchHelper) -> None:
    """With axe-core on each page; in Korean, the default."""
    with chromium() as browser, contextlib.ExitStack() as held:
        page = browser.new_page()
        held.callback(page.context.close)
        page.set_default_timeout(LIMIT_S * 1000)
        page.goto(f"{helper.site.url}/")
        page.fill("#code", helper.site.admission.code)
        page.keyboard.press("Enter")
        expect(page.locator("#whole")).to_be_visible()
        require_accessible(page)
        page.fill("#text", "5678")
        page.keyboard.press("Enter")
        link = page.locator("td a")
        expect(link).to_have_count(1)
        require_accessible(page)
        assert "5678" not in page.url
        assert "5678" not in str(link.get_attribute("href"))
        (house.central.folder.folder / house.unit.names()[0]).unlink()
        helper.site.session.load()
        page.goto(f"{helper.site.url}{helper.site.admission.room}/")
        expect(page.locator("#gaps")).to_contain_text(UNIT)
        require_accessible(page)


@pytest.mark.parametrize("on_windows", [False, True])
def test_the_command_with_its_ticket(house: SearchHouse, tmp_path: Path, on_windows: bool) -> None:
    house.copied(NUMBER)
    program = [windows_like.__file__, str(tmp_path)] if on_windows else ["-m", "linetap"]
    words = [
        sys.executable, *program, "search", "--desk", house.served.url, "--ca", str(house.served.ca),
        "--identity", str(house.key), "--desk-folder", str(house.people.folder),
    ]  # fmt: skip
    running = subprocess.Popen(
        words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"LINETAP_DESK": ""}
    )
    with running, contextlib.ExitStack() as held:
        held.callback(running.terminate)
        assert running.stdin is not None
        assert running.stderr is not None
        running.stdin.write(f"{house.ticket()}\n")
        running.stdin.close()
        said = ""
        while (line := running.stderr.readline()) and "code: " not in line:
            said += line
        assert "1 of 1 units" in said, said + line
        url = said.split()[-1].rstrip("/")
        client = entered(held, url, line.removeprefix("code: ").strip())
        room = next(cookie.path for cookie in client.cookies.jar)
        answer = searched(client, url, room)
        assert NUMBER in answer.text
        assert len(house.rows()) == 1


def test_a_search_in_the_program(house: SearchHouse) -> None:
    house.copied(NUMBER)
    chosen = Settings(desk=house.served.url, ca=str(house.served.ca), output=str(house.people.root))
    with InThread(house.people, chosen) as run:
        assert "no index key is chosen" in run.browser.refused("/find", ticket=house.ticket())
        run.browser.choose("index", house.key)
        page = run.browser.do("/find", ticket=house.ticket())
        assert 'name="text"' in page
        answer = run.browser.post("/search/", **FORM)
        assert NUMBER in answer.text
        assert len(house.rows()) == 1
        assert NUMBER not in (house.people.folder / "program.json").read_text()
    assert run.program.search is not None
