# SPDX-License-Identifier: Apache-2.0
"""The register of citizens' requests: ten days, a decision by another person, notices, the release, and the remaining
data.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from citizen_rig import CITIZEN
from release_house import LEGAL, MANAGER, NOW_NS, ReleaseHouse, refusal
from sqlalchemy import select

import sealing_rig
from linetap_core.clock import ManualClock
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import citizen
from linetap_desk.accesslog import roles
from linetap_desk.accesslog.deskfolder import open_desk
from linetap_desk.custody.case import Case, CustodianFiles
from linetap_desk.custody.package import private_folder, unpack
from linetap_desk.serve.citizen import forms, steps, store
from linetap_desk.serve.citizen.steps import deadline
from linetap_desk.serve.database.tables import access, citizens
from linetap_desk.serve.figures import exposition
from linetap_desk.serve.people import accounts
from linetap_desk.serve.release.steps import StepFault
from release_rig import DAY_NS, NOW, PARK, PURPOSES, Desk
from sealing_rig import CALL_ID, UNIT

TODAY = date(2026, 11, 27)  # a Friday
FORM = {
    "alias": "홍길동", "digits": "5678", "called_on": "2026-11-25", "asked": "copy", "verified": "id_card",
    "received_on": "2026-11-27",
}  # fmt: skip


@pytest.fixture
def house(desk: Desk) -> Iterator[ReleaseHouse]:
    desk.sign_roles(2, purposes=[*PURPOSES, CITIZEN])
    house = ReleaseHouse(desk, ManualClock(NOW_NS))
    with house.served:
        yield house
    house.engine.dispose()


def post(house: ReleaseHouse, role: str, path: str, name: str = "", **fields: str) -> Any:
    return house.served.post(house.client(role, name), path, **fields)


def registered(house: ReleaseHouse, **more: str) -> str:
    answer = post(house, "officer", "/citizen", **{**FORM, **more})
    assert answer.status_code == 303, refusal(answer)
    return str(answer.headers["location"].rpartition("/")[2])


def decided(house: ReleaseHouse, **more: str) -> str:
    request_id = registered(house)
    answer = post(house, LEGAL, f"/citizen/{request_id}/decide", **{"decision": "granted", **more})
    assert answer.status_code == 303, refusal(answer)
    return request_id


def row(house: ReleaseHouse, request_id: str) -> Any:
    with house.served.site.own.connect() as db:
        return db.execute(select(citizens).where(citizens.c.id == request_id)).mappings().one()


# --- ten days ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "tenth", "end"),
    [
        ("2026-11-27", "2026-12-07", "2026-12-07"),  # a Monday
        ("2026-11-26", "2026-12-06", "2026-12-07"),  # a Sunday
        ("2026-11-25", "2026-12-05", "2026-12-07"),  # a Saturday
        ("2026-12-15", "2026-12-25", "2026-12-28"),  # Christmas, a Friday: postponed over the weekend
        ("2026-12-22", "2027-01-01", "2027-01-04"),  # New Year, a Friday
        ("2028-02-19", "2028-02-29", "2028-02-29"),  # a leap day
        ("2026-02-06", "2026-02-16", "2026-02-16"),  # Lunar New Year's eve: unknown, so before the law's date
    ],
)
def test_the_end_of_ten_days(received: str, tenth: str, end: str) -> None:
    found = deadline(date.fromisoformat(received))
    assert (str(found.tenth), str(found.end)) == (tenth, end)


def test_it_is_overdue_the_day_after_and_not_before() -> None:
    found = deadline(date(2026, 11, 26))
    days = [found.tenth + timedelta(days=number) for number in (-3, -2, 0, 1, 2)]
    assert [found.urgency(day) for day in days] == ["open", "soon", "soon", "soon", "overdue"]


def test_the_worst_stands_first_and_is_counted(house: ReleaseHouse) -> None:
    fresh, old = registered(house), registered(house, received_on="2026-11-10", called_on="2026-11-09")
    soon = registered(house, received_on="2026-11-18", called_on="2026-11-09")
    page = house.client("auditor").get("/citizen").text
    assert page.index(old) < page.index(soon) < page.index(fresh)
    assert 'data-urgency="overdue"' in page
    figures = exposition(house.served.site)
    for state in ("overdue", "soon", "open"):
        assert f'linetap_serve_access_requests{{state="{state}"}} 1\n' in figures


# --- what is registered -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"alias": ""}, {"alias": "010-1234-5678"}, {"alias": "가" * 41}, {"digits": "01012345678"}, {"digits": "567"},
        {"digits": "٥٦٧٨"}, {"called_on": "2026-11-28"}, {"called_on": "nan"}, {"asked": "all"}, {"verified": ""},
        {"received_on": "2026-11-28"}, {"received_on": "2026-10-01"}, {"called_on": "9999-12-31"},
    ],
)  # fmt: skip
def test_what_is_not_registered(change: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        forms.registration({**FORM, **change}, ["officer"], TODAY)


def test_nobody_registers_or_decides_on_their_own(house: ReleaseHouse) -> None:
    with pytest.raises(StepFault, match="citizen_own"):
        forms.registration({**FORM, "alias": " Kim  SORA".strip()}, ["kim sora"], TODAY)
    request_id = registered(house, alias=LEGAL.upper())
    answer = post(house, LEGAL, f"/citizen/{request_id}/decide", decision="granted")
    assert (answer.status_code, house.log()[-1][3]) == (409, "citizen_own")
    assert post(house, "officer", f"/citizen/{request_id}/decide", decision="granted").status_code == 403
    assert row(house, request_id)["decision"] is None


def test_one_account_with_both_roles_does_not_decide_on_what_it_registered(house: ReleaseHouse) -> None:
    """Roles of one person exclude each other; a person who changed roles is still the one who registered it."""
    request_id = registered(house)
    accounts.set_roles(house.served.site.access, "", "officer", [LEGAL])
    del house.clients["officer"]
    answer = post(house, LEGAL, f"/citizen/{request_id}/decide", name="officer", decision="granted")
    assert (answer.status_code, house.log()[-1][3]) == (409, "citizen_two_people")


# --- the decision and its notice --------------------------------------------------------------------------------------


NOTICES = (
    ({"decision": "granted"}, "Access"),
    ({"decision": "partial", "ground": "others", "reason": "다른 사람의 말"}, "Access in part"),
    (
        {"decision": "postponed", "ground": "just_cause", "reason": "부재", "ends_on": "2026-12-01"},
        "Postponement",
    ),
    ({"decision": "refused", "ground": "not_held", "reason": "녹음 없음"}, "Refusal"),
)


def test_each_decision_has_its_notice(house: ReleaseHouse) -> None:
    for fields, says in NOTICES:
        request_id = decided(house, **fields)
        page = house.client("officer").get(f"/citizen/{request_id}/notice").text
        assert f"■ {says}</span>" in page
        assert ("How to object" in page) == (fields["decision"] != "granted")
        assert fields.get("reason", "") in page
        assert (row(house, request_id)["closed_at"] is not None) == (fields["decision"] == "refused")
        if fields["decision"] == "postponed":
            assert "2026-12-11" in page  # ten days from 1 December
    assert house.log()[-1][:3] == ("officer", "citizen_print", "shown")


@pytest.mark.parametrize(
    "fields",
    [
        {"decision": "refused"}, {"decision": "refused", "ground": "others"}, {"decision": "maybe"},
        {"decision": "partial", "ground": "not_held", "reason": "x"},
        {"decision": "postponed", "ground": "just_cause", "reason": "x"},
        {"decision": "postponed", "ground": "just_cause", "reason": "x", "ends_on": "2026-11-27"},
        {"decision": "postponed", "ground": "just_cause", "reason": "x", "ends_on": "2027-11-27"},
        {"decision": "refused", "ground": "others", "reason": "010-1234-5678"},
    ],
)  # fmt: skip
def test_a_decision_that_is_none(fields: dict[str, str]) -> None:
    empty = dict.fromkeys(forms.DECIDE, "")
    with pytest.raises(BadInput):
        forms.decision({**empty, **fields}, TODAY, TODAY)


def test_postponing_again_and_again_ends_ninety_days_after_the_receipt() -> None:
    fields = {"decision": "postponed", "ground": "just_cause", "reason": "x", "ends_on": "2026-11-30"}
    assert forms.decision(fields, date(2026, 9, 1), TODAY).counted_from == "2026-11-30"
    with pytest.raises(BadInput, match="of the receipt"):
        forms.decision({**fields, "ends_on": "2026-12-01"}, date(2026, 9, 1), TODAY)


# --- the release, the appointment, the end ----------------------------------------------------------------------------


def test_from_the_register_to_the_end(house: ReleaseHouse) -> None:
    """The release has purpose, case and form from the register; nobody types a key."""
    request_id = decided(house)
    ask = {"unit": UNIT, "call_id": CALL_ID, "days": "7", "way": "copy"}
    answer = post(house, "officer", f"/citizen/{request_id}/release", **ask)
    assert answer.status_code == 303, refusal(answer)
    released = answer.headers["location"].rpartition("/")[2]
    assert post(house, "officer", f"/citizen/{request_id}/release", **ask).status_code == 409  # one at a time
    assert house.key(released).status_code == 303
    signed = house.request(released).read_text()
    for word in (f"{request_id}/5678", citizen.BY_PASSPHRASE, '"purpose":"citizen"'):
        assert word in signed
    assert "홍길동" not in signed
    at_the_call = {"unit": UNIT, "call_id": CALL_ID, "purpose": "citizen", "case": f"{request_id}/0000", "days": "7"}
    # On the page of the call one could request it with unregistered digits.
    assert house.ask(**at_the_call, recipient=citizen.BY_PASSPHRASE).status_code == 409
    assert "citizen" not in house.client("officer").get(f"/release/ask/{UNIT}/{CALL_ID}").text.partition("<main")[2]
    done = {"outcome": "copied"}
    assert post(house, "custodian", f"/citizen/{request_id}/close", **done).status_code == 409  # nothing opened yet
    for role in (LEGAL, MANAGER):
        assert house.approve(released, role).status_code == 303
    assert house.bring(f"/release/{released}/unwrap", house.half(released), "vault").status_code == 303
    copied(house, released, f"{request_id}/5678")
    meet = {"meets_at": "2026-12-03T14:00", "room": "1층 민원실", "attending": "김주무관"}
    assert post(house, "custodian", f"/citizen/{request_id}/meet", **meet).status_code == 303
    assert row(house, request_id)["meets_at"] == "2026-12-03T05:00:00.000Z"
    assert "1층 민원실" in house.client("officer").get(f"/citizen/{request_id}/notice").text
    assert post(house, "custodian", f"/citizen/{request_id}/close", **done).status_code == 303
    for path, fields in (("release", ask), ("meet", meet), ("close", done), ("decide", {"decision": "granted"})):
        role = LEGAL if path == "decide" else "officer"
        assert post(house, role, f"/citizen/{request_id}/{path}", **fields).status_code == 409  # an old approval
    acts = [(person, act) for person, act, _, _ in house.log() if act.startswith("citizen") and "view" not in act]
    assert ("custodian", "citizen_close") in acts
    with house.served.site.own.connect() as db:
        text = " ".join(map(str, db.execute(select(access)).all()))
    assert "홍길동" not in text
    assert "1층 민원실" not in text


def test_by_its_rule_the_data_protection_officer_is_enough(house: ReleaseHouse) -> None:
    """The register states no party: the purpose has a rule for one approver. An officer with their own line requests
    it.
    """
    rule = {"approvals": [["privacy"]], "max_age_days": 365, "party": "citizen", "purpose": "citizen"}
    staff = {"line": 9, "name": "officer 님", "recipient": house.desk.requester.recipient, "since": NOW}
    house.desk.sign_roles(
        3, purposes=[*PURPOSES, CITIZEN], rules=[rule], lines=[staff | {"supervisors": [PARK], "unit": UNIT}]
    )
    request_id = decided(house)
    ask = {"unit": UNIT, "call_id": CALL_ID, "days": "7", "way": "copy"}
    answer = post(house, "officer", f"/citizen/{request_id}/release", **ask)
    assert answer.status_code == 303, refusal(answer)
    released = answer.headers["location"].rpartition("/")[2]
    assert house.key(released).status_code == 303
    assert '"party":"citizen"' in house.request(released).read_text()
    assert refusal(house.approve(released, LEGAL)) == "approver_rule"
    assert house.approve(released, MANAGER).status_code == 303
    assert house.bring(f"/release/{released}/unwrap", house.half(released), "vault").status_code == 303


def copied(house: ReleaseHouse, released: str, case: str) -> None:
    """The package of that release in the custodian's program, with the roles in force there."""
    desk, package = house.desk, house.fetch(house.ticket(released))
    assert package.status_code == 200, package.text
    desk.run(roles, "use", desk.root / "roles.json", "--desk", desk.folder)
    desk.clock.advance(NOW_NS - desk.clock.utc_ns())
    (desk.root / "out").mkdir()
    identities = [desk.rig.custodian_files[0], desk.one_time_file(released)]
    means = CustodianFiles(desk.rig.signers_file, identities, "", desk.root / "out", [])
    with private_folder() as folder:
        opened = Case(
            unpack(io.BytesIO(package.content), folder), open_desk(desk.folder, desk.clock), means, desk.clock
        )
        opened.listen(CALL_ID)
        made = opened.copy_for_citizen(CALL_ID, ZoneInfo("Asia/Seoul"))
    to = desk.root / "citizen"
    assert sealing_rig.run(["7z", "x", f"-p{made.passphrase}", f"-o{to}", str(made.files[0])]).returncode == 0
    assert json.loads((to / "copy.json").read_bytes())["case"] == case


