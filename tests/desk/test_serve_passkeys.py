# SPDX-License-Identifier: Apache-2.0
"""Login with a password and a passkey: from the one-time link to a lost passkey that two people replace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from login_house import NAME, OTHER, PASSWORD, LoginHouse, Person, quick_passwords
from playwright.sync_api import Browser, expect
from servesite import require_accessible

from linetap_core import cli
from linetap_core.clock import NS_PER_S
from linetap_core.errors import BadInput
from linetap_desk.config import pages
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.people import accounts, invitations, passkeys
from passkey_rig import SoftPasskey

AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


@pytest.fixture
def house(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoginHouse]:
    quick_passwords(monkeypatch)
    house = LoginHouse(run_dir / "site", 'passkey_roles = ["vault", "approver-legal"]')
    with house.served:
        yield house


def half_of(answer: httpx.Response) -> str:
    found = re.search(r'id="half">(\w+)<', answer.text)
    assert found, answer.text
    return found[1]


def test_from_the_link_to_the_second_login(house: LoginHouse) -> None:
    kim = house.joined("kim", "officer")
    assert house.is_in(kim)
    again = house.at("kim", kim.key)
    again.counter = kim.counter
    assert house.begin(again).headers["location"] == "/login/passkey"
    assert not house.is_in(again)
    answer = house.finish(again)
    assert (answer.status_code, answer.headers["location"]) == (303, "/password")
    assert house.is_in(again)
    assert [act[1:3] for act in house.acts()] == [
        ("people_add", "done"), ("people_invite", "done"), ("people_first", "done"), ("login_first", "done"),
        ("login", "done"),
    ]  # fmt: skip


def test_a_password_alone_where_no_role_needs_more(house: LoginHouse) -> None:
    kim = house.person("kim", "officer")
    house.begin_first(kim, house.invite("kim"))
    assert house.post(kim, "/first/passkey", without="on").status_code == 303
    assert house.is_in(kim)
    again = house.at("kim")
    assert house.begin(again).headers["location"] == "/password"


def test_a_role_that_needs_a_passkey_gets_in_by_nothing_else(house: LoginHouse) -> None:
    park = house.person("park", "vault", password=PASSWORD)
    answer = house.begin(park)
    assert answer.status_code == 403
    assert "패스키가 있어야" in answer.text
    assert house.acts()[-1] == ("park", "login", "refused", "no_passkey")
    house.begin_first(park, house.invite("park"))
    assert "비밀번호만 사용하기" not in park.client.get("/first/passkey").text
    assert house.post(park, "/first/passkey", without="on").status_code == 403
    assert not house.is_in(park)


def test_a_link_is_good_once_and_for_a_day(house: LoginHouse) -> None:
    kim, code = house.person("kim", "officer"), house.invite("kim")
    other = house.at("kim", SoftPasskey(NAME, credential="b3RoZXI"))
    assert house.begin_first(other, code).status_code == 303
    assert house.begin_first(kim, code).status_code == 303
    assert house.finish_first(kim).status_code == 303
    assert house.finish_first(other).status_code == 403  # both had typed it: the first to finish gets it
    assert house.begin_first(house.at("kim"), code).status_code == 403
    with pytest.raises(BadInput, match="two people"):
        house.invite("kim")

    lee, code = house.person("lee", "officer"), house.invite("lee")
    later = house.invite("lee")
    assert house.begin_first(lee, code).status_code == 403  # another one was made
    house.clock.advance(invitations.WITHIN_S * NS_PER_S)
    assert house.begin_first(lee, later).status_code == 403


def test_two_people_replace_a_lost_passkey(house: LoginHouse) -> None:
    kim, lee, park = house.joined("kim", "officer"), house.joined("lee", "vault"), house.joined("park", "custodian")
    asked = house.served.post(lee.client, "/restore", name="kim", reason="휴대전화 분실")
    first = half_of(asked)
    new = house.at("kim", SoftPasskey(NAME, credential="bmV3"))
    assert house.begin_first(new, first, OTHER).status_code == 403
    second = half_of(house.served.post(park.client, "/restore/confirm", name="kim"))
    for wrong in (first, second, second + first, first + first, ""):
        assert house.begin_first(new, wrong, OTHER).status_code == 403
    assert house.begin_first(new, f"{first} - {second.lower()}", OTHER).status_code == 303
    assert house.is_in(kim)  # nothing has changed until the new passkey has proved itself
    assert house.finish_first(new).status_code == 303
    assert house.is_in(new)
    assert not house.is_in(kim)
    assert house.begin(house.at("kim"), PASSWORD).status_code == 403
    old = house.at("kim", kim.key)
    house.begin(old, OTHER)
    assert house.finish(old).status_code == 403
    acts = [act for act in house.acts() if act[1].startswith(("restore", "people_restored"))]
    assert acts == [
        ("lee", "restore_ask", "done", "휴대전화 분실"),
        ("park", "restore_confirm", "done", ""),
        ("kim", "people_restored", "done", "휴대전화 분실"),
    ]


def test_nobody_gets_both_halves_by_asking_while_confirming(house: LoginHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """In PostgreSQL another request may be committed between the reading of a row and its change."""
    lee, _, _ = house.joined("lee", "vault"), house.joined("park", "custodian"), house.joined("kim", "officer")
    assert house.served.post(lee.client, "/restore", name="kim", reason="분실").status_code == 200
    now_ns, new = house.clock.utc_ns(), invitations._new
    with writing(house.served.site.own) as db:
        park = accounts.require(db, "park").id

        def after_another_request() -> str:
            monkeypatch.setattr(invitations, "_new", new)
            invitations.ask(db, "kim", "park", park, "분실", now_ns)
            return new()

        monkeypatch.setattr(invitations, "_new", after_another_request)
        with pytest.raises(invitations.RestoreFault, match="restore_not_asked"):
            invitations.confirm(db, "kim", "park", park, now_ns)
        (waits,) = invitations.pending_restorations(db, now_ns)
    assert (waits.asked_by, waits.confirmed_by) == ("park", None)


def test_who_may_not_restore(house: LoginHouse) -> None:
    house.joined("kim", "officer")
    lee, park = house.joined("lee", "vault"), house.joined("park", "custodian")
    han = Person("han", house.served.client("officer", name="han"), SoftPasskey(NAME))  # logged in without a passkey
    refused = {
        "restore_nobody": (lee, "nobody", "분실"),
        "restore_own": (lee, "lee", "분실"),
        "restore_no_reason": (lee, "kim", " "),
        "restore_no_passkey": (han, "kim", "분실"),
    }
    for code, (who, name, reason) in refused.items():
        assert house.served.post(who.client, "/restore", name=name, reason=reason).status_code == 409
        assert house.acts()[-1][1:] == ("restore_ask", "refused", code)
    assert house.served.post(park.client, "/restore/confirm", name="kim").status_code == 409
    assert house.served.post(lee.client, "/restore", name="kim", reason="분실").status_code == 200
    for who, code in ((lee, "restore_second"), (han, "restore_no_passkey")):
        assert house.served.post(who.client, "/restore/confirm", name="kim").status_code == 409
        assert house.acts()[-1][1:] == ("restore_confirm", "refused", code)
    assert house.served.post(park.client, "/restore/confirm", name="kim").status_code == 200
    assert house.served.post(park.client, "/restore/confirm", name="kim").status_code == 409


def test_a_login_waits_five_minutes(house: LoginHouse) -> None:
    kim = house.joined("kim", "officer")
    again = house.at("kim", kim.key)
    again.counter = kim.counter
    house.begin(again)
    page = again.client.get("/login/passkey")
    assert page.status_code == 200
    house.clock.advance((passkeys.WITHIN_S + 1) * NS_PER_S)
    assert again.client.get("/login/passkey").headers["location"] == "/login"


def test_the_terminal_prints_the_link(house: LoginHouse, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["desk", "people", "add", "choi", "--shown", "최아라", "--roles", "vault", "--invite"]
    assert cli.main([*words, "--config", str(house.served.config)]) == 0
    link = capsys.readouterr().out.strip()
    assert link.startswith(f"https://{NAME}/first#choi/")
    choi = house.at("choi")
    assert house.begin_first(choi, link.rpartition("/")[2]).status_code == 303
    assert house.finish_first(choi).status_code == 303
    assert cli.main(["desk", "people", "list", "--config", str(house.served.config)]) == 0
    assert "choi\t최아라\tvault\tpassword+passkey\topen" in capsys.readouterr().out
    assert cli.main(["desk", "people", "invite", "choi", "--config", str(house.served.config)]) == 2
    assert "two people" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ('passkey_roles = ["vault"]', "need a host name"),
        ('url = "https://192.0.2.7"\npasskey_roles = ["vault"]', "need a host name"),
        ('url = "https://desk.city.example"\npasskey_roles = ["mayor"]', "mayor"),
    ],
)
def test_a_policy_that_cannot_be_kept(tmp_path: Path, more: str, word: str) -> None:
    (tmp_path / "desk.toml").write_text(f"[serve]\n{more}\n")
    with pytest.raises(BadInput, match=word):
        pages.read_settings(tmp_path / "desk.toml")


def test_in_a_real_browser(house: LoginHouse, browser: Browser) -> None:
    """Chromium's virtual authenticator; axe on each page."""
    house.person("lee", "vault")
    code = house.invite("lee")
    page = house.served.context(browser).new_page()
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    page.goto(f"{house.served.url}/first#lee/{code}")
    expect(page.get_by_label("코드")).to_have_value(code)
    assert code not in page.url
    require_accessible(page)
    for field in ("#new", "#again"):
        page.locator(field).fill(PASSWORD)
    page.get_by_role("button", name="계속하기").click()
    page.wait_for_url("**/first/passkey")
    require_accessible(page)
    page.get_by_role("button", name="패스키 만들기").click()
    page.wait_for_url(f"{house.served.url}/")
    require_accessible(page)
    page.goto(f"{house.served.url}/restore")
    require_accessible(page)
    page.get_by_role("button", name="로그아웃").click()
    page.wait_for_url("**/login")
    page.locator("#name").fill("lee")
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name="로그인", exact=True).click()
    page.wait_for_url("**/login/passkey")
    require_accessible(page)
    page.get_by_role("button", name="패스키 사용하기").click()
    page.wait_for_url(f"{house.served.url}/")
    assert house.acts()[-1] == ("lee", "login", "done", "passkey")
