# SPDX-License-Identifier: Apache-2.0
"""Releases by the rules of the signed roles, on the desk's pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from release_house import LEGAL, MANAGER, ReleaseHouse, refusal
from sqlalchemy import update

from linetap_core.evidence.authorization.releaserules import BY_LISTENING
from linetap_core.evidence.keys import keys
from linetap_desk.ingest import tables
from release_rig import NOW, PARK, Desk
from sealing_rig import CALL_ID, UNIT

STAFF = "Jung Ho"
OWN = {"approvals": [["legal"]], "expires_days": 3, "max_age_days": 3650, "party": "own_line", "purpose": "dispute"}
OFFICE = {"approvals": [["privacy"], ["legal"]], "max_age_days": 3650, "party": "other_office", "purpose": "dispute"}
CITIZEN = {"approvals": [["privacy"]], "max_age_days": 3650, "may": "listen", "party": "citizen", "purpose": "abuse"}


def in_force(desk: Desk, version: int, *rules: dict[str, Any], line: int = 3) -> None:
    staff = {"name": STAFF, "recipient": desk.requester.recipient, "since": NOW, "supervisors": [PARK], "unit": UNIT}
    desk.sign_roles(version, rules=list(rules), lines=[staff | {"line": line}])


@pytest.fixture
def house(desk: Desk) -> Iterator[ReleaseHouse]:
    in_force(desk, 2, OWN, OFFICE, CITIZEN)
    house = ReleaseHouse(desk)
    with house.served:
        yield house
    house.engine.dispose()


OWN_CALL = {"purpose": "dispute/own_line", "requester": STAFF, "days": "3"}


def page(house: ReleaseHouse, role: str, request_id: str) -> str:
    return house.client(role).get(f"/release/{request_id}").text


def test_own_call_with_one_approval(house: ReleaseHouse) -> None:
    shown = house.client("officer").get(f"/release/ask/{UNIT}/{CALL_ID}").text
    assert f'value="{house.desk.requester.recipient}"' in shown  # nobody types the key
    request_id = house.keyed(**OWN_CALL)
    stated = json.loads(house.request(request_id).read_bytes())
    assert (stated["party"], stated["unit"], stated["policy"]) == ("own_line", UNIT, 2)
    assert f"{PARK} (" in page(house, "officer", request_id).partition('id="may-approve"')[2].partition("</p>")[0]
    assert house.client("vault").get(f"/release/{request_id}/vault").status_code == 409
    assert house.approve(request_id, LEGAL).status_code == 303
    assert house.client("vault").get(f"/release/{request_id}/vault").status_code == 200
    assert house.bring(f"/release/{request_id}/unwrap", house.half(request_id), "vault").status_code == 303
    assert house.client("custodian").get(f"/release/{request_id}/package").status_code == 200


def test_who_does_not_supervise_approves_nothing(house: ReleaseHouse) -> None:
    request_id = house.keyed(**OWN_CALL)
    assert refusal(house.approve(request_id, MANAGER)) == "approver_rule"  # Kim is of role privacy
    assert house.log()[-1][1:] == ("request_approve", "refused", "approver_rule")


def test_another_office_takes_two(house: ReleaseHouse) -> None:
    request_id = house.keyed(purpose="dispute/other_office", requester="Ro Min", recipient=new_key())
    assert house.approve(request_id, LEGAL).status_code == 303
    assert refusal(house.bring(f"/release/{request_id}/unwrap", house.half(request_id), "vault")) == "step_not_yet"
    assert house.approve(request_id, MANAGER).status_code == 303
    assert house.bring(f"/release/{request_id}/unwrap", house.half(request_id), "vault").status_code == 303


FOUR = ("privacy", "legal", "audit", "manager")
COURT = {"approvals": [[role] for role in FOUR], "max_age_days": 3650, "party": "court", "purpose": "dispute"}


@pytest.fixture
def of_four(desk: Desk) -> Iterator[ReleaseHouse]:
    """A court's request requires four people of four roles."""
    people = {f"approver of {role}": role for role in FOUR}
    for name in people:
        desk.ssh_key(name)
    desk.sign_roles(2, people=people, rules=[COURT])
    house = ReleaseHouse(desk)
    with house.served:
        yield house
    house.engine.dispose()


