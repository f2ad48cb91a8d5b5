# SPDX-License-Identifier: Apache-2.0
"""Supervisors of some departments: their notifications, lists and reviews; and that no ended call is without a
reviewer.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls_house import NOW_NS, UNIT, CallsHouse, name_of
from servesite import ServeSite
from sqlalchemy import select, update

from linetap_core import cli
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_desk.serve.database.tables import access, people
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.ended import reviews

SUPERVISOR = "approver-manager"
LINES = f"""unit,line,extension,department,from
{UNIT},1,2001,민원실,2026-01-01
{UNIT},2,2002,세무과,2026-01-01
{UNIT},3,2003,"건설과, 도로",2026-01-01
{UNIT},4,,,2026-01-01
"""
OF = {"민원실": 1, "세무과": 2, "건설과, 도로": 3, "": 4}
AT_S = 6 * 3600


class House(CallsHouse):
    def fill(self) -> None:
        (self.folder / "lines.csv").write_text(LINES)
        for department, line in OF.items():
            self.recorded(department, UNIT, line, 600 * line, situation="abuse")
            now = self.names[f"now {department}"] = name_of(NOW_NS - 300 * NS_PER_S, line)
            self.tell("started", UNIT, now, line, AT_S - 300, direction="in")
            self.tell("ending", UNIT, now, line, AT_S - 30, situation="abuse")
        self._store()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    house.fill()
    yield house
    house.engine.dispose()


@pytest.fixture
def served(house: House) -> Iterator[ServeSite]:
    with house.serve(ManualClock(NOW_NS)) as served:
        yield served


def limit(served: ServeSite, monkeypatch: pytest.MonkeyPatch, name: str, *departments: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    return cli.main(["desk", "people", "departments", name, *departments, "--config", str(served.config)])


def supervisors(served: ServeSite, monkeypatch: pytest.MonkeyPatch, **departments: list[str]) -> None:
    for name, some in departments.items():
        served.session(SUPERVISOR, name=name)
        assert limit(served, monkeypatch, name, *some) == 0


def told(served: ServeSite, name: str) -> set[int]:
    """The lines of which this person is notified."""
    answer = served.client(SUPERVISOR, name=name).get("/ended/now").json()
    return {int(found[1]) for one in answer if (found := re.search(r"(\d)번 회선", one["text"]))}


def listed(served: ServeSite, name: str, role: str = SUPERVISOR) -> set[int]:
    page = served.client(role, name=name).get("/ended?period=2026-11").text
    return {int(line) for line in re.findall(rf"<td>{UNIT}, (\d)</td>\n<td>", page)}


def waiting(served: ServeSite, name: str) -> int:
    page = served.client(SUPERVISOR, name=name).get("/").text
    found = re.search(r"검토하지 않은 종료 통화.*?(\d+)", re.sub("<[^>]+>", " ", page), re.S)
    return int(found[1]) if found else 0


def test_a_supervisor_has_their_departments(served: ServeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisors(served, monkeypatch, choi=["민원실"], park=["세무과", "건설과, 도로"], chief=[])
    for name, lines in (("choi", {1}), ("park", {2, 3}), ("chief", {1, 2, 3, 4})):
        assert (told(served, name), listed(served, name), waiting(served, name)) == (lines, lines, len(lines))


def test_no_newer_call_of_others_keeps_one_from_the_first_page(
    served: ServeSite, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one of another department, nor a reviewed one: a call would be left without a review."""
    supervisors(served, monkeypatch, choi=["민원실"], park=["세무과", "건설과, 도로"])
    monkeypatch.setattr(reviews, "MOST_DUE", 2)
    assert waiting(served, "choi") == 2, "that of no department is the newest, its own the oldest"
    with served.site.own.begin() as db:
        for department in ("", "건설과, 도로"):
            reviews.add(db, (UNIT, house.names[department]), "justified", "", "park", NOW_NS)
    assert waiting(served, "park") == 1, "that of 세무과 is older"


def test_what_is_nobodys_is_everybodys(served: ServeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisors(served, monkeypatch, choi=["민원실"], park=["세무과"])
    assert (told(served, "choi"), told(served, "park")) == ({1, 3, 4}, {2, 3, 4})
    with writing(served.site.own) as db:
        db.execute(update(people).where(people.c.name == "park").values(locked=True))
    assert told(served, "choi") == {1, 2, 3, 4}, "who is locked out reviews nothing"
    assert listed(served, "choi") == {1, 2, 3, 4}


def test_a_call_of_another_department_has_no_page_and_no_review(
    served: ServeSite, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisors(served, monkeypatch, choi=["민원실"], chief=[])
    client = served.client(SUPERVISOR, name="choi")
    for department, status in (("민원실", 200), ("세무과", 404), ("", 404)):
        call = house.names[department]
        for what in ("call", "statement"):
            assert client.get(f"/ended/{what}/{UNIT}/{call}").status_code == status
        answer = served.post(client, "/ended/review", unit=UNIT, call_id=call, finding="justified")
        assert answer.status_code == (303 if status == 200 else 404)
    assert waiting(served, "chief") == 3


def test_other_roles_are_not_limited(served: ServeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisors(served, monkeypatch, choi=["민원실"])
    assert listed(served, "officer", "officer") == {1, 2, 3, 4}
    with writing(served.site.own) as db:  # a supervisor until yesterday
        db.execute(update(people).where(people.c.name == "choi").values(roles="auditor"))
    assert listed(served, "choi", "auditor") == {1, 2, 3, 4}


def test_the_terminal_takes_names_that_there_are(
    served: ServeSite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisors(served, monkeypatch, choi=["민원실", "건설과, 도로"])
    assert served.client(SUPERVISOR, name="choi").get("/").status_code == 200
    assert cli.main(["desk", "people", "list", "--config", str(served.config)]) == 0
    assert capsys.readouterr().out.endswith(f"choi\tchoi 님\t{SUPERVISOR}\t\topen\t건설과, 도로, 민원실\n")
    before = served.client(SUPERVISOR, name="choi")
    for some, says in (
        (["민원과"], "department '민원과': not in the table of lines; 건설과, 도로, 민원실, 세무과 expected"),
        ([""], "1 to 120 printable characters"),
        (["a\nb"], "1 to 120 printable characters"),
        (["x"] * 51, "50 at most"),
    ):
        assert limit(served, monkeypatch, "choi", *some) == 2
        assert says in capsys.readouterr().err
    served.session("officer", name="kim")
    assert limit(served, monkeypatch, "kim", "민원실") == 2
    assert "kim: is no approver-manager" in capsys.readouterr().err
    assert limit(served, monkeypatch, "nobody", "민원실") == 2
    assert before.get("/").status_code == 200, "a refusal logs nobody out"
    assert limit(served, monkeypatch, "choi") == 0
    assert before.get("/").status_code == 303
    with served.site.own.connect() as db:
        said = db.execute(select(access.c.terms).where(access.c.act == "people_departments")).scalars().all()
    assert list(said) == ["choi: 건설과, 도로, 민원실", "choi: all"]