def test_by_rule_the_data_protection_officer_alone_approves_and_listening_stays_listening(house: ReleaseHouse) -> None:
    rule = {"approvals": [["privacy"]], "max_age_days": 365, "party": "citizen", "purpose": "citizen"}
    house.desk.sign_roles(3, purposes=[*PURPOSES, CITIZEN], rules=[rule | {"may": "listen"}])
    request_id = decided(house)
    ask = {"unit": UNIT, "call_id": CALL_ID, "days": "31", "way": "copy"}
    assert post(house, "officer", f"/citizen/{request_id}/release", **ask).status_code == 409
    assert house.log()[-1][3] == "copy_not_allowed"
    house.desk.sign_roles(4, purposes=[*PURPOSES, CITIZEN], rules=[rule | {"expires_days": 5}])
    answer = post(house, "officer", f"/citizen/{request_id}/release", **ask)
    assert answer.status_code == 303, refusal(answer)
    released = answer.headers["location"].rpartition("/")[2]
    assert house.key(released).status_code == 303
    assert '"party":"citizen"' in house.request(released).read_text()
    assert house.approve(released, MANAGER).status_code == 303
    assert house.client("vault").get(f"/release/{released}/vault").status_code == 200


def test_another_days_call_and_what_was_not_granted(house: ReleaseHouse) -> None:
    ask = {"unit": UNIT, "call_id": CALL_ID, "days": "7", "way": "copy"}
    mine = decided(house)
    for change in ({"call_id": "20261124T225800.000Z-L09"}, {"unit": "010-1234-5678"}):
        assert post(house, "officer", f"/citizen/{mine}/release", **ask | change).status_code == 409
        assert house.log()[-1] == ("officer", "request_ask", "refused", "citizen_no_call")
    other = registered(house, called_on="2026-11-20")
    assert post(house, "officer", f"/citizen/{other}/release", **ask).status_code == 409
    assert house.log()[-1][3] == "citizen_not_granted"
    assert post(house, LEGAL, f"/citizen/{other}/decide", decision="granted").status_code == 303
    assert post(house, "officer", f"/citizen/{other}/release", **ask).status_code == 409
    assert house.log()[-1][3] == "citizen_other_day"
    assert house.client("officer").get("/citizen/C2026-9999").status_code == 404
    assert house.client("officer").get("/citizen/010-1234-5678").status_code == 404
    assert house.client("officer").get(f"/citizen/{registered(house)}/notice").status_code == 404


