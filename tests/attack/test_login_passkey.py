# SPDX-License-Identifier: Apache-2.0
"""A thief with a password and another person's answer, an old one, or one of another site."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "desk"))
from login_house import NAME, PASSWORD, LoginHouse, Person, challenge_of, quick_passwords

from linetap_core.clock import NS_PER_S
from linetap_desk.serve.login import login
from linetap_desk.serve.people import accounts, passkeys
from linetap_desk.serve.people.passkeys import Ceremonies, Ceremony
from passkey_rig import SoftPasskey


@pytest.fixture
def house(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoginHouse]:
    quick_passwords(monkeypatch)
    house = LoginHouse(run_dir / "site", 'passkey_roles = ["vault"]')
    with house.served:
        yield house


def again(house: LoginHouse, who: Person, key: SoftPasskey | None = None) -> Person:
    """Another browser; with `key` instead of theirs, under the same id."""
    found = house.at(who.name, key or who.key)
    found.key.credential, found.counter = who.key.credential, who.counter
    return found


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"flags": 0x01}, "passkey_not_verified"),
        ({"flags": 0x04}, "passkey_not_verified"),
        ({"flags": 0xC5}, "passkey_malformed"),
        ({"origin": "https://evil.example"}, "passkey_other_site"),
        ({"origin": f"https://{NAME}:1"}, "passkey_other_site"),  # another server at the same name
        ({"crossOrigin": True}, "passkey_other_site"),
        ({"type": "webauthn.create"}, "passkey_malformed"),
        ({"site": "evil.example"}, "passkey_not_by_this_key"),
        ({"counter": 0}, "passkey_copied"),
        ({"counter": 1}, "passkey_copied"),  # the same as the first time
        ({"challenge": "AAAA"}, "passkey_other_challenge"),
        ({"x": "y" * 2100}, "passkey_malformed"),
    ],
)
def test_an_answer_that_is_none(house: LoginHouse, changes: dict[str, Any], code: str) -> None:
    thief = again(house, house.joined("kim", "officer"))
    house.begin(thief)
    assert house.finish(thief, **changes).status_code == 403
    assert house.acts()[-1] == ("kim", "login_passkey", "refused", code)
    assert not house.is_in(thief)


def test_another_key_under_the_same_id(house: LoginHouse) -> None:
    kim = house.joined("kim", "officer")
    thief = again(house, kim, SoftPasskey(NAME))
    house.begin(thief)
    assert house.finish(thief).status_code == 403
    assert house.acts()[-1][3] == "passkey_not_by_this_key"


def test_ones_own_passkey_for_anothers_password(house: LoginHouse) -> None:
    """An insider with an account and a colleague's password."""
    house.joined("kim", "officer")
    lee = house.joined("lee", "vault")
    thief = Person("kim", house.served.client(), lee.key, lee.counter)
    house.begin(thief)
    assert house.finish(thief).status_code == 403
    assert house.acts()[-1] == ("kim", "login_passkey", "refused", "passkey_unknown")


def test_an_answer_is_good_once_and_for_its_own_browser(house: LoginHouse) -> None:
    kim = house.joined("kim", "officer")
    first = again(house, kim)
    house.begin(first)
    fields = first.fields(challenge_of(first.client.get("/login/passkey")), house.served.url)
    thief = again(house, kim)
    house.begin(thief)
    assert house.post(thief, "/login/passkey", **fields).status_code == 403  # another login's challenge
    assert house.post(first, "/login/passkey", **fields).status_code == 303
    stranger = again(house, kim)
    assert house.post(stranger, "/login", "/login/passkey", **fields).status_code == 403  # without the cookie
    assert not house.is_in(stranger)
    assert not house.is_in(thief)


def test_one_wrong_answer_ends_the_login(house: LoginHouse) -> None:
    thief = again(house, house.joined("kim", "officer"))
    house.begin(thief)
    cookie = thief.client.cookies.get(passkeys.COOKIE)
    house.finish(thief, flags=0x01)
    thief.client.cookies.set(passkeys.COOKIE, str(cookie), domain="127.0.0.1")
    assert thief.client.get("/login/passkey").headers["location"] == "/login"


@pytest.mark.parametrize("field", ["credential", "authenticator", "client", "signature"])
def test_fields_that_are_none(house: LoginHouse, field: str) -> None:
    thief = again(house, house.joined("kim", "officer"))
    for value in ("", "AA", "A" * 5000, "%%%", "{}", "é"):
        house.begin(thief)
        fields = thief.fields(challenge_of(thief.client.get("/login/passkey")), house.served.url)
        assert house.post(thief, "/login/passkey", **fields | {field: value}).status_code == 403
        assert not house.is_in(thief)


