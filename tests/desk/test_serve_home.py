# SPDX-License-Identifier: Apache-2.0
"""The first page: each person's open tasks, present faults, and the wall for viewers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fleet_rig import END_S, PLACES, Speaking, fleet_site
from servesite import ServeSite
from sqlalchemy import insert

from broker import Broker, until
from linetap_core.clock import SYSTEM, rfc3339
from linetap_desk.serve.database.tables import adoptions
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.fleet.shiftlog import UNITS


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeSite]:
    with Broker(tmp_path_factory.mktemp("broker"), saves=False) as broker:
        floor = Speaking(broker.port)
        for unit in ("main-01", "main-02", "main-b1", "west-01"):
            floor.is_well(unit, 2)
        floor.alerts("main-02", text_ko="5번 회선에 험이 큽니다.")
        floor.close()
        places = f'["*"]\n"*" = {{ contact = "당직실 2000" }}\n{PLACES}'
        with fleet_site(tmp_path_factory.mktemp("site"), broker.port, places) as site:
            until(lambda: site.site.fleet.figures()[0] == "live", END_S)
            yield site


def test_who_only_watches_lands_on_the_wall(served: ServeSite) -> None:
    answer = served.client("watch").get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/fleet")
    assert served.client("officer", "watch").get("/").status_code == 200


@pytest.mark.parametrize("role", sorted(UNITS - {"watch"}))
def test_what_is_wrong_and_whom_to_call(served: ServeSite, role: str) -> None:
    text = served.client(role).get("/").text
    for words in ("1대", "main-02", "점검 필요", "5번 회선에 험이 큽니다.", "당직실 2000", "처리할 일이 없습니다."):
        assert words in text, words
    assert "main-01" not in text


def test_what_is_mine_to_do(served: ServeSite) -> None:
    at = rfc3339(SYSTEM.utc_ns())
    row = {"prepared_by": "lee", "prepared_at": at, "count": 0}
    with writing(served.site.own) as db:
        for n in range(2):
            db.execute(insert(adoptions).values(id=f"A2026-000{n}", unit=f"annex-0{n}", **row))
        db.execute(insert(adoptions).values(id="A2026-0009", unit="annex-09", closed_at=at, **row))
    text = served.client("officer").get("/").text
    assert "설치가 끝나지 않은 새 기기 <b>2</b>" in text
    assert "설치가 끝나지 않은" not in served.client("custodian").get("/").text


def test_a_person_without_a_role_and_an_auditor_see_no_units(served: ServeSite) -> None:
    for role in ("auditor", "approver-legal"):
        text = served.client(role).get("/").text
        assert "main-02" not in text
        assert "이상 기기" not in text
