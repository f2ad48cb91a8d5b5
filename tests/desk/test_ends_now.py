# SPDX-License-Identifier: Apache-2.0
"""A supervisor is notified of calls being ended, on any open page: from signed events, without a name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from calls_house import NOW_NS, UNIT, CallsHouse, name_of
from playwright.sync_api import Browser, expect
from servesite import ServeSite, require_accessible
from sqlalchemy import event, select

from ingest_rig import trusted
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_desk.ingest.store import Store
from linetap_desk.serve.database.tables import access
from linetap_desk.serve.ended import endingcalls

SUPERVISOR = "approver-manager"
AT_S = 6 * 3600  # of the house's noon: NOW_NS
BEING_ENDED = "통화 종료 안내 중: 본관 3, 소속 미지정, 3번 회선(main-03), 17:59:30부터"


class House(CallsHouse):
    """`seconds`: before NOW_NS."""

    def begins(self, name: str, line: int, seconds: int) -> None:
        call_id = self.names[name] = name_of(NOW_NS - seconds * NS_PER_S, line)
        self.tell("started", UNIT, call_id, line, AT_S - seconds, direction="in")

    def says(self, name: str, line: int, seconds: float, event: str, **more: object) -> None:
        self.tell(event, UNIT, self.names[name], line, AT_S - seconds, **more)

    def store_now(self) -> None:
        """Stores all reports as received at NOW_NS, whatever the unit's clock says."""
        for teller in self.tellers.values():
            reports = [replace(report, received_ns=NOW_NS) for report in teller.reports()]
            Store(self.engine).write(reports, trusted(*self.tellers.values()))

    def fill(self) -> None:
        self.begins("ending", 3, 300)
        self.says("ending", 3, 30, "ending", situation="abuse")
        self._store()

    def store(self) -> None:
        self._store()


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("ends"))
    house.fill()
    yield house
    house.engine.dispose()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS)


@pytest.fixture
def served(house: House, clock: ManualClock) -> Iterator[ServeSite]:
    with house.serve(clock) as served:
        yield served


def told(served: ServeSite) -> list[tuple[str, str]]:
    answer = served.client(SUPERVISOR).get("/ended/now")
    assert answer.status_code == 200
    return [(one["state"], one["text"]) for one in answer.json()]


def test_a_call_that_is_being_ended_is_told_where_it_is(served: ServeSite) -> None:
    assert told(served) == [("ending", BEING_ENDED)]


@pytest.mark.parametrize(
    ("steps", "states"),
    [
        ([("end_refused", 5)], ["goes_on"]),
        ([("end_cancelled", 5)], []),
        ([("end_cancelled", 20), ("ending", 5)], ["ending"]),
        ([("ended", 5)], ["ended"]),
    ],
)
def test_what_becomes_of_it(house: House, served: ServeSite, steps: list[tuple[str, float]], states: list[str]) -> None:
    for kind, seconds in steps:
        more = {"seen_by": "staff", "disposition": "recorded"} if kind == "ended" else {}
        house.says("ending", 3, seconds, kind, situation="abuse", **more)
    house.store()
    assert [state for state, _ in told(served)] == states


def test_a_code_that_was_refused_at_once_is_no_end(house: House, served: ServeSite) -> None:
    house.begins("refused", 1, 100)
    house.says("refused", 1, 20, "end_refused", situation="abuse", why="emergency")
    house.store()
    assert [state for state, _ in told(served)] == ["ending"]


def test_an_end_is_shown_for_a_quarter_of_an_hour(house: House, served: ServeSite, clock: ManualClock) -> None:
    house.says("ending", 3, 5, "ended", situation="abuse", seen_by="dial_tone", disposition="recorded")
    house.store()
    assert [state for state, _ in told(served)] == ["ended"]
    clock.advance(endingcalls.SHOWN_S * NS_PER_S)
    assert told(served) == []


def test_an_old_report_that_came_late_is_no_alarm(served: ServeSite, clock: ManualClock) -> None:
    """A unit disconnected in the middle of an end, without a later report."""
    clock.advance(endingcalls.SHOWN_S * NS_PER_S + NS_PER_S)
    assert told(served) == []


