# SPDX-License-Identifier: Apache-2.0
"""Custodians of a group in turn: each with `linetap custody` at their own desk, through the pages."""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from group_custody import GIVE, HAND_ON, LISTEN, handed, helper, ready
from group_house import GroupHouse
from release_house import refusal
from sqlalchemy import select

from linetap_desk.serve.database.tables import partials
from sealing_rig import CALL_ID


@pytest.fixture
def house(run_dir: Path) -> Iterator[GroupHouse]:
    house = GroupHouse(run_dir)
    with house.served:
        yield house
    house.engine.dispose()


def test_two_of_three_custodians_in_two_places(house: GroupHouse) -> None:
    request_id = ready(house)
    with helper(house, 1, request_id, one_time=True) as first:
        inside = first.inside()
        assert 'id="hand-on"' in first.get(inside, f"/call/{CALL_ID}").text
        page = first.post(inside, LISTEN)
        assert (page.status_code, first.desk.log()[-1].code) == (409, "group_members_missing")
        assert 'id="listen"' not in first.get(inside, f"/call/{CALL_ID}").text
        assert first.post(inside, HAND_ON).status_code == 303
        part = (first.output / f"{CALL_ID}.part.age").read_bytes()
        assert first.case.opened(CALL_ID) is None
        assert f"{CALL_ID}.part.age" in first.get(inside, f"/call/{CALL_ID}").text
    entry = house.logged("keeper-1")
    assert (entry.verb, entry.outcome, entry.request, entry.calls) == ("peel", "granted", request_id, [CALL_ID])
    for alone in (house.custodians.files[0], house.desk.one_time_file(request_id), *house.officers.files):
        done = subprocess.run(["age", "-d", "-i", str(alone)], input=part, capture_output=True, check=False)
        assert done.returncode == 1, "closed to all but the custodians behind"

    assert handed(house, request_id, part, 1) == "303"
    told = house.shown("keeper-3", f"/release/{request_id}", "custodian")
    assert "Handed on by keeper-1 님, <time" in told
    assert "Still needed: 1." in told
    with helper(house, 3, request_id) as last:
        inside = last.inside()
        shown = last.get(inside, f"/call/{CALL_ID}").text
        assert 'id="listen"' in shown
        assert 'id="hand-on"' not in shown
        assert last.post(inside, LISTEN).status_code == 303
        assert last.post(inside, GIVE).status_code == 303
        heard = house.desk.root / "heard.wav"
        line = ["age", "-d", "-i", str(house.desk.root / "requester.txt"), str(last.output / f"{CALL_ID}.wav.age")]
        heard.write_bytes(subprocess.run(line, capture_output=True, check=True).stdout)
        with wave.open(str(heard), "rb") as wav:
            assert wav.getnframes() == 20_000
    assert refusal(house.close_as(request_id, "keeper-1", outcome="given")) == "one_person_two_steps"
    assert house.close_as(request_id, "keeper-3", outcome="given").status_code == 303
    with house.served.site.own.connect() as db:
        assert db.execute(select(partials.c.data)).scalars().all() == [None], "it is kept no longer than it is needed"
    deeds = [(who, act, remark) for who, act, outcome, remark in house.log() if outcome == "done"]
    assert ("keeper-1", "request_handed", "1 to come") in deeds
    assert handed(house, request_id, part, 1) == "request_closed"


def test_who_is_not_needed_and_who_has_nothing_to_go_on_with(house: GroupHouse) -> None:
    request_id = ready(house)
    with helper(house, 2, request_id) as early:  # nobody has handed on, and the one-time key is elsewhere
        page = early.post(early.inside(), LISTEN)
        assert page.status_code == 409
        assert "does not open" in page.text
