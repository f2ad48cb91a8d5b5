# SPDX-License-Identifier: Apache-2.0
"""Ended calls at the desk: the list, a supervisor's review, the statement for the caller, and permissions."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from calls_house import NOW_NS, UNIT, CallsHouse
from servesite import ServeSite, without_tokens
from sqlalchemy import insert, select

from linetap_core.clock import NS_PER_DAY, rfc3339
from linetap_desk.serve.database.tables import access, citizens, end_reviews
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.ended import reviews

SUPERVISOR = "approver-manager"


class House(CallsHouse):
    def fill(self) -> None:
        self.recorded("plain", UNIT, 1, 0)
        self.recorded("abuse", UNIT, 1, 600, situation="abuse", steps=["end_refused"])
        self.recorded("long", UNIT, 1, 1200, situation="overlong", seen_by="none", steps=["warned", "extended"])
        self.recorded("own", UNIT, 2, 1800, situation="prank<b>")
        self._store()
        self._copy("abuse")


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("ended"))
    house.fill()
    yield house
    house.engine.dispose()


@pytest.fixture
def served(house: House) -> Iterator[ServeSite]:
    with house.serve(more='complaints = "감사담당관 (02-120)"') as served:
        yield served


def client(served: ServeSite, role: str, language: str = "en") -> httpx.Client:
    found = served.client(role)
    found.cookies.set("__Host-linetap-language", language, domain="127.0.0.1")
    return found


def text_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200
    return " ".join(re.sub("<[^>]+>", " ", answer.text).split()).replace(" ,", ",")


def of(house: House, name: str, what: str = "call") -> str:
    return f"/ended/{what}/{UNIT}/{house.names[name]}"


def review(served: ServeSite, house: House, name: str, role: str = SUPERVISOR, **more: str) -> httpx.Response:
    fields = {"unit": UNIT, "call_id": house.names[name], "finding": "justified"} | more
    return served.post(client(served, role), "/ended/review", **fields)


def test_the_list_has_what_was_ended_and_nothing_else(served: ServeSite) -> None:
    page = client(served, "officer").get("/ended?period=2026-11")
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", page.text, re.S)
    assert len(rows) == 3
    assert "not seen: the line did not become free in time" in rows[1]
    assert "prank&lt;b&gt;" in rows[0]
    assert "No call was ended" in text_of(client(served, "officer").get("/ended?period=2025"))
    assert client(served, "officer").get("/ended?period=2026-13").status_code == 404


def test_who_ended_how_many_is_for_supervisors_and_auditors(served: ServeSite) -> None:
    for role in (SUPERVISOR, "auditor"):
        assert "2001 main-03, 1 2 Abusive language 1, Overlong call 1" in text_of(client(served, role).get("/ended"))
    for role in ("officer", "approver-legal"):
        assert "By telephone" not in client(served, role).get("/ended").text
    for role in ("watch", "vault", "custodian"):
        assert client(served, role).get("/ended").status_code == 403


def test_one_of_them_says_what_the_record_says(served: ServeSite, house: House) -> None:
    page = text_of(client(served, "officer").get(of(house, "abuse")))
    assert "Code dialled 2026-11-24 12:10:40 KST" in page
    assert "Announcement of the reason 2026-11-24 12:10:41 KST, heard whole in the captured sound" in page
    assert "Line opened 2026-11-24 12:10:52 KST" in page
    assert "Line free dial tone was heard" in page
    assert "Steps refused by the unit" in page
    links = client(served, "officer").get(of(house, "abuse")).text
    assert f"/release/ask/{UNIT}/{house.names['abuse']}" in links
    assert f"/calls/{UNIT}/{house.names['abuse']}" in links
    assert "it is in the record" in text_of(client(served, "officer").get(of(house, "long")))  # no copy here


@pytest.mark.parametrize("what", ["call", "statement"])
def test_a_call_that_nobody_ended_has_no_page(served: ServeSite, house: House, what: str) -> None:
    for path in (of(house, "plain", what), f"/ended/{what}/{UNIT}/nothing", f"/ended/{what}/{UNIT}/01012345678"):
        assert client(served, "officer").get(path).status_code == 404


def test_a_review_is_added_and_logged(served: ServeSite, house: House) -> None:
    assert review(served, house, "abuse").status_code == 303
    assert review(served, house, "abuse", finding="unjustified", remark="안내가 끝나기 전").status_code == 303
    page = client(served, SUPERVISOR).get("/ended").text
    assert (page.count("To be reviewed"), page.count("Not justified")) == (2, 1)
    shown = text_of(client(served, "officer").get(of(house, "abuse")))
    assert shown.index("안내가 끝나기 전") < shown.index("Justified :")  # the newest first, without omissions
    with served.site.own.connect() as db:
        logged = db.execute(select(access.c.calls, access.c.remark).where(access.c.act == "ended_review")).all()
    assert [(house.names["abuse"] in row.calls, row.remark) for row in logged] == [
        (True, "justified"), (True, "unjustified"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "more", [{"finding": "good"}, {"finding": "unjustified"}, {"remark": "x" * 301}, {"remark": "010-1234-5678"}]
)
def test_a_review_that_says_too_little_or_too_much_is_refused(
    served: ServeSite, house: House, more: dict[str, str]
) -> None:
    answer = review(served, house, "abuse", **more)
    assert (answer.status_code, "bad_input" in answer.text) == (409, True)
    with served.site.own.connect() as db:
        assert db.execute(select(end_reviews)).all() == []


def test_only_a_supervisor_reviews(served: ServeSite, house: House) -> None:
    for role in ("officer", "approver-legal", "auditor"):
        assert review(served, house, "abuse", role).status_code == 403
    assert review(served, house, "plain").status_code == 404


def test_what_waits_is_on_the_first_page(served: ServeSite, house: House) -> None:
    assert "Ended calls without a review 3" in text_of(client(served, SUPERVISOR).get("/"))
    review(served, house, "long")
    assert "Ended calls without a review 2" in text_of(client(served, SUPERVISOR).get("/"))
    assert "Ended calls without a review" not in client(served, "officer").get("/").text
    with house.engine.begin() as db:
        db.exec_driver_sql("ALTER TABLE calls RENAME TO away")
    assert client(served, SUPERVISOR).get("/").status_code == 200  # whatever the state of the ingest's database


def test_the_statement_says_why_by_what_law_and_where_to_complain(served: ServeSite, house: House) -> None:
    page = text_of(client(served, "officer", "ko").get(of(house, "abuse", "statement")))
    for said in (
        "폭언",
        "담당자가 판단",
        "「민원 처리에 관한 법률」 제4조제2항",
        "감사담당관 (02-120)",
        "국번 없이 110",
        "민원실",
    ):
        assert said in page
    assert "2026-11-24 12:10:00 KST" in page
    assert "2001" not in without_tokens(page)  # no extension, which would identify a person
    assert "01012345678" not in page
    assert "prank&lt;b&gt;" in client(served, "officer").get(of(house, "own", "statement")).text


class TestForACitizen:
    def request(self, served: ServeSite, called_on: str = "2026-11-24") -> str:
        row = {
            "id": "C2026-0007", "alias": "홍길동", "digits": "5678", "called_on": called_on, "asked": "listen",
            "verified": "id_card", "received_on": "2026-11-24", "counted_from": "2026-11-24",
            "registered_by": "officer", "registered_at": rfc3339(NOW_NS),
        }  # fmt: skip
        with writing(served.site.own) as db:
            db.execute(insert(citizens).values(**row))
        return str(row["id"])

    def ask(self, served: ServeSite, named: str, call_id: str, role: str = "officer") -> httpx.Response:
        return client(served, role).get(f"/citizen/{named}/ended?ended_unit={UNIT}&ended_call={call_id}")

    def test_the_statement_has_the_number_of_the_request(self, served: ServeSite, house: House) -> None:
        named = self.request(served)
        assert f"Receipt number {named}" in text_of(self.ask(served, named, house.names["long"]))
        assert self.ask(served, named, house.names["long"], "custodian").status_code == 403
        with served.site.own.connect() as db:
            (row, *_) = db.execute(select(access).where(access.c.act == "citizen_print")).all()
        assert house.names["long"] in row.calls

    @pytest.mark.parametrize(
        ("name", "day", "code"),
        [("plain", "2026-11-24", "citizen_not_ended"), ("long", "2026-11-23", "citizen_other_day"),
         ("", "2026-11-24", "citizen_no_call")],
    )  # fmt: skip
    def test_another_call_is_refused(self, served: ServeSite, house: House, name: str, day: str, code: str) -> None:
        answer = self.ask(served, self.request(served, day), house.names.get(name, "nothing"))
        assert (answer.status_code, code in answer.text) == (409, True)


def test_reviews_are_kept_as_long_as_the_access_log(served: ServeSite, house: House) -> None:
    with writing(served.site.own) as db:
        reviews.add(db, (UNIT, "old"), "justified", "", "kim", NOW_NS - NS_PER_DAY)
    review(served, house, "abuse")
    reviews.prune(served.site.own)
    with served.site.own.connect() as db:
        assert [row.call_id for row in db.execute(select(end_reviews))] == [house.names["abuse"]]
