# SPDX-License-Identifier: Apache-2.0
"""The monthly review: its figures, and who may sign it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from servesite import ServeSite
from sqlalchemy import select

from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_desk.serve.database.accesslog import REFUSED, SHOWN, Subject, verify_chain
from linetap_desk.serve.database.tables import access
from linetap_desk.serve.review import review

MONTH = "2026-10"
DEEDS = [  # Korean time is nine hours ahead: the first is Thursday 1 October 00:30, the last Saturday 31 October 23:59
    ("2026-09-30T14:59:59Z", "kim", "view", SHOWN),
    ("2026-09-30T15:30:00Z", "kim", "view", SHOWN),  # at night
    ("2026-10-06T23:00:00Z", "kim", "view", SHOWN),  # Wednesday 08:00: within hours
    ("2026-10-07T09:59:00Z", "kim", "search", SHOWN),  # 18:59
    ("2026-10-07T10:00:00Z", "kim", "play", SHOWN),  # 19:00: after hours
    ("2026-10-08T01:00:00Z", "kim", "view", REFUSED),
    ("2026-10-08T01:00:00Z", "lee", "export_bundle", SHOWN),
    ("2026-10-08T01:00:00Z", "", "login", REFUSED),
    ("2026-10-08T01:00:00Z", "lee", "login", "done"),
    ("2026-10-10T03:00:00Z", "former", "view_call", SHOWN),  # Saturday noon
    ("2026-10-31T14:59:59Z", "kim", "view", SHOWN),
    ("2026-10-31T15:00:00Z", "kim", "view", SHOWN),
]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(parse_rfc3339("2026-09-30T00:00:00Z"), NS_PER_S)


@pytest.fixture
def served(run_dir: Path, clock: ManualClock) -> Iterator[ServeSite]:
    with ServeSite(run_dir / "site", clock) as served:
        for at, person, act, outcome in DEEDS:
            clock.step_utc(parse_rfc3339(at) - clock.utc_ns())
            served.site.access.append(person, "10.0.0.7", act, Subject(calls=("CALL",), purpose="complaint"), outcome)
        clock.step_utc(parse_rfc3339("2026-11-02T01:00:00Z") - clock.utc_ns())
        yield served


def test_the_figures_are_of_the_month_in_the_desks_zone(served: ServeSite) -> None:
    span = review.span_of(MONTH, served.site.pages)
    assert span is not None
    with served.site.own.connect() as db:
        found = review.figures(db, span, served.site.settings, served.site.pages)
    assert {one.person: (one.views, one.searches, one.exports, one.out_of_hours, one.refused) for one in found} == {
        "": (0, 0, 0, 0, 1),
        "former": (1, 0, 0, 1, 0),
        "kim": (3, 1, 1, 3, 1),
        "lee": (0, 0, 1, 0, 0),
    }


def test_which_months_there_are(served: ServeSite) -> None:
    page = served.client("auditor").get("/review").text
    assert re.findall(r'href="/review/(\S+)"', page) == ["2026-11", "2026-10", "2026-09"]


def test_signed_once_and_it_stands_in_the_chain(served: ServeSite) -> None:
    client = served.client("auditor", name="park")
    assert "kim" in client.get(f"/review/{MONTH}").text
    assert served.post(client, f"/review/{MONTH}", remark="  ").status_code == 409
    assert served.post(client, f"/review/{MONTH}", remark="x" * 301).status_code == 409
    assert served.post(client, f"/review/{MONTH}", remark="<b>이상 없음</b> 010-1234-5678").status_code == 303
    page = client.get(f"/review/{MONTH}").text
    assert "&lt;b&gt;이상 없음&lt;/b&gt; 010-****-5678" in page
    assert "<textarea" not in page
    answer = served.post(client, f"/review/{MONTH}", remark="once more")
    assert answer.status_code == 409
    with served.site.own.connect() as db:
        rows = db.execute(select(access).where(access.c.act == review.SIGNED)).all()
        verify_chain(db)
    assert [(row.person, row.terms, row.address) for row in rows] == [("park", MONTH, "127.0.0.1")]


def test_nobody_signs_what_they_did_themselves(served: ServeSite) -> None:
    client = served.client("auditor", name="former")
    answer = served.post(client, f"/review/{MONTH}", remark="fine")
    assert answer.status_code == 409
    assert "다른 감사 담당자" in answer.text
    assert "fine" in answer.text, "what was typed is not lost"
    other = served.client("auditor", name="park")
    other.get(f"/review/{MONTH}")  # having viewed the review is no obstacle
    assert served.post(other, f"/review/{MONTH}", remark="fine").status_code == 303


def test_a_month_that_is_not_over(served: ServeSite, clock: ManualClock) -> None:
    client = served.client("auditor")
    assert served.post(client, "/review/2026-11", remark="fine").status_code == 409
    clock.step_utc(parse_rfc3339("2026-11-30T15:00:00Z") - clock.utc_ns())
    client = served.client("auditor")
    assert served.post(client, "/review/2026-11", remark="fine").status_code == 303


def test_one_persons_rows_in_pages(served: ServeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "A_PAGE", 2)
    client, path, times = served.client("auditor"), f"/review/{MONTH}/rows?person=kim", []
    for _ in range(4):
        page = client.get(path).text
        times += re.findall(r'<time datetime="(\S+)"', page)
        following = re.search(r'href="(\S+after=\d+)"', page)
        if following is None:
            break
        path = following[1].replace("&amp;", "&")
    assert times == [rfc(at) for at, person, *_ in DEEDS[1:-1] if person == "kim"]
    assert "로그인하지 않은 사람" in client.get(f"/review/{MONTH}/rows?person=").text


def rfc(at: str) -> str:
    return at.replace("Z", ".000Z")


@pytest.mark.parametrize("path", ["/review/2026-13", "/review/x", "/review/2026-1", "/review/1999-01"])
def test_no_such_month(served: ServeSite, path: str) -> None:
    assert served.client("auditor").get(path).status_code == 404


@pytest.mark.parametrize("after", ["-1", "x", "9" * 20, "٣"])
def test_no_such_place(served: ServeSite, after: str) -> None:
    assert served.client("auditor").get(f"/review/{MONTH}/rows", params={"after": after}).status_code == 400


def test_to_look_at_it_is_written_too(served: ServeSite) -> None:
    served.client("auditor", name="park").get(f"/review/{MONTH}/rows?person=kim")
    with served.site.own.connect() as db:
        row = db.execute(select(access).order_by(access.c.seq.desc()).limit(1)).one()
    assert (row.person, row.act, row.terms) == ("park", "review", f"{MONTH} kim")
