# SPDX-License-Identifier: Apache-2.0
"""A hold from the form to the unit's signed confirmation: the command is made with the real tools, and judged here."""

from __future__ import annotations

import html
import io
import re
import tarfile
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from calls_rig import EVIL
from release_house import NOW_NS, ReleaseHouse, refusal, served_at

from ingest_rig import Teller, trusted
from linetap_core.clock import NS_PER_S, ManualClock, rfc3339
from linetap_core.evidence.authorization.roles import parse
from linetap_core.evidence.calls import hold as holdfile
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing.namespaces import HOLD_CHECK as CHECK
from linetap_desk.ceremony import hold
from linetap_desk.ceremony.destructionchecks import missing
from linetap_desk.ingest.store import Store
from linetap_desk.serve.holds import holdfiles
from linetap_desk.unitcommands import command
from release_rig import HAN, KIM, PEOPLE, Desk
from sealing_rig import CALL_ID, UNIT

OTHER_BASIS = "Criminal Procedure Act 215"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS, NS_PER_S)


@pytest.fixture
def house(desk: Desk, clock: ManualClock) -> Iterator[ReleaseHouse]:
    with served_at(desk, clock) as house:
        yield house


def ask(house: ReleaseHouse, **more: str) -> httpx.Response:
    fields = {"unit": UNIT, "call_id": CALL_ID, "case": "2026-117", "basis": OTHER_BASIS, "until": "2027-06-30"} | more
    return house.served.post(house.client("officer"), "/hold/ask", **fields)


def asked(house: ReleaseHouse, **more: str) -> str:
    answer = ask(house, **more)
    assert answer.status_code == 303, refusal(answer)
    return answer.headers["location"].rpartition("/")[2]


def signed(house: ReleaseHouse, *, who: str = HAN, unit: str = UNIT, **more: str) -> bytes:
    """The command, signed by the officer's real tools."""
    desk = house.desk
    fields = {"case": "2026-117", "basis": OTHER_BASIS, "until": "2027-06-30"} | more
    folder, output = desk.root / "held", desk.root / "hold.command"
    words = [word for name, value in fields.items() for word in (f"--{name}", value)]
    status, _ = desk.run(
        hold, "wrap", desk.call, "--identity", desk.rig.epoch_file, "--to", keys.new_identity().recipient, *words,
        "--key", desk.root / who, "-o", folder, "--desk", desk.folder,
    )  # fmt: skip
    assert status == 0
    assert desk.run(
        command, "sign", "--verb", "hold", "--role", "vault", "--unit", unit, "--document", folder / "hold.json",
        "--key", desk.root / HAN, "-o", output,
    ) == (0, "")  # fmt: skip
    data = output.read_bytes()
    output.unlink()
    for path in folder.iterdir():
        path.unlink()
    return data


def bring(house: ReleaseHouse, hold_id: str, data: bytes, role: str = "vault", name: str = "") -> httpx.Response:
    return house.bring(f"/hold/{hold_id}/command", data, role, name)


def test_the_page_of_the_call_shows_its_hold(house: ReleaseHouse) -> None:
    """The pages name a hold's folder after the hold, a person after the call. A hold of another unit's call of the same
    id is not this call's.
    """
    hold_id = asked(house)
    assert bring(house, hold_id, signed(house)).status_code == 303
    page, told = f"/calls/{UNIT}/{CALL_ID}", "the desk has a vault officer&#39;s hold"
    assert told in house.client("officer").get(page).text
    place = house.holds / hold_id / holdfile.HOLD
    document = holdfile.decode(place.read_bytes())
    place.write_bytes(holdfile.encode(msgspec.structs.replace(document, unit="closet-9f")))
    assert told not in house.client("officer").get(page).text