def test_four_approvals_by_accounts_of_two_roles(of_four: ReleaseHouse) -> None:
    """The desk has two roles of accounts that approve: each signs once, and one role alone never releases."""
    house = of_four
    request_id = house.keyed(purpose="dispute/court", requester="Seoul Court", recipient=new_key())

    def approve(role: str, account: str, signer: str) -> str:
        sig = house.signature(request_id, f"approver of {signer}")
        return refusal(house.approve(request_id, role, sig, account))

    assert approve(LEGAL, "first", "privacy") == "303"
    assert approve(LEGAL, "first", "legal") == "one_person_two_steps"
    assert approve(LEGAL, "second", "privacy") == "approvers_same_role"
    assert approve(LEGAL, "second", "legal") == "303"
    assert approve(LEGAL, "third", "audit") == "303"
    assert approve(LEGAL, "fourth", "manager") == "approvers_same_role", "all four of one role of accounts"
    assert "Upload the approval" not in house.client(LEGAL, "fourth").get(f"/release/{request_id}").text
    assert refusal(house.bring(f"/release/{request_id}/unwrap", house.half(request_id), "vault")) == "step_not_yet"
    assert "Upload the approval" in house.client(MANAGER, "fifth").get(f"/release/{request_id}").text
    assert approve(MANAGER, "fifth", "manager") == "303"
    assert house.bring(f"/release/{request_id}/unwrap", house.half(request_id), "vault").status_code == 303


def new_key() -> str:
    return keys.new_identity().recipient


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"requester": "Ro Min"}, "party_differs"),
        ({"recipient": new_key()}, "party_differs"),
        ({"purpose": "dispute"}, "party_needed"),
        ({"purpose": "dispute/court"}, "rule_unknown"),
        ({"purpose": "abuse/citizen"}, "party_differs"),  # the staff are no citizens
    ],
)
def test_a_claim_that_does_not_fit_is_not_requested(house: ReleaseHouse, changes: dict[str, str], code: str) -> None:
    assert refusal(house.ask(**(OWN_CALL | changes))) == code


def test_the_line_is_that_of_the_sealed_record(house: ReleaseHouse) -> None:
    """Somebody changed the ingest's database, and the policy assigns the false line to another person."""
    in_force(house.desk, 3, OWN, line=5)
    with house.engine.begin() as db:
        db.execute(update(tables.calls).where(tables.calls.c.call_id == CALL_ID).values(line=5))
    request_id = house.keyed(**OWN_CALL)
    assert refusal(house.approve(request_id, LEGAL)) == "record_differs"


def test_a_rule_that_became_heavier_counts_at_once(house: ReleaseHouse) -> None:
    request_id = house.keyed(**OWN_CALL)
    assert house.approve(request_id, LEGAL).status_code == 303
    in_force(house.desk, 3, OWN | {"approvals": [["legal"], ["privacy"]]})
    half = house.half(request_id)
    assert refusal(house.bring(f"/release/{request_id}/unwrap", half, "vault")) == "approvals_missing"
    in_force(house.desk, 2, OWN)  # the older file, put back
    assert refusal(house.bring(f"/release/{request_id}/unwrap", half, "vault")) == "roles_rollback"


def test_one_party_alone_needs_no_choice(house: ReleaseHouse) -> None:
    """As requested from the citizens' register: without a key of the citizen's, by its officer."""
    request_id = house.keyed(purpose="abuse", requester=STAFF, recipient=BY_LISTENING)
    assert json.loads(house.request(request_id).read_bytes())["party"] == "citizen"
    assert "listen only" in page(house, "auditor", request_id)
    assert refusal(house.approve(request_id, LEGAL)) == "approver_rule"
    assert house.approve(request_id, MANAGER).status_code == 303
    assert house.bring(f"/release/{request_id}/unwrap", house.half(request_id), "vault").status_code == 303


def test_a_call_too_old_for_a_rule_is_not_offered(house: ReleaseHouse) -> None:
    in_force(house.desk, 3, OWN | {"max_age_days": 1}, OFFICE)
    shown = house.client("officer").get(f"/release/ask/{UNIT}/{CALL_ID}").text
    assert house.desk.requester.recipient not in shown
    assert "dispute/other_office" in shown
    assert refusal(house.ask(**OWN_CALL)) == "call_too_old"
