# SPDX-License-Identifier: Apache-2.0
"""One program for every step that needs a key: a release and a hold from their first button to their last, with a real
desk, in the Windows-like environment, without a typed command.
"""

from __future__ import annotations

import dataclasses
import io
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from group_house import GroupHouse
from program_rig import Browser, InThread, OnWindows
from release_house import LEGAL, MANAGER, ReleaseHouse, refusal

import sealing_rig
from linetap_core.cli import main
from linetap_core.clock import SYSTEM
from linetap_core.evidence.authorization.roles import parse
from linetap_core.evidence.keys import keys
from linetap_desk.custody.program.settings import NAME, Settings
from linetap_desk.unsealing.wrapped import require_checked
from release_rig import HAN, KIM, PARK, PEOPLE, YUN, Desk
from sealing_rig import CALL_ID, UNIT

SAMPLES = 20_000
SECOND = "Seo Ji"  # another vault officer


@pytest.fixture
def house(desk: Desk) -> Iterator[ReleaseHouse]:
    desk.ssh_key(SECOND)
    desk.sign_roles(2, PEOPLE | {SECOND: "vault"})
    house = ReleaseHouse(desk)
    with house.served:
        yield house
    house.engine.dispose()


def saved(house: ReleaseHouse, path: str, role: str) -> Path:
    """The file as downloaded by a browser."""
    answer = house.client(role).get(path)
    assert answer.status_code == 200, refusal(answer)
    name = answer.headers["content-disposition"].partition('filename="')[2].rstrip('"')
    target = house.desk.root / name
    target.write_bytes(answer.content)
    return target


def set_up(browser: Browser, house: ReleaseHouse, output: Path) -> None:
    """A new computer: the authority's published files, the desk's address, and one's own keys."""
    desk = house.desk
    assert "먼저 적용하십시오" in browser.get("/")
    for what, name in (("roles", "roles.json"), ("authority", "authority.pub")):
        browser.choose(what, desk.root / name)
    browser.choose("signers", desk.rig.signers_file)
    assert "ok: version 2" in browser.do("/roles")
    browser.do("/settings", desk=house.served.url, name="")
    for what, path in (("ca", house.served.ca), ("output", output), ("identities", desk.rig.epoch_file)):
        browser.choose(what, path)
    assert str(desk.rig.custodian_files[0]) in browser.choose("identities", desk.rig.custodian_files[0])


def as_person(browser: Browser, house: ReleaseHouse, name: str) -> str:
    browser.choose("signing", house.desk.root / name)
    browser.do("/settings", desk=house.served.url, name=name)
    return browser.get("/")