def test_from_the_form_to_the_units_word(house: ReleaseHouse, clock: ManualClock) -> None:
    hold_id = asked(house)
    page = html.unescape(house.client("vault").get(f"/hold/{hold_id}").text)
    assert f"--case 2026-117 --basis '{OTHER_BASIS}' --until 2027-06-30T15:00:00.000Z" in page
    data = signed(house)
    assert bring(house, hold_id, data).status_code == 303
    vault = house.client("vault")
    assert vault.get(f"/hold/{hold_id}/hold.command").content == data
    page = vault.get(f"/hold/{hold_id}").text
    assert f"linetap command send {hold_id}.command --config desk.toml" in page
    assert f"linetap hold check holds/{CALL_ID} calls/{CALL_ID} --identity" in page
    teller = Teller(house.desk.root / "unit", unit=UNIT)

    def tell(**more: Any) -> None:
        clock.step_utc(60 * NS_PER_S)
        teller.tell("held", at=rfc3339(clock.utc_ns()), call_id=CALL_ID, line=3, **more)
        Store(house.engine).write(teller.reports(), trusted(teller))

    def step() -> str:
        page = house.client("auditor").get("/release").text
        row = re.search(rf'/hold/{hold_id}">.*?<td>(.*?)</td>', page, re.DOTALL)
        assert row
        return row[1]

    assert step() == "Sent to the unit"
    tell()
    assert step() == "Held by the unit"
    assert refusal(bring(house, hold_id, data)) == "step_done"
    tell(why="hold_ended")
    assert step() == "The hold has ended"
    done = [(who, act) for who, act, outcome, _ in house.log() if outcome == "done"]
    assert done == [("officer", "hold_ask"), ("vault", "hold_command")]


SECOND = "Seo Ji"


@pytest.fixture
def two(desk: Desk) -> None:
    """Adds another vault officer."""
    desk.ssh_key(SECOND)
    desk.sign_roles(2, PEOPLE | {SECOND: "vault"})


def check(house: ReleaseHouse, hold_id: str, who: str, what: str = "hold.json", namespace: str = CHECK) -> bytes:
    """The signature of `hold check`; another test covers the opening before it."""
    sig = house.desk.root / "check.sig"
    house.desk.stock_sign(house.holds / hold_id / what, who, sig, namespace)
    return sig.read_bytes()


def lacks(house: ReleaseHouse) -> list[str]:
    """The reasons of `linetap epoch destroy` against destroying the key of the call's day."""
    roles = parse((house.desk.root / "roles.json").read_bytes())
    epoch = sealed.decode_record((house.desk.call / sealed.RECORD).read_bytes()).retention
    assert epoch is not None
    return list(missing(epoch.epoch, house.copies / UNIT, house.holds, house.clock.utc_ns(), None, roles))