@pytest.mark.parametrize("wrong_s", [-86_400 * 365 * 20, -7200, 7200, 86_400 * 365])
@pytest.mark.parametrize("is_over", [False, True])
def test_a_unit_whose_clock_is_wrong_is_told_too(
    house: House, served: ServeSite, clock: ManualClock, wrong_s: int, is_over: bool
) -> None:
    house.begins("wrong", 4, 200 - wrong_s)
    house.says("wrong", 4, 20 - wrong_s, "ending", situation="abuse")
    if is_over:
        house.says("wrong", 4, 10 - wrong_s, "ended", situation="abuse", seen_by="dial_tone", disposition="recorded")
    house.store_now()
    state, text = next(one for one in told(served) if "4번 회선" in one[1])
    assert state == ("ended" if is_over else "ending")
    assert "18:00:00" in text  # the desk's time, since the unit's is of another day
    clock.advance(endingcalls.SHOWN_S * NS_PER_S + NS_PER_S)
    assert told(served) == []


def test_an_end_during_an_outage_is_no_news_when_it_is_reported(house: House, served: ServeSite) -> None:
    house.begins("away", 4, 4000)
    house.says("away", 4, 3700, "ending", situation="abuse")
    house.says("away", 4, 3600, "ended", situation="abuse", seen_by="dial_tone", disposition="recorded")
    house.offline(UNIT, AT_S - 3800, AT_S - 10)
    house.store_now()
    assert not [text for _, text in told(served) if "4번 회선" in text]


def test_nobody_else_is_told_and_nothing_of_the_caller_is(house: House, served: ServeSite) -> None:
    for role in ("watch", "officer", "approver-legal", "vault", "custodian", "auditor"):
        assert served.client(role).get("/ended/now").status_code == 403
    text = served.client(SUPERVISOR).get("/ended/now").text
    for secret in (house.names["ending"], "abuse", "폭언", "010"):
        assert secret not in text
    with served.site.own.connect() as db:
        assert "ended_list" not in set(db.execute(select(access.c.act)).scalars())


def test_the_first_page_has_it_without_a_script(served: ServeSite) -> None:
    assert BEING_ENDED in re.sub("<[^>]+>", "", served.client(SUPERVISOR).get("/").text)
    assert "통화 종료 안내 중" not in served.client("officer").get("/").text


def test_an_open_page_shows_it_within_seconds(house: House, served: ServeSite, browser: Browser) -> None:
    page = served.page(browser, "/protection", SUPERVISOR)
    box = page.locator("#ends")
    expect(box.locator("li")).to_have_text([BEING_ENDED])
    assert box.get_attribute("role") == "alert"
    house.says("ending", 3, 5, "ended", situation="abuse", seen_by="dial_tone", disposition="recorded")
    house.store()
    expect(box.locator("li")).to_have_text(["통화가 종료됨: 본관 3, 소속 미지정, 3번 회선(main-03), 17:59:55"])
    require_accessible(page)
    expect(box.locator("a")).to_have_attribute("href", "/ended")
    other = served.page(browser, "/protection", "officer")
    expect(other.locator("#ends")).to_have_count(0)


def test_without_the_ingests_database_the_pages_go_on(served: ServeSite, house: House) -> None:
    with house.engine.begin() as db:
        db.exec_driver_sql("ALTER TABLE calls RENAME TO away")
    assert told(served) == []
    assert served.client(SUPERVISOR).get("/").status_code == 200


def test_only_the_events_of_ends_are_read(house: House) -> None:
    """Each open page of a supervisor asks every few seconds, and a desk has millions of events."""
    asked: list[tuple[str, tuple[object, ...]]] = []

    def keep(_c: object, _cursor: object, statement: str, values: tuple[object, ...], *_more: object) -> None:
        asked.append((statement, values))

    event.listen(house.engine, "before_cursor_execute", keep)
    with house.engine.connect() as db:
        endingcalls.now(db, NOW_NS)
    event.remove(house.engine, "before_cursor_execute", keep)
    assert len(asked) == 2
    with house.engine.connect() as db:
        for statement, values in asked:
            plan = [row[3] for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
            assert any("events_of_ends (received_at>?)" in step for step in plan), plan
            assert not [step for step in plan if step.startswith("SCAN") and "anon" not in step], plan
