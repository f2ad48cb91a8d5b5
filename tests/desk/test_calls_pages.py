# SPDX-License-Identifier: Apache-2.0
"""The pages of calls in a real browser: found, read, walked by keyboard, without script, in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import quote

import httpx
import pytest
from calls_house import OTHER, UNIT, CallsHouse
from calls_rig import EVIL, fill, recorded
from playwright.sync_api import Browser, Dialog, Page
from servesite import ServeSite, require_accessible
from sqlalchemy import select, update

from linetap_desk.ingest import tables
from linetap_desk.serve.calls import form
from linetap_desk.serve.database.tables import access

SPAN = "from=2026-11-24T12:00&to=2026-11-24T14:00"
MANY = "many-01"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CallsHouse]:
    house = CallsHouse(tmp_path_factory.mktemp("calls"))
    house.fill()
    fill(house.engine, [recorded(MANY, 1, seconds=60 * n) for n in range(120)])
    yield house
    house.engine.dispose()


@pytest.fixture(scope="module")
def served(house: CallsHouse) -> Iterator[ServeSite]:
    with house.serve() as served:
        yield served


@pytest.fixture(scope="module")
def officer(served: ServeSite) -> httpx.Client:
    client = served.client("officer")
    client.cookies.set("__Host-linetap-language", "en", domain="127.0.0.1")
    return client


def of(house: CallsHouse, name: str, unit: str = UNIT) -> str:
    return f"/calls/{unit}/{house.names[name]}"


class TestInTheBrowser:
    def test_by_keyboard_alone(self, served: ServeSite, browser: Browser) -> None:
        page = served.page(browser, "/calls", "officer")
        page.get_by_label("기기", exact=True).focus()
        page.keyboard.type(UNIT)
        page.keyboard.press("Tab")
        page.keyboard.type("2")
        page.keyboard.press("Enter")
        page.wait_for_url("**/calls/found?**")
        rows = page.locator("tbody tr")
        assert [row.split("\t")[3] for row in rows.all_inner_texts()] == [
            "녹음하지 않음: 폐기: 고지를 재생하지 못함",
            "녹음하지 않음: 정책에 따라 제외: 내부 통화",
            "녹음됨",
        ]
        assert page.get_by_label("기기", exact=True).input_value() == UNIT
        page.get_by_role("link", name="2026-11-24 12:15:00 KST").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/calls/main-03/**")
        assert "보존 중" in page.locator("main").inner_text()

    def test_without_script_page_after_page(self, served: ServeSite, browser: Browser) -> None:
        with_script = served.context(browser, "auditor")
        plain = browser.new_context(ignore_https_errors=True, java_script_enabled=False)
        plain.add_cookies(with_script.cookies())  # type: ignore[arg-type]
        page = plain.new_page()
        page.goto(f"{served.url}/calls")
        page.locator("#unit").fill(MANY)
        self.go(page, "button", "찾기")
        seen: list[str] = []
        for count in (50, 50, 20):
            found = page.locator("tbody th time").all_inner_texts()
            assert len(found) == count
            seen += found
            if count == 50:
                self.go(page, "link", "더 이전")
        assert seen == sorted(set(seen), reverse=True)
        assert page.get_by_role("link", name="더 이전").count() == 0
        self.go(page, "link", "더 최근")
        assert page.locator("tbody th time").all_inner_texts() == seen[50:100]
        self.go(page, "link", "가장 최근")
        assert page.locator("tbody th time").all_inner_texts() == seen[:50]

    def go(self, page: Page, role: Literal["button", "link"], name: str) -> None:
        """Opens the next page, from which later reads are."""
        with page.expect_navigation():
            page.get_by_role(role, name=name).click()

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_for_everybody(self, served: ServeSite, browser: Browser, house: CallsHouse, scheme: str) -> None:
        page = served.page(browser, "/calls", "officer", scheme=scheme)
        require_accessible(page)
        for path in (
            "/calls/found",
            f"/calls/found?unit={OTHER}&{SPAN}",
            "/calls/found?line=x&from=y&state=z",
            of(house, "marked"),
            of(house, "held"),
            of(house, "gone", OTHER),
        ):
            page.goto(f"{served.url}{path}")
            require_accessible(page)

    def test_script_in_every_field_stays_text(self, served: ServeSite, browser: Browser, house: CallsHouse) -> None:
        page, said = served.page(browser, "/calls", "officer"), list[str]()

        def asked(dialog: Dialog) -> None:
            said.append(dialog.message)
            dialog.dismiss()

        page.on("dialog", asked)
        page.on("pageerror", lambda error: said.append(str(error)))
        for name in (*form.FIELDS, "page"):
            page.goto(f"{served.url}/calls/found?{name}={quote(EVIL)}")
            self.has_no_script_of_others(page)
        for path in (of(house, "evil"), f"/calls/{quote(EVIL, safe='')}/{quote(EVIL, safe='')}", of(house, "held")):
            page.goto(f"{served.url}{path}")
            self.has_no_script_of_others(page)
        assert EVIL in page.locator("main").inner_text(), "the hold's own words are shown as words"
        assert said == []

    def has_no_script_of_others(self, page: Page) -> None:
        assert page.locator("script:not([src])").count() == 0


class TestNothing:
    """The reasons for an empty result have different texts."""

    def said(self, officer: httpx.Client, query: str) -> str:
        answer = officer.get(f"/calls/found?{query}")
        assert answer.status_code == 200
        return answer.text

    def test_no_call(self, officer: httpx.Client) -> None:
        said = self.said(officer, f"unit={UNIT}&line=7&{SPAN}")
        assert "No call</strong>: the desk was connected to the unit the whole time" in said
        assert "No call</strong>" not in self.said(officer, f"unit={UNIT}&line=1&{SPAN}")

    def test_nobody_heard_it(self, officer: httpx.Client) -> None:
        said = self.said(officer, f"unit={OTHER}&line=7&{SPAN}")
        assert "Unit was off or not connected" in said
        assert "the unit was not connected" in said
        assert "No call</strong>" not in said

    def test_policy(self, officer: httpx.Client) -> None:
        said = self.said(officer, f"unit={UNIT}&line=2&{SPAN}&disposition=recorded&direction=in")
        assert "Excluded by policy</strong>: not recorded: skipped by policy (an internal call): 1 call" in said

    def test_destroyed(self, officer: httpx.Client) -> None:
        said = self.said(officer, f"unit={OTHER}&line=2&{SPAN}&mark=abuse")
        assert "Destroyed</strong>: 1 call." in said
        assert "cannot find these" in said

    def test_without_a_place_it_says_what_to_name(self, officer: httpx.Client) -> None:
        assert "Choose one unit" in self.said(officer, "mark=abuse&from=2027-01-01")

    def test_a_number_is_the_custodians(self, officer: httpx.Client) -> None:
        assert "linetap find --number" in officer.get("/calls").text

    def test_only_a_part_was_searched(self, officer: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("CHUNK", "BUDGET", "LEAST"):
            monkeypatch.setattr("linetap_desk.calls.query." + name, 40)
        said = self.said(officer, f"unit={MANY}&disposition=fax")
        assert "Nothing was found so far" in said
        assert 'rel="next"' in said


class TestOneCall:
    def test_all_that_is_known(self, officer: httpx.Client, house: CallsHouse) -> None:
        said = officer.get(of(house, "marked")).text
        for word in (
            "heard whole in the captured sound, -6.2 dB",
            "at 12.5 s, 40 ms",
            "at 20.0 s",
            "2027-11-25 00:00:00 KST",
            "민원실",
            "head over 77 leaves",
            f"{house.copies}/{UNIT}/2026/11/24/{house.names['marked']} --signers allowed_signers",
        ):
            assert word in said
        assert said.count("signature verified") == 5
        assert not re.search(r"010\D{0,2}1234|1234\D{0,2}5678", said), "the dialled number"

    def test_who_sat_there_then(self, officer: httpx.Client, house: CallsHouse) -> None:
        assert "세무과" in officer.get(of(house, "taxes")).text
        assert "세무과" not in officer.get(of(house, "plain")).text

    def test_of_one_that_is_destroyed_little(self, officer: httpx.Client, house: CallsHouse) -> None:
        said = officer.get(of(house, "gone", OTHER)).text
        assert "This call is destroyed." in said
        assert said.count("cleared: number and hash alone are kept") == 4
        assert "Answered" not in said
        assert "linetap verify" not in said

    def test_an_event_that_was_changed_is_seen(self, officer: httpx.Client, house: CallsHouse) -> None:
        ended = (tables.events.c.call_id == house.names["taxes"], tables.events.c.event == "ended")
        with house.engine.begin() as db:
            payload = db.execute(select(tables.events.c.payload).where(*ended)).scalar_one()
            db.execute(update(tables.events).where(*ended).values(payload=payload.replace(b"55.0", b"56.0")))
        said = officer.get(of(house, "taxes")).text
        assert said.count("signature verified") == 3
        assert "badge danger" in said

    def test_a_record_that_was_changed_is_not_believed(self, officer: httpx.Client, house: CallsHouse) -> None:
        (record,) = house.copies.rglob("record.json")
        data = record.read_bytes()
        try:
            record.write_bytes(data.replace(b'"full"', b'"none"'))
            said = officer.get(of(house, "marked")).text
            assert "is not the one that the unit has signed" in said
            assert "Notice proof" not in said
        finally:
            record.write_bytes(data)

    @pytest.mark.parametrize(
        "path", [f"/calls/{UNIT}/20261124T000000.000Z-L01", "/calls/x/..%2F..%2Fetc", "/calls/%00/x"]
    )
    def test_there_is_none(self, officer: httpx.Client, path: str) -> None:
        assert officer.get(f"/calls/{path}").status_code == 404


class TestLogged:
    def last(self, served: ServeSite) -> dict[str, str]:
        with served.site.own.connect() as db:
            return dict(db.execute(select(access).order_by(access.c.seq.desc()).limit(1)).mappings().one())

    def test_before_it_is_shown(self, served: ServeSite, officer: httpx.Client, house: CallsHouse) -> None:
        officer.get(f"/calls/found?unit={UNIT}&line=2&case=2026-117&extension=010-1234-5678")
        last = self.last(served)
        assert (last["person"], last["act"], last["case_number"]) == ("officer", "search", "2026-117")
        assert last["terms"] == f"unit={UNIT} line=2 extension=010-****-5678"
        officer.get(of(house, "plain"))
        last = self.last(served)
        assert (last["act"], last["calls"], last["terms"]) == ("view", house.names["plain"], UNIT)

    def test_the_wall_sees_no_calls(self, served: ServeSite, house: CallsHouse) -> None:
        watch = served.client("watch")
        assert [watch.get(path).status_code for path in ("/calls", "/calls/found", of(house, "plain"))] == [403] * 3
        assert self.last(served)["outcome"] == "refused"


def test_where_there_is_no_database(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ServeSite(tmp_path_factory.mktemp("bare")) as served:
        client = served.client("officer")
        assert client.get("/calls").status_code == 200
        assert client.get("/calls/found").status_code == 503
        assert client.get("/calls/a/b").status_code == 503
