# SPDX-License-Identifier: Apache-2.0
"""Acknowledgements and the shift log: person, subject and time are stored, logged and limited, and survive
a restart.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet_rig import END_S, Speaking, fleet_site
from servesite import ServeSite, without_tokens
from sqlalchemy import func, insert, select
from watch_rig import ALERT, OFFLINE, ONLINE

from broker import Broker, until
from linetap_desk.serve.database.tables import access, shift_log
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.fleet import shiftlog
from linetap_desk.serve.live.journal import Reader


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker"), saves=False) as broker:
        floor = Speaking(broker.port)
        floor.is_well("main-02", 2)
        floor.is_well("main-01", 2)
        floor.alerts("main-01")
        floor.close()
        yield broker


@pytest.fixture
def served(broker: Broker, tmp_path: Path) -> Iterator[ServeSite]:
    with fleet_site(tmp_path / "site", broker.port) as site:
        until(lambda: site.site.fleet.figures()[0] == "live", END_S)
        yield site


def unit(served: ServeSite, name: str = "main-01") -> dict[str, Any]:
    return served.site.fleet.state(Reader(False, "ko", name))[2][0]


def acknowledge(served: ServeSite, **fields: str) -> int:
    client = served.client("watch", name="kim")
    return served.post(client, "/fleet/seen", **fields).status_code


def test_it_has_a_name_a_row_of_each_log_and_outlives_a_restart(
    served: ServeSite, broker: Broker, tmp_path: Path
) -> None:
    assert unit(served)["seen"] is None
    assert acknowledge(served, of=f"main-01 {unit(served)['faults']}") == 303
    until(lambda: unit(served)["seen"] is not None, END_S)
    assert unit(served)["seen"]["by"] == "kim 님"
    with served.site.own.connect() as db:
        (row,) = db.execute(select(shift_log)).all()
        logged = db.execute(select(access.c.person, access.c.terms).where(access.c.act == "fleet_seen")).all()
    assert (row.person, row.kind, row.unit, row.text) == ("kim", "seen", "main-01", ALERT["text_ko"])
    assert [tuple(one) for one in logged] == [("kim", "main-01")]
    text = served.client("officer").get("/fleet/shift").text
    assert "kim 님" in text
    assert "main-01" in text
    served.held.close()
    with fleet_site(tmp_path / "site", broker.port) as again:
        until(lambda: again.site.fleet.figures()[0] == "live", END_S)
        assert unit(again)["seen"]["by"] == "kim 님"


def test_what_cannot_be_acknowledged(served: ServeSite) -> None:
    for of in ("", "main-01", "main-01 xyz", "main-01 0000000g", "../x 00000000", "main-01 " + "0" * 2000):
        assert acknowledge(served, of=of) == 400, of
    assert acknowledge(served, of="nobody-99 00000000") == 404
    assert acknowledge(served, of="main-02 00000000") == 404  # it has no fault
    assert acknowledge(served, of="main-01 00000000") == 303  # the fault is over: the acknowledgement has no effect
    assert unit(served)["seen"] is None
    strange = served.client("auditor")
    assert served.post(strange, "/fleet/seen", of=f"main-01 {unit(served)['faults']}").status_code == 403
    assert served.post(strange, "/fleet/shift", text="x").status_code == 403


def test_a_note_is_masked_shown_and_bounded(served: ServeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shiftlog, "MOST_ROWS", 3)
    client = served.client("watch", name="kim")
    for text in ("", "   ", "x" * 1001):
        assert served.post(client, "/fleet/shift", text=text).status_code == 400
    for n in range(5):
        text = f"{n}: 010-1234-5678로 회신\x1b[2J <b>"
        assert served.post(client, "/fleet/shift", text=text).status_code == 303
    with served.site.own.connect() as db:
        texts = db.execute(select(shift_log.c.text).order_by(shift_log.c.id)).scalars().all()
        assert [text[:2] for text in texts] == ["2:", "3:", "4:"]
        assert db.execute(select(func.count()).where(access.c.act == "shift_note")).scalar() == 5
    assert not any("1234" in text or "\x1b" in text for text in texts)
    until(lambda: served.site.fleet.state(Reader(False, "ko"))[1].note is not None, END_S)
    page = client.get("/fleet").text
    assert "kim 님" in page
    assert "&lt;b&gt;" in page
    assert "1234" not in without_tokens(page)


def test_a_note_that_is_too_long_is_not_lost(served: ServeSite) -> None:
    text = "인계 " * 400
    answer = served.post(served.client("watch", name="kim"), "/fleet/shift", text=text)
    assert answer.status_code == 400
    assert f">{text.strip()}</textarea>" in answer.text


def kept(served: ServeSite, at: str, text: str, units: Iterable[str] = ("",)) -> None:
    row = {"at": at, "person": "kim", "shown": "kim 님", "faults": "", "text": text}
    rows = [{**row, "kind": "seen" if name else "note", "unit": name} for name in units]
    with writing(served.site.own) as db:
        db.execute(insert(shift_log), rows)


def test_a_month_begins_and_ends_at_midnight_of_the_desks_zone(served: ServeSite) -> None:
    for at, text in (
        ("2026-10-31T14:59:59.999Z", "the last of October"),
        ("2026-10-31T15:00:00.000Z", "the first of November"),
        ("2026-11-30T14:59:59.999Z", "the last of November"),
        ("2026-11-30T15:00:00.000Z", "the first of December"),
        ("2026-12-31T14:59:59.999Z", "the last of the year"),
        ("2026-12-31T15:00:00.000Z", "the first of the next"),
    ):
        kept(served, at, text)

    def of(period: str) -> list[str]:
        text = served.client("watch").get("/fleet/shift", params={"period": period}).text
        return re.findall(r"<td>(the \w+ of [\w ]+)</td>", text)

    assert of("2026-11") == ["the last of November", "the first of November"]
    assert of("2026-12") == ["the last of the year", "the first of December"]
    assert of("2026")[0] == "the last of the year"
    assert len(of("2026")) == 5
    assert "2026-12-01 00:00" in served.client("watch").get("/fleet/shift?period=2026-12").text
    for strange in ("2026-13", "26-11", "x", "2026-11' or 1=1", "٢٠٢٦"):
        assert served.client("watch").get("/fleet/shift", params={"period": strange}).status_code == 400
    for strange in ("x", "-1", "9" * 40, "٣"):
        assert served.client("watch").get("/fleet/shift", params={"before": strange}).status_code == 400


def test_all_that_is_kept_can_be_seen_and_an_entry_is_whole(served: ServeSite) -> None:
    """One fault of 300 units is at the end of a page."""
    for n in range(150):
        kept(served, f"2026-11-01T00:{n // 60:02d}:{n % 60:02d}.000Z", f"note {n:03d}")
    kept(served, "2026-11-02T00:00:00.000Z", "the broker", [f"floor-{n:03d}" for n in range(300)])
    for n in range(150, 250):
        kept(served, f"2026-11-03T00:{n // 60:02d}:{n % 60:02d}.000Z", f"note {n:03d}")
    client, there, notes, units = served.client("watch"), "/fleet/shift?period=2026-11", list[str](), list[int]()
    for _ in range(5):
        text = client.get(there).text
        notes += re.findall(r"note \d{3}", text)
        units.append(len(set(re.findall(r">(floor-\d{3})<", text))))
        if (found := re.search(r'rel="next" href="([^"]+)"', text)) is None:
            break
        there = html.unescape(found[1])
    assert notes == [f"note {n:03d}" for n in reversed(range(250))]
    assert units == [300, 0]


@pytest.fixture
def switched(tmp_path: Path) -> Iterator[tuple[ServeSite, Speaking]]:
    """Three units at the switch SW-1, one beside them, one elsewhere."""
    with Broker(tmp_path / "broker", saves=False) as broker:
        floor = Speaking(broker.port)
        for name in (*OF_THE_SWITCH, "main-04", "west-01"):
            floor.is_well(name, 1)
        table = "".join(f'{name} = {{ floor = 1, switch = "SW-1", port = 7 }}\n' for name in OF_THE_SWITCH)
        with fleet_site(
            tmp_path / "site", broker.port, f'["본관"]\n{table}main-04 = 4\n["별관"]\nwest-01 = 1\n'
        ) as served:
            until(lambda: served.site.fleet.figures()[1]["fine"] == 5, END_S)
            yield served, floor
        floor.close()


def group(served: ServeSite, name: str) -> str | None:
    cause = unit(served, name)["cause"]
    return None if cause is None else str(cause["group"])


OF_THE_SWITCH = ("main-01", "main-02", "main-03")


def test_a_switch_takes_one_acknowledgement_for_all_its_units(switched: tuple[ServeSite, Speaking]) -> None:
    served, floor = switched
    floor.alerts("west-01")
    for name in OF_THE_SWITCH:
        floor.say(name, "status", OFFLINE)
    until(lambda: {group(served, name) for name in OF_THE_SWITCH} == {"switch\t\tSW-1"}, END_S)
    until(lambda: group(served, "west-01") == "", END_S)
    page = served.client("watch").get("/fleet").text
    assert page.count("전체 확인</button>") == len(OF_THE_SWITCH)
    assert acknowledge(served, of=f"main-02 {unit(served, 'main-02')['faults']}") == 303
    until(lambda: all(unit(served, name)["seen"] is not None for name in OF_THE_SWITCH), END_S)
    assert unit(served, "west-01")["seen"] is None, "another fault"
    with served.site.own.connect() as db:
        logged = db.execute(select(access.c.terms, access.c.remark).where(access.c.act == "fleet_seen")).all()
    assert [tuple(one) for one in logged] == [("main-02 main-01 main-03", "3 units")]
    log = served.client("watch").get("/fleet/shift").text
    assert log.count("<tr>") == 2, "the heading, and one entry"
    assert all(f'/fleet/unit/{name}"' in log for name in OF_THE_SWITCH)
    floor.say("main-03", "status", {**ONLINE, "session": "next"})
    until(lambda: unit(served, "main-03")["cause"] is None, END_S)
    floor.say("main-03", "status", {**OFFLINE, "session": "next"})  # it disconnects again: not acknowledged yet
    until(lambda: unit(served, "main-03")["standing"] == "offline", END_S)
    assert unit(served, "main-03")["seen"] is None
    assert unit(served, "main-01")["seen"] is not None