@pytest.mark.usefixtures("two")
def test_the_wrapped_key_is_checked_by_another_officer(house: ReleaseHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hold made on the page keeps its day's key until another person has verified that it opens."""
    hold_id = asked(house)
    assert refusal(house.bring(f"/hold/{hold_id}/check", b"x", "vault")) == "step_not_yet"
    assert house.client("vault").get(f"/hold/{hold_id}/check").status_code == 409
    assert lacks(house) == []
    assert bring(house, hold_id, signed(house)).status_code == 303
    assert "not shown that its key opens" in "".join(lacks(house))
    with tarfile.open(fileobj=io.BytesIO(house.client("vault").get(f"/hold/{hold_id}/check").content)) as archive:
        names = archive.getnames()
    assert {f"holds/{CALL_ID}/hold.json", f"holds/{CALL_ID}/key.age", f"calls/{CALL_ID}/record.json"} <= set(names)
    for sig in (
        check(house, hold_id, HAN), check(house, hold_id, KIM), check(house, hold_id, SECOND, "key.age"),
        check(house, hold_id, SECOND, namespace="linetap-hold"), b"x",
    ):  # fmt: skip
        assert refusal(house.bring(f"/hold/{hold_id}/check", sig, "vault", "second")) == "hold_check"
    assert "not shown that its key opens" in "".join(lacks(house))
    sig = check(house, hold_id, SECOND)
    with monkeypatch.context() as full:
        full.setattr(holdfiles, "replace_durably", lambda *_words, **_more: (_ for _ in ()).throw(OSError(28, "full")))
        assert refusal(house.bring(f"/hold/{hold_id}/check", sig, "vault", "second")) == "holds_missing"
    assert house.bring(f"/hold/{hold_id}/check", sig, "vault", "second").status_code == 303
    assert lacks(house) == []
    assert f"checked by {SECOND}" in house.client("vault").get(f"/hold/{hold_id}").text
    assert refusal(house.bring(f"/hold/{hold_id}/check", sig, "vault", "second")) == "step_done"
    assert ("second", "hold_check", "done", "") in house.log()


@pytest.mark.parametrize("field", ["case", "basis", "until"])
def test_another_hold_than_was_asked_for(house: ReleaseHouse, field: str) -> None:
    other = {"case": "2026-118", "basis": "Another", "until": "2027-07-01"}[field]
    assert refusal(bring(house, asked(house), signed(house, **{field: other}))) == "hold_differs"


def test_a_command_that_does_not_count(house: ReleaseHouse, clock: ManualClock) -> None:
    hold_id = asked(house)
    good = signed(house)
    for data, code in (
        (signed(house, who=KIM), "document_signature"),
        (signed(house, unit="closet-4f"), "command_other_unit"),
        (good.replace(b"2026-117", b"2026-118"), "command_unsigned"),
        (b"\0\xff", "command_malformed"),
        (b"", "bad_input"),
        (b"x" * (1 << 16), "413"),
        (b"[" * 50_000, "command_malformed"),
    ):
        assert refusal(bring(house, hold_id, data)) == code
    desk = house.desk
    output = desk.root / "self.command"
    desk.run(
        command, "sign", "--verb", "time", "--role", "vault", "--unit", UNIT, "--challenge", "5f0c", "--key",
        desk.root / HAN, "-o", output,
    )  # fmt: skip
    assert refusal(bring(house, hold_id, output.read_bytes())) == "command_verb"
    clock.step_utc(8 * 86_400 * NS_PER_S)
    house.clients.clear()
    assert refusal(bring(house, hold_id, good)) == "command_expired"
    assert house.client("vault").get(f"/hold/{hold_id}/hold.command").status_code == 404


def test_who_asks_does_not_bring_the_command(house: ReleaseHouse) -> None:
    with_both = "officer,vault"
    hold_id = house.served.post(
        house.client(with_both, "han"), "/hold/ask", unit=UNIT, call_id=CALL_ID, case="2026-117", basis=OTHER_BASIS,
        until="2027-06-30",
    ).headers["location"].rpartition("/")[2]  # fmt: skip
    assert refusal(bring(house, hold_id, signed(house), with_both, "han")) == "one_person_two_steps"
    assert bring(house, hold_id, signed(house)).status_code == 303


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"until": "2026-11-26"}, "hold_ended"), ({"until": "soon"}, "bad_input"), ({"until": ""}, "bad_input"),
        ({"case": ""}, "bad_input"), ({"basis": "x" * 1001}, "bad_input"), ({"until": "9999-12-31"}, "bad_input"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(house: ReleaseHouse, fields: dict[str, str], code: str) -> None:
    assert refusal(ask(house, **fields)) == code


def test_sql_and_script_come_back_as_they_were(house: ReleaseHouse) -> None:
    hold_id = asked(house, case=EVIL, basis=EVIL)
    page = house.client("vault").get(f"/hold/{hold_id}").text
    assert "<script>alert" not in page
    assert bring(house, hold_id, signed(house, case=EVIL, basis=EVIL)).status_code == 303
    assert refusal(house.served.post(house.client("officer"), f"/hold/{hold_id}/close")) == "no_remark"
    closed = house.served.post(house.client("officer"), f"/hold/{hold_id}/close", remark=EVIL)
    assert closed.status_code == 303
    assert refusal(bring(house, hold_id, b"{}")) == "request_closed"
    assert house.client("vault").get("/hold/H2026-0999").status_code == 404
    assert house.client("vault").get("/hold/2026-0001").status_code == 404
