# SPDX-License-Identifier: Apache-2.0
"""Refusals of the release pages: each with the gate's code and its entry in the access log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from calls_rig import EVIL, fill, recorded
from release_house import LEGAL, MANAGER, NOW_NS, ReleaseHouse, refusal
from sqlalchemy import func, select

from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.release import parse
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age
from linetap_core.evidence.signing import document
from linetap_desk.serve.database.tables import approvals, people, requests
from linetap_desk.serve.people import accounts
from linetap_desk.serve.release import store
from release_rig import CHOI, HAN, KIM, LEE, PARK, Desk
from sealing_rig import CALL_ID, UNIT

DAY_NS = 86_400 * NS_PER_S
HUGE = b"x" * (1 << 16)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS, NS_PER_S)


@pytest.fixture
def house(desk: Desk, clock: ManualClock) -> Iterator[ReleaseHouse]:
    house = ReleaseHouse(desk, clock)
    with house.served:
        yield house
    house.engine.dispose()


def approved_by(house: ReleaseHouse, request_id: str) -> int:
    with house.served.site.own.connect() as db:
        wanted = select(func.count()).select_from(approvals).where(approvals.c.request == request_id)
        return int(db.execute(wanted).scalar_one())


def test_one_person_takes_one_step(house: ReleaseHouse) -> None:
    """Accounts with two possible roles: officer and custodian, approver and vault officer."""
    request_id = house.asked()
    both = {"role": "custodian,officer", "name": "officer"}
    with pytest.raises(BadInput, match="different people"):
        accounts.checked_roles(["officer", LEGAL])
    with pytest.raises(BadInput, match="different people"):
        accounts.checked_roles(["vault", "custodian"])
    accounts.set_roles(house.served.site.access, "test", "officer", ["officer", "custodian"])
    house.clients.clear()
    assert refusal(house.key(request_id, **both)) == "one_person_two_steps"
    assert house.key(request_id, role="custodian").status_code == 303
    assert house.approve(request_id, LEGAL, name="lee").status_code == 303
    assert house.approve(request_id, MANAGER).status_code == 303
    accounts.set_roles(house.served.site.access, "test", "lee", [LEGAL, "vault"])
    del house.clients["lee"]
    half = house.half(request_id)
    answer = house.bring(f"/release/{request_id}/unwrap", half, f"{LEGAL},vault", "lee")
    assert refusal(answer) == "one_person_two_steps"
    assert house.bring(f"/release/{request_id}/unwrap", half, "vault").status_code == 303
    refused = [row for row in house.log() if row[2] == "refused"]
    assert refused == [
        ("officer", "request_key", "refused", "one_person_two_steps"),
        ("lee", "request_unwrap", "refused", "one_person_two_steps"),
    ]


def test_a_call_whose_name_is_none(house: ReleaseHouse) -> None:
    """A compromised unit can sign any text as a call's name."""
    name = "20269999T225600.123Z-L03"
    fill(house.engine, [recorded(UNIT, 3, call_id=name)])
    answer = house.client("officer").get(f"/release/ask/{UNIT}/{name}")
    assert (answer.status_code, refusal(answer)) == (409, "copy_no_call_id")
    assert refusal(house.ask(call_id=name)) == "copy_no_call_id"


def test_the_requester_does_not_approve(house: ReleaseHouse) -> None:
    by_name = house.keyed(requester=PARK)
    assert refusal(house.approve(by_name, LEGAL)) == "approver_is_requester"
    asked_by = house.keyed()
    with house.served.site.own.begin() as db:
        db.execute(people.update().where(people.c.name == "officer").values(shown=PARK.upper()))
    assert refusal(house.approve(asked_by, LEGAL)) == "approver_is_requester"
    assert approved_by(house, by_name) + approved_by(house, asked_by) == 0


@pytest.mark.parametrize(
    ("second", "role"),
    [(PARK, LEGAL), (LEE, LEGAL), (LEE, MANAGER), (PARK, MANAGER), (KIM, LEGAL)],
    ids=["once more", "another of the account's role", "another of the signer's role", "the same signature", "role"],
)
def test_the_second_approval_is_of_another_role(house: ReleaseHouse, second: str, role: str) -> None:
    request_id = house.keyed()
    assert house.approve(request_id, LEGAL, house.signature(request_id, PARK)).status_code == 303
    answer = house.approve(request_id, role, house.signature(request_id, second), name=f"{role}-2")
    assert refusal(answer) == "approvers_same_role"
    assert approved_by(house, request_id) == 1