def test_a_release_and_a_hold_by_buttons_alone(house: ReleaseHouse, tmp_path: Path) -> None:
    desk, output = house.desk, tmp_path / "out"
    output.mkdir()
    request_id = house.asked()
    with OnWindows(desk.root, tmp_path / "computer") as run:
        browser = run.browser
        set_up(browser, house, output)

        one_time = output / f"one-time-{request_id}.txt"
        page = browser.do("/one-time", id=request_id)
        public = keys.parse_identity_file(one_time.read_text())[0].recipient
        assert public in page
        assert house.key(request_id, public).status_code == 303

        for role, name in ((MANAGER, KIM), (LEGAL, PARK)):
            assert "/fetch" not in as_person(browser, house, name), "an approver opens nothing"
            page = browser.choose("archive", saved(house, f"/release/{request_id}/call", role))
            assert CALL_ID in page
            assert "/unwrap" not in page
            assert f"verified: {CALL_ID}, line 3 of {UNIT}" in browser.do("/approve")
            signed = (output / f"{request_id}.{PEOPLE[name]}.sig").read_bytes()
            assert house.approve(request_id, role, signed).status_code == 303

        assert "/one-time" not in as_person(browser, house, HAN)
        browser.choose("archive", saved(house, f"/release/{request_id}/vault", "vault"))
        page = browser.do("/unwrap", identity=[str(desk.rig.epoch_file)], partial="")
        assert "not witnessed" in page
        inner = (output / f"{request_id}-vault.age").read_bytes()
        assert house.bring(f"/release/{request_id}/unwrap", inner, "vault").status_code == 303

        as_person(browser, house, YUN)
        page = browser.do("/fetch", ticket=house.ticket(request_id))
        assert f'value="{one_time}" checked' in page
        page = browser.do("/open", identity=[str(one_time), str(desk.rig.custodian_files[0])])
        assert f"/release/call/{CALL_ID}" in page
        browser.do(f"/release/call/{CALL_ID}/listen")
        assert f'"samples":{SAMPLES}' in browser.get(f"/release/call/{CALL_ID}/sound.json")
        assert browser.do(f"/release/call/{CALL_ID}/give").count(".age") >= 2
        browser.do("/release/bundle")
        browser.do("/release/close", sure="on")
        assert not one_time.exists()
        assert browser.client.get(f"{browser.room}/release/").status_code == 303, "nothing is open any more"
        bundle = output / f"{request_id}.zip"
        assert f"ok   {CALL_ID}" in browser.choose("bundle", bundle)

        hold_id = asked_hold(house)
        as_person(browser, house, HAN)
        page = browser.choose("archive", saved(house, f"/hold/{hold_id}/call", "vault"))
        assert "Act 215" in page
        (made,) = [one for one in browser.do("/hold-key").split("<code>") if one.startswith("age1")]
        to = made.partition("<")[0]
        browser.do("/hold", identity=[str(desk.rig.epoch_file)], to=to)
        command = (output / f"{hold_id}.command").read_bytes()
        answer = house.bring(f"/hold/{hold_id}/command", command, "vault")
        assert answer.status_code == 303, refusal(answer)

        as_person(browser, house, SECOND)  # at the same computer, with the hold's key
        (hold_key,) = output.glob("hold-*.txt")
        browser.choose("identities", hold_key)
        browser.choose("archive", saved(house, f"/hold/{hold_id}/check", "vault"))
        assert "contains the key of" in browser.do("/check-hold", identity=[str(hold_key)])
        answer = house.bring(f"/hold/{hold_id}/check", (output / f"{hold_id}.check.sig").read_bytes(), "vault")
        assert answer.status_code == 303, refusal(answer)
        run.end()

    paper = house.holds / hold_id / "hold.json"
    roles = parse((desk.root / "roles.json").read_bytes())
    require_checked(paper, paper.read_bytes(), roles, HAN)  # as judged by `linetap epoch destroy`
    assert b"SECRET" not in (tmp_path / "computer" / NAME).read_bytes()
    done = sealing_rig.run(["age", "-d", "-i", str(desk.root / "requester.txt"), str(output / f"{CALL_ID}.wav.age")])
    with wave.open(io.BytesIO(done.stdout), "rb") as wav:
        assert wav.getnframes() == SAMPLES
    assert main(["verify", str(bundle), "--signers", str(desk.rig.signers_file)]) == 0


@pytest.fixture
def group(tmp_path: Path) -> Iterator[GroupHouse]:
    house = GroupHouse(tmp_path)
    with house.served:
        yield house
    house.engine.dispose()


def test_officers_of_a_group_one_after_another(group: GroupHouse) -> None:
    """Members 1 and 3, each at their own computer; a hold is handled likewise."""
    request_id, hold_id = group.approved(), asked_hold(group)
    group.desk.clock.step_utc(SYSTEM.utc_ns() - group.desk.clock.utc_ns())
    to = keys.new_identity().recipient
    for number, partial in ((1, ""), (3, "1.age")):
        name = f"vault-{number}"
        desk = dataclasses.replace(group.desk, folder=group.place(name) / "desk")
        output = group.place(name) / "out"
        output.mkdir()
        key = str(group.officers.files[number - 1])
        chosen = Settings(name=HAN, signing=str(desk.root / HAN), identities=[key], output=str(output))
        with InThread(desk, chosen) as run:
            for about, act in ((f"/release/{request_id}", "/unwrap"), (f"/hold/{hold_id}", "/hold")):
                path = output / "brought.tar"
                archive = "vault" if act == "/unwrap" else "call"
                path.write_bytes(group.client("vault", name).get(f"{about}/{archive}").content)
                page = run.browser.do("/choose", what="archive", path=str(path))
                assert ('value="1.age" checked' in page) == bool(partial)
                run.browser.do(act, identity=key, partial=partial, to=to)
        half, place = output / f"{request_id}-vault.age", "partial" if number == 1 else "unwrap"
        answer = group.bring(f"/release/{request_id}/{place}", half.read_bytes(), "vault", name)
        assert answer.status_code == 303, refusal(answer)
        made = output / f"hold-{hold_id}/partial-1.age" if number == 1 else output / f"{hold_id}.command"
        place = "partial" if number == 1 else "command"
        answer = group.bring(f"/hold/{hold_id}/{place}", made.read_bytes(), "vault", name)
        assert answer.status_code == 303, refusal(answer)


def asked_hold(house: ReleaseHouse) -> str:
    fields = {"case": "2026-118", "basis": "Criminal Procedure Act 215", "until": "2031-06-30"}
    answer = house.served.post(house.client("officer"), "/hold/ask", unit=UNIT, call_id=CALL_ID, **fields)
    assert answer.status_code == 303, refusal(answer)
    return answer.headers["location"].rpartition("/")[2]
