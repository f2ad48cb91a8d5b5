# SPDX-License-Identifier: Apache-2.0
"""Login by a real OIDC provider, and by a false one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from authlib.jose import JsonWebKey
from oidc_provider import CLIENT, SECRET, Claims, Lies, Provider
from servesite import HOST, LIMIT_S, ServeSite, chromium, tls
from sqlalchemy import select

from linetap_core import cli
from linetap_core.clock import NS_PER_S
from linetap_desk.serve.database.tables import access, people
from linetap_desk.serve.people import accounts, oidc, sessions


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    pair, _ = tls()
    with Provider(pair.certificate, pair.key) as provider:
        yield provider


@pytest.fixture
def served(run_dir: Path, provider: Provider) -> Iterator[ServeSite]:
    provider.lies, provider.asked, provider.odd = Lies(), [], {}
    folder = run_dir / "site"
    folder.mkdir()
    (folder / "secret").write_text(SECRET + "\n")
    more = (
        f'[serve.oidc]\nissuer = "{provider.url}"\nclient_id = "{CLIENT}"\nclient_secret = "secret"\n'
        f'ca = "{tls()[1]}"\nname = "시청 계정"'
    )
    with ServeSite(folder, more=more) as served:
        provider.client.redirects = [f"{served.url}/oidc/back"]
        accounts.add_account(served.site.access, "test", "kim", "김민지", ["officer"], None, f"{provider.url} kim@city")
        yield served


def leave(client: httpx.Client, there: str = "/password") -> str:
    """The provider's address."""
    answer = client.get("/oidc", params={"next": there})
    assert answer.status_code == 302
    assert "SameSite=lax" in answer.headers["set-cookie"]
    return str(answer.headers["location"])


def at_provider(served: ServeSite, url: str, sub: str) -> str:
    """Acts as a person at the provider; returns the path of the redirect back."""
    with httpx.Client(verify=served.trust(), timeout=LIMIT_S) as client:
        client.get(url)
        back = urlsplit(client.post(url, data={"sub": sub}).headers["location"])
    return f"{back.path}?{back.query}"


def came_in(client: httpx.Client, path: str) -> bool:
    answer = client.get(path)
    assert answer.status_code in (200, 403)
    return answer.status_code == 200 and client.get("/password").status_code == 200


def last(served: ServeSite) -> tuple[str, str, str]:
    with served.site.own.connect() as db:
        row = db.execute(select(access).order_by(access.c.seq.desc()).limit(1)).one()
    return row.person, row.act, row.outcome


