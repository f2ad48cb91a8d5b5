# SPDX-License-Identifier: Apache-2.0
"""The pages under a policy of witnesses: calls not seen in time are refused, and each page shows the verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from release_house import ReleaseHouse, refusal
from witnessed_house import carry, name_policy, witnessed_house

from release_rig import Desk
from sealing_rig import CALL_ID, UNIT
from witnessed_rig import Site


@pytest.fixture
def both(desk: Desk) -> Iterator[tuple[ReleaseHouse, Site]]:
    with witnessed_house(desk) as made:
        yield made


def verdict(house: ReleaseHouse, path: str, role: str = "vault") -> tuple[str, str]:
    """State and text of the witnesses' verdict on a page."""
    found = re.search(r'id="witnessed" data-state="(\w+)">(.*?)</div>', house.client(role).get(path).text, re.DOTALL)
    assert found
    return found[1], re.sub(r"<[^>]+>", "", found[2])


def test_nothing_is_opened_before_a_quorum_has_seen_it(both: tuple[ReleaseHouse, Site]) -> None:
    house, site = both
    request_id = house.keyed()
    pages = [f"/release/{request_id}", f"/calls/{UNIT}/{CALL_ID}"]
    for page in pages:
        assert verdict(house, page)[0] == "not_witnessed"
        assert "not_witnessed" in verdict(house, page)[1]
    assert refusal(house.approve(request_id, "approver-legal")) == "not_witnessed"
    assert refusal(house.client("approver-legal").get(f"/release/{request_id}/call")) == "not_witnessed"
    carry(house, site)
    for page in pages:
        state, text = verdict(house, page)
        assert state == "witnessed"
        assert "Witnessed by 2 of 2, by 2026-11-25 08:10:00 KST at the latest." in text
    for role in ("approver-legal", "approver-manager"):
        assert house.approve(request_id, role).status_code == 303
    assert house.bring(f"/release/{request_id}/unwrap", house.half(request_id), "vault").status_code == 303
    assert house.fetch(house.ticket(request_id)).status_code == 200


def test_seen_too_late_is_refused_at_every_step(desk: Desk) -> None:
    with witnessed_house(desk, at="2026-11-26T23:10:00.000Z") as (house, site):
        request_id = house.keyed()
        carry(house, site)
        assert refusal(house.approve(request_id, "approver-legal")) == "witnessed_late"
        state, text = verdict(house, f"/release/{request_id}")
        assert (state, "witnessed_late" in text) == ("not_witnessed", True)


def test_a_window_of_one_hour(desk: Desk) -> None:
    """Witnesses saw the call 13 minutes after it was closed: an hour is enough."""
    with witnessed_house(desk, within=1) as (house, site):
        request_id = house.keyed()
        carry(house, site)
        assert house.approve(request_id, "approver-legal").status_code == 303


CHANGES = [("gone", "policy_missing"), ("emptied", "policy_differs"), ("none", "policy_differs"),
           ("older", "policy_differs")]  # fmt: skip


@pytest.mark.parametrize(("change", "code"), [("gone", "policy_missing"), ("emptied", "policy_missing")])
def test_a_policy_that_is_named_is_missed(both: tuple[ReleaseHouse, Site], change: str, code: str) -> None:
    house, site = both
    request_id = house.keyed()
    carry(house, site)
    changed(site.root / "policy", change)
    assert refusal(house.approve(request_id, "approver-legal")) == code
    assert refusal(house.client("approver-manager").get(f"/release/{request_id}/call")) == code
    assert verdict(house, f"/release/{request_id}")[0] == "not_witnessed"
    assert house.log()[-2][1:] == ("export", "refused", code)


@pytest.mark.parametrize("by", ["roles", pytest.param("configuration", marks=pytest.mark.soak)])
@pytest.mark.parametrize(("change", "code"), CHANGES)
def test_a_policy_that_is_named_by_its_hash_is_missed_whatever_becomes_of_it(
    desk: Desk, by: str, change: str, code: str
) -> None:
    with witnessed_house(desk, pinned=by == "configuration") as (house, site):
        policy = site.root / "policy"
        if by == "roles":
            name_policy(desk, policy)
        request_id = house.keyed()
        carry(house, site)
        assert house.approve(request_id, "approver-legal").status_code == 303
        changed(policy, change)
        assert refusal(house.approve(request_id, "approver-manager")) == code
        assert code in verdict(house, f"/release/{request_id}")[1]


def changed(policy: Path, how: str) -> None:
    """Disables the policy in one of several ways; `older`: the previous one, which required one witness."""
    if how == "gone":
        policy.unlink()
    elif how == "emptied":
        policy.write_bytes(b"")
    elif how == "none":
        policy.write_text(re.sub(r"quorum \w+", "quorum none", policy.read_text()))
    else:
        policy.write_text(policy.read_text().replace("group together 2", "group together 1"))


def test_roles_that_name_a_policy_where_desk_toml_names_none(desk: Desk) -> None:
    (desk.root / "policy").write_text("quorum none\n")
    name_policy(desk, desk.root / "policy")
    house = ReleaseHouse(desk)
    with house.served:
        request_id = house.keyed()
        assert refusal(house.approve(request_id, "approver-legal")) == "policy_missing"
    house.engine.dispose()


def test_without_a_policy_it_is_reported(desk: Desk) -> None:
    house = ReleaseHouse(desk)
    with house.served:
        request_id = house.keyed()
        assert verdict(house, f"/release/{request_id}")[0] == "no_policy"
        assert verdict(house, f"/calls/{UNIT}/{CALL_ID}")[0] == "no_policy"
        assert house.approve(request_id, "approver-legal").status_code == 303
    house.engine.dispose()


def test_a_hold_keeps_what_nobody_has_seen(both: tuple[ReleaseHouse, Site]) -> None:
    house, _ = both
    fields = {"unit": UNIT, "call_id": CALL_ID, "case": "1", "basis": "2", "until": "2099-06-30"}
    hold = house.served.post(house.client("officer"), "/hold/ask", **fields).headers["location"]
    assert house.client("vault").get(f"{hold}/call").headers["content-type"] == "application/x-tar"