def test_an_approval_twice_and_one_too_many(house: ReleaseHouse) -> None:
    request_id = house.keyed()
    sig = house.signature(request_id, PARK)
    assert house.approve(request_id, LEGAL, sig).status_code == 303
    assert refusal(house.approve(request_id, LEGAL, sig)) == "one_person_two_steps"
    assert house.approve(request_id, MANAGER).status_code == 303
    assert refusal(house.approve(request_id, MANAGER, house.signature(request_id, CHOI), "x")) == "step_done"


def test_each_step_in_its_turn(house: ReleaseHouse) -> None:
    request_id = house.asked()
    early = [
        house.approve(request_id, LEGAL, b"sig"),
        house.bring(f"/release/{request_id}/unwrap", HALF, "vault"),
        house.served.post(house.client("custodian"), f"/release/{request_id}/ticket"),
        house.close(request_id, outcome="given"),
        house.client("custodian").get(f"/release/{request_id}/package"),
        house.client("vault").get(f"/release/{request_id}/vault"),
    ]
    assert [refusal(answer) for answer in early] == ["step_not_yet"] * 6
    assert house.client("vault").get(f"/release/{request_id}/request.json").status_code == 404
    assert house.key(request_id).status_code == 303
    assert refusal(house.key(request_id)) == "step_done"


def test_an_expired_request_and_a_closed_one_go_no_further(house: ReleaseHouse, clock: ManualClock) -> None:
    request_id, closed = house.unwrapped(), house.keyed()
    ticket = house.ticket(request_id)
    assert house.close(closed, remark="withdrawn").status_code == 303
    assert refusal(house.approve(closed, LEGAL)) == "request_closed"
    assert refusal(house.close(closed, remark="again")) == "request_closed"
    clock.step_utc(7 * DAY_NS)
    house.clients.clear()
    for answer in (
        house.client("custodian").get(f"/release/{request_id}/package"),
        house.served.post(house.client("custodian"), f"/release/{request_id}/ticket"),
        house.close(request_id, outcome="given"),
    ):
        assert refusal(answer) == "request_expired"
    assert house.fetch(ticket).status_code == 401
    assert "expired" in house.client("auditor").get(f"/release/{request_id}").text


def test_a_request_of_tomorrow(house: ReleaseHouse, clock: ManualClock) -> None:
    """The server's clock was set back."""
    request_id = house.keyed()
    sig = house.signature(request_id, PARK)
    clock.step_utc(-DAY_NS)
    house.clients.clear()
    assert refusal(house.approve(request_id, LEGAL, sig)) == "request_not_yet"


def test_a_signature_of_other_bytes_is_none(house: ReleaseHouse) -> None:
    request_id = house.keyed()
    path = house.request(request_id)
    changed = document.encode(parse(path.read_bytes().replace(b'"Jung"', b'"Jang"')))
    other = path.with_name("changed.json")
    other.write_bytes(changed)
    house.desk.stock_sign(other, PARK, other.with_name("changed.sig"))
    sig = other.with_name("changed.sig").read_bytes()
    assert refusal(house.approve(request_id, LEGAL, sig)) == "approval_does_not_fit"
    wrong = house.signature(request_id, PARK, "linetap-hold")
    assert refusal(house.approve(request_id, LEGAL, wrong)) == "approval_malformed"
    assert refusal(house.approve(request_id, LEGAL, house.signature(request_id, "stranger"))) == "approver_unknown"
    assert refusal(house.approve(request_id, LEGAL, house.signature(request_id, HAN))) == "approver_role"