def test_every_shorter_authenticator_data_and_one_longer(house: LoginHouse) -> None:
    """The longer one begins like CBOR extensions; none are read."""
    kim = house.joined("kim", "officer")
    for size in (0, 1, 31, 32, 33, 36, 38, 200):
        thief = again(house, kim)
        house.begin(thief)
        fields = thief.fields(challenge_of(thief.client.get("/login/passkey")), house.served.url)
        whole = fields["authenticator"] + "oWNhYmM"
        fields["authenticator"] = (whole * 6)[: size * 4 // 3 + 1] if size else "AA"
        assert house.post(thief, "/login/passkey", **fields).status_code == 403
        house.clock.advance(login.WITHIN_S * NS_PER_S)


def test_a_new_passkey_that_does_not_prove_itself(house: LoginHouse) -> None:
    """A foreign public key gives no account, and does not use up the code."""
    kim, code = house.person("kim", "officer"), house.invite("kim")
    house.begin_first(kim, code)
    page = kim.client.get("/first/passkey")
    fields = kim.fields(challenge_of(page), house.served.url)
    foreign = SoftPasskey(NAME)
    stolen = fields | {"point": house.at("x", foreign).fields(b"x" * 32, house.served.url)["point"]}
    assert house.post(kim, "/first/passkey", **stolen).status_code == 403
    assert not house.is_in(kim)
    for point in ("", "AA", "BAAA", "A" * 87):
        house.begin_first(kim, code)
        page = kim.client.get("/first/passkey")
        fields = kim.fields(challenge_of(page), house.served.url) | {"point": point}
        assert house.post(kim, "/first/passkey", **fields).status_code == 403
        house.clock.advance(login.WITHIN_S * NS_PER_S)
    house.begin_first(kim, code)
    assert house.finish_first(kim).status_code == 303


def test_guesses_of_a_code_are_bounded(house: LoginHouse) -> None:
    kim, code = house.person("kim", "officer"), house.invite("kim")
    for _ in range(login.MOST_ATTEMPTS["name"]):
        assert house.begin_first(kim, "A" * 20).status_code == 403
    assert house.begin_first(kim, code).status_code == 429


def test_a_right_password_is_no_way_around_the_bound(house: LoginHouse) -> None:
    """Ten logins that stop before the passkey are ten attempts."""
    kim = house.joined("kim", "officer")
    for _ in range(login.MOST_ATTEMPTS["name"]):
        assert house.begin(house.at("kim", kim.key)).status_code == 303
    assert house.begin(house.at("kim", kim.key)).status_code == 429


@pytest.mark.parametrize("change", ["locked", "locked and unlocked", "another password", "other roles"])
def test_a_change_of_the_account_ends_the_login_that_waits(house: LoginHouse, change: str) -> None:
    """Between password and passkey; and between a one-time code and the new passkey."""
    kim, table = house.joined("kim", "officer"), house.served.site.access
    thief, lee = again(house, kim), house.person("lee", "officer")
    house.begin(thief)
    code = house.invite("lee")
    house.begin_first(lee, code)
    house.clock.advance(NS_PER_S)
    for name in ("kim", "lee"):
        match change:
            case "another password":
                accounts.set_password(table, "test", name, "a third long password")
            case "other roles":
                accounts.set_roles(table, "test", name, ["watch"])
            case _:
                accounts.lock_account(table, "test", name, True)
                if change == "locked and unlocked":
                    accounts.lock_account(table, "test", name, False)
    assert house.finish(thief).status_code == 403
    assert house.acts()[-1] == ("kim", "login_passkey", "refused", "account_changed")
    assert house.finish_first(lee).status_code == 403
    for who in ("kim", "lee"):
        accounts.lock_account(table, "test", who, False)
    assert not house.is_in(thief)
    assert not house.is_in(lee)
    assert house.begin_first(house.at("lee"), code).status_code == 303, "the code is still good"


@pytest.mark.parametrize("change", ["another password", "locked and unlocked"])
def test_a_change_while_a_password_waits_for_its_turn(
    house: LoginHouse, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Up to half a minute passes between reading the account and the verdict on the password."""
    table, looks = house.served.site.access, accounts.check_password
    thief = house.person("han", "officer", password=PASSWORD)

    async def waits(stored: str | None, password: str) -> bool:
        if change == "another password":
            accounts.set_password(table, "test", "han", "a third long password")
        else:
            accounts.lock_account(table, "test", "han", True)
            accounts.lock_account(table, "test", "han", False)
        return await looks(stored, password)

    house.clock.advance(NS_PER_S)
    monkeypatch.setattr(accounts, "check_password", waits)
    assert house.begin(thief).status_code == 403
    assert not house.is_in(thief)
    monkeypatch.setattr(accounts, "check_password", looks)
    right = "a third long password" if change == "another password" else PASSWORD
    assert house.begin(house.at("han"), right).status_code == 303


def test_logins_that_wait_are_bounded() -> None:
    waiting, first = Ceremonies(), Ceremony(1, "kim", "login", 0)
    token = waiting.begin(first)
    for _ in range(passkeys.MOST_WAITING - 1):
        waiting.begin(first)
    assert waiting.peek(token, 0) is first
    waiting.begin(first)
    assert waiting.peek(token, 0) is None


def test_a_passkey_password_change_and_lock_need_no_second_one(house: LoginHouse) -> None:
    """A session that was begun with both continues; a new password ends the others."""
    kim = house.joined("kim", "officer")
    answer = house.served.post(
        kim.client, "/password", password=PASSWORD, new="a third long password", again="a third long password"
    )
    assert answer.status_code == 303
    assert house.is_in(kim)
    thief = again(house, kim)
    assert house.begin(thief).status_code == 403
