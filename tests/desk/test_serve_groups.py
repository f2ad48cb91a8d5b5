# SPDX-License-Identifier: Apache-2.0
"""Officers of a group in turn through the pages, each on their own device with the real tools."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from group_house import GroupHouse
from release_house import refusal
from sqlalchemy import select

from linetap_core.clock import SYSTEM
from linetap_desk.serve.database.tables import partials
from linetap_desk.serve.release import store as kept
from postgres_rig import Postgres
from release_rig import OTHER_CALL
from sealing_rig import CALL_ID, UNIT

HELD = {"unit": UNIT, "call_id": CALL_ID, "case": "2026-117", "basis": "Act 12", "until": "2099-06-30"}


@pytest.fixture
def house(run_dir: Path) -> Iterator[GroupHouse]:
    house = GroupHouse(run_dir)
    with house.served:
        yield house
    house.engine.dispose()


def stored(house: GroupHouse) -> list[bytes]:
    with house.served.site.own.connect() as db:
        return [bytes(data) for (data,) in db.execute(select(partials.c.data)) if data is not None]


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_two_of_three_officers_in_two_places(house: GroupHouse) -> None:
    request_id = house.approved()
    path = f"/release/{request_id}"
    assert "Still needed: 2. First: member 1, 2." in plain(house.shown("vault-1", path))
    part = house.unwrap(1, request_id)
    assert house.partial(request_id, part, "vault-1").status_code == 303
    for who in ("vault-1", "vault-3"):
        told = plain(house.shown(who, path))
        assert "Member 1 is done: vault-1 님, 20" in told
        assert "&lt;" not in told
        assert "Still needed: 1. Next: member 2, 3." in told
    assert "Upload the half" not in house.shown("vault-1", path)
    assert 'id="mine"' in house.shown("vault-3", "/release").partition(f">{request_id}<")[0].rpartition("<h2")[2]
    assert 'id="open"' in house.shown("vault-1", "/release").partition(f">{request_id}<")[0].rpartition("<h2")[2]

    assert stored(house) == [part]
    for alone in (house.officers.files[0], *house.custodians.files, house.desk.one_time_file(request_id)):
        done = subprocess.run(["age", "-d", "-i", str(alone)], input=part, capture_output=True, check=False)
        assert done.returncode == 1, "closed to all but those behind"

    assert "partial/1.age" in house.take("vault-3", f"{path}/vault")
    inner = house.unwrap(3, request_id)
    assert house.bring_half(request_id, inner, "vault-3").status_code == 303
    assert stored(house) == [], "nobody needs it any more"
    assert "Member 1: vault-1 님" in plain(house.shown("auditor", path, "auditor"))
    deeds = [(who, act, remark) for who, act, outcome, remark in house.log() if outcome == "done"][-2:]
    assert deeds == [("vault-1", "request_partial", "member 1, 1 to come"), ("vault-3", "request_unwrap", "")]
    assert [(house.logged(who).verb, house.logged(who).left) for who in ("vault-1", "vault-3")] == [
        ("unwrap", 1), ("unwrap", 0),
    ]  # fmt: skip


def test_all_in_one_place_is_said_so(house: GroupHouse) -> None:
    request_id = house.approved()
    half = house.half_of(2, 3, request_id)
    assert refusal(house.bring_half(request_id, half, "vault-2")) == "partial_first"
    assert house.bring_half(request_id, half, "vault-2", together=True).status_code == 303


def test_a_chain_that_stands_still_is_begun_anew(house: GroupHouse) -> None:
    """Officer 2 began, officer 3 is ill: officer 1 begins, and 2 completes it. An interrupted chain waits."""
    request_id = house.approved()
    assert house.partial(request_id, house.unwrap(2, request_id), "vault-2").status_code == 303
    told = plain(house.shown("vault-2", f"/release/{request_id}"))
    assert "Next: member 3." in told
    house.take("vault-1", f"/release/{request_id}/vault")
    assert house.partial(request_id, house.peeled(1), "vault-1").status_code == 303
    names = house.take("vault-2", f"/release/{request_id}/vault")
    assert {"partial/1.age", "partial/2.age"} <= set(names)
    assert "--partial partial/2.age" not in house.shown("vault-2", f"/release/{request_id}")
    inner = house.unwrap(2, request_id)
    assert house.bring_half(request_id, inner, "vault-2").status_code == 303
    assert refusal(house.partial(request_id, house.peeled(2), "vault-3")) == "step_done"


@pytest.mark.soak
def test_what_is_closed_or_over_keeps_no_partial(house: GroupHouse) -> None:
    for way in ("closed", "over"):
        request_id = house.approved()
        assert house.partial(request_id, house.peeled(1), "vault-1").status_code == 303
        assert len(stored(house)) == 1
        if way == "closed":
            assert house.close(request_id, "officer", remark="for another call").status_code == 303
        else:
            kept.empty_expired_partials(house.served.site.own, SYSTEM.utc_ns() + 8 * 86_400_000_000_000)
        assert stored(house) == []


def test_a_hold_by_two_officers(house: GroupHouse) -> None:
    hold_id = house.served.post(house.client("officer"), "/hold/ask", **HELD).headers["location"].rpartition("/")[2]
    path, to = f"/hold/{hold_id}", house.desk.requester.recipient
    wrap = "linetap hold wrap"

    def line(number: int) -> str:
        found = house.command(f"vault-{number}", path, number, wrap)
        return found.replace("age1...", to).replace("officer.key", f"'{house.desk.root}/Han Seo'")

    house.take("vault-2", f"{path}/call")
    house.at("vault-2", f"cd work && {line(2)}")
    part = (house.place("vault-2") / "work/holds" / CALL_ID / "partial-1.age").read_bytes()
    other = house.peeled(1, OTHER_CALL)
    assert refusal(house.bring(f"{path}/partial", other, "vault", "vault-2")) == "group_other_layer"
    assert house.bring(f"{path}/partial", part, "vault", "vault-2").status_code == 303
    assert "Member 2 is done: vault-2 님" in plain(house.shown("vault-3", path))
    assert "partial/2.age" in house.take("vault-3", f"{path}/call")
    house.at("vault-3", f"cd work && {line(3)}")
    sign = house.command("vault-3", path, 3, "linetap command sign").replace(
        "officer.key", f"'{house.desk.root}/Han Seo'"
    )
    house.at("vault-3", f"cd work && {sign}")
    command = (house.place("vault-3") / f"work/{hold_id}.command").read_bytes()
    assert refusal(house.bring(f"{path}/command", command, "vault", "vault-2")) == "one_person_two_steps"
    assert house.bring(f"{path}/command", command, "vault", "vault-3").status_code == 303
    assert stored(house) == []
    assert refusal(house.bring(f"{path}/partial", part, "vault", "vault-1")) == "step_done"
    done = [(who, act) for who, act, outcome, _ in house.log() if outcome == "done"]
    assert done == [("officer", "hold_ask"), ("vault-2", "hold_partial"), ("vault-3", "hold_command")]


def test_three_of_three_and_one_who_takes_two_turns(run_dir: Path) -> None:
    house = GroupHouse(run_dir, needed=3)
    with house.served:
        request_id = house.approved()
        assert house.partial(request_id, house.unwrap(1, request_id), "vault-1").status_code == 303
        assert "Still needed: 2. Next: member 2." in plain(house.shown("vault-2", f"/release/{request_id}"))
        second = house.unwrap(2, request_id)
        assert refusal(house.partial(request_id, second, "vault-1")) == "one_person_two_steps"
        assert house.partial(request_id, second, "vault-2").status_code == 303
        told = plain(house.shown("vault-3", f"/release/{request_id}"))
        assert "Member 1, 2 is done: vault-2 님" in told
        assert "Still needed: 1. Next: member 3." in told
        half = house.unwrap(3, request_id)
        for name in ("vault-1", "vault-2"):
            assert refusal(house.bring_half(request_id, half, name)) == "one_person_two_steps"
        assert house.bring_half(request_id, half, "vault-3").status_code == 303
    house.engine.dispose()


def test_nothing_of_it_stays_in_the_files_of_the_database(house: GroupHouse) -> None:
    request_id = house.approved()
    part = house.peeled(1)
    assert house.partial(request_id, part, "vault-1").status_code == 303
    piece = part[200:264]
    assert [path.name for path in house.folder.iterdir() if piece in path.read_bytes()], "it was there"
    assert house.bring_half(request_id, house.half_of(1, 3, request_id), "vault-3").status_code == 303
    assert [path.name for path in house.folder.iterdir() if path.is_file() and piece in path.read_bytes()] == []


@pytest.mark.soak
def test_two_at_once_in_postgresql(run_dir: Path) -> None:
    with Postgres() as server:
        house = GroupHouse(run_dir, more=f'db = "{server.url}"')
        with house.served:
            request_id = house.approved()
            part, names = house.peeled(1), ("vault-1", "vault-2")
            for name in names:
                house.client("vault", name)
            with ThreadPoolExecutor() as pool:
                answers = list(pool.map(lambda name: refusal(house.partial(request_id, part, name)), names))
            assert sorted(answers) == ["303", "partial_there"]
            assert house.bring_half(request_id, house.half_of(1, 3, request_id), "vault-3").status_code == 303
            assert stored(house) == []
        house.engine.dispose()