def test_a_request_changed_in_the_database_goes_to_nobody(house: ReleaseHouse) -> None:
    request_id = house.unwrapped()
    with house.served.site.own.begin() as db:
        data = bytes(db.execute(select(requests.c.request).where(requests.c.id == request_id)).scalar_one())
        db.execute(requests.update().values(request=data.replace(b'"Jung"', b'"Jang"')))
    answer = house.client("custodian").get(f"/release/{request_id}/package")
    assert refusal(answer) == "approval_does_not_fit"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "bad_input"), (b"\0\xff" * 500, ""), (HUGE, "413"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----", "private_key"),
        (b"age-secret-key-1qqqq", "private_key"), (b"-----BEGIN SSH SIGNATURE-----\n!\n", ""),
    ],
    ids=["empty", "binary", "huge", "private", "age's private", "half"],
)  # fmt: skip
def test_an_upload_that_is_none(house: ReleaseHouse, data: bytes, code: str) -> None:
    request_id, other = house.keyed(), house.approved()
    assert refusal(house.approve(request_id, LEGAL, data)) == (code or "approval_malformed")
    assert refusal(house.bring(f"/release/{other}/unwrap", data, "vault")) == (code or "inner_malformed")
    assert approved_by(house, request_id) == 0


def test_a_half_for_two_is_none(house: ReleaseHouse) -> None:
    request_id = house.approved()
    two = age.encrypt(b"x" * 200, [keys.new_identity().recipient, keys.new_identity().recipient])
    assert refusal(house.bring(f"/release/{request_id}/unwrap", two, "vault")) == "inner_malformed"
    assert refusal(house.bring(f"/release/{request_id}/unwrap", house.half(request_id)[:-300], "vault"))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"purpose": "curiosity"}, "purpose_unknown"), ({"purpose": ""}, "purpose_unknown"),
        ({"days": "32"}, "bad_input"), ({"days": "0310"}, "bad_input"), ({"days": "031" + "9" * 90}, "bad_input"),
        ({"days": "x"}, "bad_input"), ({"case": ""}, "bad_input"), ({"case": "x" * 121}, "bad_input"),
        ({"requester": "a\x07b"}, "bad_input"), ({"recipient": "age1x"}, "bad_input"),
        ({"recipient": "AGE-SECRET-KEY-1QQQ"}, "private_key"), ({"case": "AGE-SECRET-KEY-1QQQ"}, "private_key"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(house: ReleaseHouse, fields: dict[str, str], code: str) -> None:
    assert refusal(house.ask(**fields)) == code
    assert house.log()[-1] == ("officer", "request_ask", "refused", code)


def test_a_private_key_in_the_place_of_the_public_one_is_not_kept(house: ReleaseHouse) -> None:
    request_id, identity = house.asked(), keys.new_identity()
    assert refusal(house.key(request_id, identity.secret)) == "private_key"
    assert refusal(house.key(request_id, house.desk.requester.recipient)) == "bad_input"
    for path in house.folder.rglob("*"):
        assert not path.is_file() or identity.secret.encode() not in path.read_bytes()


def test_an_id_that_is_guessed(house: ReleaseHouse) -> None:
    for guess in ("2026-9999", "2026-00001", "H2026-0001", "../2026-0001", "2026-0001'--", "a" * 300):
        assert house.client("custodian").get(f"/release/{guess}/package").status_code == 404
        assert house.client("custodian").get(f"/release/{guess}").status_code == 404
        assert house.close(guess, remark="x").status_code == 404
    assert house.client("watch").get("/release").status_code == 403
    assert house.served.client().get("/release/2026-0001").status_code == 303


def test_a_ticket_is_good_once_for_its_request_and_for_ten_minutes(house: ReleaseHouse, clock: ManualClock) -> None:
    first, second = house.unwrapped(), house.unwrapped()
    ticket, other = house.ticket(first), house.ticket(second)
    assert house.fetch(ticket).headers["content-disposition"] == f'attachment; filename="{first}.tar"'
    assert house.fetch(ticket).status_code == 401
    assert house.fetch(other).headers["content-disposition"] == f'attachment; filename="{second}.tar"'
    replaced, late = house.ticket(first), house.ticket(first)
    assert house.fetch(replaced).status_code == 401
    clock.step_utc(store.TICKET_S * NS_PER_S)
    assert house.fetch(late).status_code == 401
    for guess in ("x", "x" * 43, "x" * 5000, "'; DROP TABLE tickets;--"):
        assert house.fetch(guess).status_code == 401
    assert house.served.client().get(f"/package?ticket={ticket}").status_code == 401
    data = b"".join(path.read_bytes() for path in house.folder.rglob("serve.db*"))
    assert all(one.encode() not in data for one in (ticket, other, replaced, late))


def test_a_ticket_ends_with_its_persons_role(house: ReleaseHouse) -> None:
    tickets = [house.ticket(house.unwrapped()) for _ in range(2)]
    table = house.served.site.access
    accounts.set_roles(table, "test", "custodian", ["vault"])
    assert house.fetch(tickets[0]).status_code == 401
    accounts.set_roles(table, "test", "custodian", ["custodian"])
    accounts.lock_account(table, "test", "custodian", True)
    assert house.fetch(tickets[1]).status_code == 401


def test_the_package_stands_in_the_log_before_its_first_byte(house: ReleaseHouse) -> None:
    request_id = house.unwrapped()
    ticket = house.ticket(request_id)
    with house.served.client().stream("GET", "/package", headers={"authorization": f"Bearer {ticket}"}) as answer:
        assert answer.status_code == 200
        assert house.log()[-1] == ("custodian", "export", "done", "")


def test_sql_and_script_in_names(house: ReleaseHouse) -> None:
    evil = EVIL[:64]
    request_id = house.keyed(case=EVIL, requester=evil)
    page = house.client("officer").get(f"/release/{request_id}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    asked = parse(house.request(request_id).read_bytes())
    assert (asked.case, asked.requester) == (EVIL, evil)
    assert house.approve(request_id, LEGAL).status_code == 303


def test_a_call_without_a_second_copy(desk: Desk) -> None:
    house = ReleaseHouse(desk, copied=False)
    with house.served:
        request_id = house.keyed()
        assert "There is no second copy here yet." in house.client("vault").get(f"/release/{request_id}").text
        assert refusal(house.approve(request_id, LEGAL)) == "copy_no_copy"
        assert refusal(house.client(MANAGER).get(f"/release/{request_id}/call")) == "copy_no_copy"
        record = house.copy(desk.call) / "record.json"
        assert refusal(house.approve(request_id, LEGAL)) == "closing_needed"
        house.close_in_log(desk.call)
        sealed = record.read_bytes()
        record.write_bytes(sealed + b" ")
        assert refusal(house.approve(request_id, LEGAL)) == "copy_changed"
        assert approved_by(house, request_id) == 0
        record.write_bytes(sealed)
        assert house.approve(request_id, LEGAL).status_code == 303
    house.engine.dispose()


def test_roles_that_do_not_count(house: ReleaseHouse) -> None:
    request_id, desk = house.keyed(), house.desk
    desk.sign_roles(2)
    assert house.approve(request_id, LEGAL).status_code == 303
    desk.sign_roles(1)
    assert refusal(house.approve(request_id, MANAGER)) == "roles_rollback"
    desk.sign_roles(2, purposes=[])
    assert refusal(house.approve(request_id, MANAGER)) == "roles_version_taken"
    desk.sign_roles(3, purposes=[])
    assert refusal(house.approve(request_id, MANAGER)) == "purpose_unknown"
    (desk.root / "roles.json.sig").unlink()
    assert refusal(house.approve(request_id, MANAGER)) == "roles_missing"
    assert approved_by(house, request_id) == 1


def test_the_button_is_the_officers(house: ReleaseHouse) -> None:
    for role, there in (("officer", True), ("vault", False), ("auditor", False)):
        page = house.client(role).get(f"/calls/{UNIT}/{CALL_ID}").text
        assert (f'href="/release/ask/{UNIT}/{CALL_ID}"' in page) is there
    assert house.client("officer").get(f"/release/ask/{UNIT}/{CALL_ID}").status_code == 200
    assert house.client("officer").get(f"/release/ask/{UNIT}/20200101T000000.000Z-L01").status_code == 404


HALF = b"age-encryption.org/v1\n-> X25519 %b\n%b\n--- %b\n%b" % (b"A" * 43, b"A" * 43, b"A" * 43, b"x" * 400)
