# SPDX-License-Identifier: Apache-2.0
"""The pages' figures for Prometheus: their content, their forbidden content, and a database that is away."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from servesite import ServeSite
from sqlalchemy import update

from linetap_core.errors import BadInput
from linetap_desk.config import pages
from linetap_desk.ingest import database
from linetap_desk.serve.database.tables import access_head
from linetap_desk.serve.database.transactions import writing

LIMIT_S = 120
CALL = "20261124T225600.123Z-L03"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServeSite]:
    database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}").dispose()
    with ServeSite(tmp_path, more='metrics = "127.0.0.1:0"', tables='db = "sqlite:///desk.db"') as served:
        yield served


def asked(served: ServeSite) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{served.site.figures.port}/metrics", timeout=LIMIT_S) as answer:
        return str(answer.read().decode())


def told(text: str) -> dict[str, float]:
    samples = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {series.removeprefix("linetap_serve_"): float(value) for series, _, value in samples}


def test_what_is_reported(served: ServeSite) -> None:
    client, nobody = served.client("officer", name="kim"), served.client()
    for _ in range(2):
        assert client.get("/fleet").status_code == 200
    assert client.get(f"/calls/main-03/{CALL}").status_code == 404
    assert client.get("/review").status_code == 403
    served.post_anew(nobody, "/login", name="kim", password="010-1234-5678 not it")
    text = asked(served)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=LIMIT_S)
    assert (done.returncode, done.stderr) == (0, "")
    found = told(text)
    assert {name: found[name] for name in (
        'database_away{database="pages"}', 'database_away{database="ingest"}', "access_log_writable",
        'sessions{state="open"}', 'sessions{state="locked"}', 'refusals_total{act="login"}',
        'refusals_total{act="review"}', 'answers_total{page="/fleet",method="GET",status="200"}',
        'answers_total{page="/review",method="GET",status="403"}',
        'answers_total{page="/calls/{unit}/{call_id:path}",method="GET",status="404"}', "streams", "broker_live",
        'units{standing="offline"}',
    )} == {
        'database_away{database="pages"}': 0, 'database_away{database="ingest"}': 0, "access_log_writable": 1,
        'sessions{state="open"}': 1, 'sessions{state="locked"}': 0, 'refusals_total{act="login"}': 1,
        'refusals_total{act="review"}': 1, 'answers_total{page="/fleet",method="GET",status="200"}': 2,
        'answers_total{page="/review",method="GET",status="403"}': 1,
        'answers_total{page="/calls/{unit}/{call_id:path}",method="GET",status="404"}': 1, "streams": 0,
        "broker_live": 0, 'units{standing="offline"}': 0,
    }  # fmt: skip
    assert not re.search(r"kim|1234|L03|127\.0\.0\.1", text)
    labels = set(re.findall(r'[{,](\w+)="', text))
    assert labels <= {"version", "database", "state", "act", "page", "method", "status", "standing"}


def test_an_access_log_that_somebody_changed_and_a_database_that_is_gone(served: ServeSite) -> None:
    assert served.client("officer").get("/fleet").status_code == 200
    assert told(asked(served))["access_log_writable"] == 1
    with writing(served.site.own) as db:
        db.execute(update(access_head).values(head="another"))
    assert served.client("officer").get("/fleet").status_code == 503
    found = told(asked(served))
    assert found['answers_total{page="/fleet",method="GET",status="503"}'] == 1
    assert (found["access_log_writable"], found['database_away{database="pages"}']) == (0, 0)
    assert served.site.ingest_db is not None
    served.site.ingest_db.dispose()
    for path in served.folder.glob("desk.db*"):
        path.unlink()
    (served.folder / "desk.db").mkdir()
    assert told(asked(served))['database_away{database="ingest"}'] == 1


def test_elsewhere_than_on_the_loopback_it_does_not_start(tmp_path: Path) -> None:
    site = ServeSite(tmp_path, more='metrics = "0.0.0.0:9465"')
    with pytest.raises(BadInput, match=r"serve\.metrics 0\.0\.0\.0:9465: only on the loopback"):
        pages.read_settings(site.config)