def test_the_provider_says_who_and_we_say_what(served: ServeSite) -> None:
    client = served.client()
    assert "시청 계정(으)로 로그인" in client.get("/login").text
    url = leave(client)
    asked = parse_qs(urlsplit(url).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert (asked["prompt"], asked["max_age"], asked["scope"]) == (["login"], ["0"], ["openid"])
    assert {"state", "nonce", "code_challenge"} <= asked.keys()
    answer = client.get(at_provider(served, url, "kim@city"))
    assert answer.status_code == 200
    assert 'content="0; url=/password"' in answer.text
    assert last(served) == ("kim", "login_oidc", "done")
    assert client.get("/password").status_code == 200
    with served.site.own.connect() as db:
        assert db.execute(select(people.c.roles).where(people.c.name == "kim")).scalar() == "officer"


@pytest.mark.parametrize("sub", ["lee@city", ""])
def test_somebody_without_an_account_and_somebody_who_thinks_better_of_it(served: ServeSite, sub: str) -> None:
    client = served.client()
    assert not came_in(client, at_provider(served, leave(client), sub))
    assert last(served) == ("", "login_oidc", "refused")


def test_somebody_who_is_locked_out(served: ServeSite) -> None:
    accounts.lock_account(served.site.access, "test", "kim", True)
    client = served.client()
    assert not came_in(client, at_provider(served, leave(client), "kim@city"))
    assert last(served) == ("", "login_oidc", "refused")


LIES: dict[str, Callable[[Provider], Lies]] = {
    "another nonce": lambda _: Lies(claims=_with(nonce="x")),
    "no nonce": lambda _: Lies(claims=_without("nonce")),
    "for another": lambda _: Lies(claims=_with(aud=["another"])),
    "for nobody": lambda _: Lies(claims=_without("aud")),
    "by another issuer": lambda _: Lies(claims=_with(iss="https://evil.example")),
    "too old": lambda _: Lies(claims=_with(exp=int(time.time()) - 600)),
    "seen long ago": lambda _: Lies(claims=_with(auth_time=int(time.time()) - 3600)),
    "not said when": lambda _: Lies(claims=_without("auth_time")),
    "of nobody": lambda _: Lies(claims=_without("sub")),
    "by another key": lambda _: Lies(key=JsonWebKey.generate_key("RSA", 2048, {"kid": "1"}, is_private=True)),
    "unsigned": lambda _: Lies(alg="none"),
    "by the secret": lambda _: Lies(alg="HS256", key=JsonWebKey.import_key(SECRET, {"kty": "oct"})),
    "by the public key": lambda provider: Lies(alg="HS256", key=_as_secret(provider)),
    "no ID token": lambda _: Lies(none=True),
}


def _with(**claims: Any) -> Callable[[Claims], Claims]:
    return lambda before: {**before, **claims}


def _without(name: str) -> Callable[[Claims], Claims]:
    return lambda before: {key: value for key, value in before.items() if key != name}


def _as_secret(provider: Provider) -> Any:
    return JsonWebKey.import_key(provider.key.as_dict()["n"], {"kty": "oct"})


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_is_not_right(served: ServeSite, provider: Provider, lie: str) -> None:
    provider.lies = LIES[lie](provider)
    client = served.client()
    assert not came_in(client, at_provider(served, leave(client), "kim@city"))
    assert last(served) == ("", "login_oidc", "refused")


def test_who_comes_back_is_who_left(served: ServeSite) -> None:
    mine, theirs = served.client(), served.client()
    back = at_provider(served, leave(mine), "kim@city")
    leave(theirs)
    assert not came_in(theirs, back), "another browser, with another state"
    assert not came_in(served.client(), back), "one that never left"
    assert came_in(mine, back)
    assert not came_in(served.client(), back)
    assert mine.get(back).status_code == 403, "once"


def test_a_way_back_that_was_changed(served: ServeSite) -> None:
    for old, new in (("state=", "state=x"), ("code=", "code=x"), ("code=", "error=access_denied&x=")):
        client = served.client()
        assert not came_in(client, at_provider(served, leave(client), "kim@city").replace(old, new))


def test_who_takes_too_long_begins_again(served: ServeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    client = served.client()
    back = at_provider(served, leave(client), "kim@city")
    now_ns = served.site.clock.utc_ns()
    monkeypatch.setattr(served.clock, "utc_ns", lambda: now_ns + (oidc.WITHIN_S + 1) * NS_PER_S)
    assert not came_in(client, back)


def test_what_waits_has_a_bound(served: ServeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "MOST_WAITING", 2)
    first, second, third = served.client(), served.client(), served.client()
    backs = [at_provider(served, leave(client), "kim@city") for client in (first, second, third)]
    assert [came_in(client, back) for client, back in zip((first, second, third), backs, strict=True)] == [
        False, True, True,
    ]  # fmt: skip


def test_a_locked_session_is_left_for_a_new_one(served: ServeSite) -> None:
    client = served.client()
    came_in(client, at_provider(served, leave(client), "kim@city"))
    old = str(client.cookies[sessions.COOKIE])
    assert came_in(client, at_provider(served, leave(client), "kim@city"))
    other = served.client()
    other.cookies.set(sessions.COOKIE, old, domain=HOST)
    assert other.get("/password").status_code == 303


ODD = ["{}", "[]", "null", '"in maintenance"', '{"error": "try later"}', "<html>", "[" * 100_000]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_an_odd_answer_of_the_provider_lasts_no_longer_than_itself(
    served: ServeSite, provider: Provider, odd: str
) -> None:
    """A provider in maintenance, or a proxy before it, may answer 200 with something else."""
    client = served.client()
    provider.odd = {"/.well-known/openid-configuration": odd}
    assert client.get("/oidc").status_code == 503
    provider.odd = {"/jwks": odd}
    assert not came_in(client, at_provider(served, leave(client), "kim@city"))
    provider.odd = {}
    assert came_in(client, at_provider(served, leave(client), "kim@city"))


def test_a_provider_that_is_away(run_dir: Path) -> None:
    folder = run_dir / "site"
    folder.mkdir()
    (folder / "secret").write_text(SECRET)
    more = f'[serve.oidc]\nissuer = "https://{HOST}:1"\nclient_id = "{CLIENT}"\nclient_secret = "secret"'
    with ServeSite(folder, more=more) as served:
        answer = served.client().get("/oidc")
        assert answer.status_code == 503
        assert "연결할 수 없습니다" in answer.text


def test_without_a_provider_there_is_no_such_page(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ServeSite(run_dir / "site") as served:
        assert served.client().get("/oidc").status_code == 404
        assert served.client().get("/oidc/back").status_code == 404
        words = ["desk", "people", "add", "lee", "--shown", "이", "--subject", "s", "--config", str(served.config)]
        assert cli.main(words) == 2
        assert "has no [serve.oidc]" in capsys.readouterr().err


def test_in_a_browser_with_cookies_that_are_strict(served: ServeSite) -> None:
    with chromium() as browser:
        page = served.page(browser, "/login?next=/password")
        page.get_by_role("link", name="시청 계정(으)로 로그인").click()
        page.locator("input").fill("kim@city")
        page.get_by_role("button").click()
        page.wait_for_url(f"{served.url}/password")
        assert page.locator("h1").inner_text() == "비밀번호 변경"