def test_the_document_names_every_code() -> None:
    text = (Path(__file__).parents[2] / "docs/desk-citizen.md").read_text()
    assert [code for code in steps.REFUSAL if f"`{code}`" not in text] == []


def test_half_a_year_after_the_end_nothing_about_the_person_is_left(house: ReleaseHouse) -> None:
    request_id = registered(house, alias="그때그사람")
    site = house.served.site
    partly = {"decision": "partial", "ground": "others", "reason": "그때그이유"}
    assert post(house, LEGAL, f"/citizen/{request_id}/decide", **partly).status_code == 303
    meet = {"meets_at": "2026-12-03T14:00", "room": "그때그방", "attending": "그때그직원"}
    assert post(house, "officer", f"/citizen/{request_id}/meet", **meet).status_code == 303
    assert post(house, "officer", f"/citizen/{request_id}/close", outcome="withdrawn").status_code == 303
    now_ns = site.clock.utc_ns()
    store.clear_ended(site.own, now_ns + (store.KEPT_DAYS - 1) * DAY_NS)
    assert row(house, request_id)["alias"] == "그때그사람"
    store.clear_ended(site.own, now_ns + (store.KEPT_DAYS + 1) * DAY_NS)
    left = row(house, request_id)
    assert {name for name, value in left.items() if value is not None} == {
        "id", "asked", "received_on", "counted_from", "registered_by", "registered_at", "decision", "ground",
        "decided_by", "decided_at", "meets_at", "outcome", "closed_by", "closed_at", "cleared_at",
    }  # fmt: skip
    files = [path.read_bytes() for path in house.folder.glob("serve.db*")]
    assert files
    assert [1 for data in files if "그때그".encode() in data] == []
    page = house.client("officer").get(f"/citizen/{request_id}")
    assert page.status_code == 200
    assert house.client("officer").get(f"/citizen/{request_id}/receipt").status_code == 200
