# SPDX-License-Identifier: Apache-2.0
"""A login returns to the requested page with its search; an open page is informed of its session's remaining time."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from servesite import HOST, ServeSite

from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_desk.serve.login.routes import WARN_S
from linetap_desk.serve.people import accounts, sessions
from linetap_desk.serve.people.sessions import SessionUser
from linetap_desk.web.secure import unmasked

PASSWORD = "correct horse battery"
SEARCH = "/calls/found?from=2026-10-01T00%3A00&department=%EB%AF%BC%EC%9B%90%EC%8B%A4&case=2026-11+%26+12"
LONG = f"/calls/found?department={quote('민' * 200)}&building={quote('관' * 200)}&case={quote('가' * 200)}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(parse_rfc3339("2026-10-07T01:00:00Z"), NS_PER_S)


@pytest.fixture
def served(run_dir: Path, clock: ManualClock) -> Iterator[ServeSite]:
    with ServeSite(run_dir / "site", clock) as served:
        accounts.add_account(served.site.access, "terminal:root", "kim", "김민지", ["officer"], PASSWORD, None)
        yield served


def field(answer: httpx.Response, action: str, name: str) -> str:
    """The value of a hidden field of the first form with that action."""
    form = answer.text.partition(f'action="{action}"')[2].partition("</form>")[0]
    found = re.search(rf'name="{name}" value="([^"]*)"', form)
    assert found, f"{action} has no {name}"
    return unescape(found[1])


def target(answer: httpx.Response) -> str:
    """The path to which a redirection to a login returns."""
    (there,) = parse_qs(urlsplit(answer.headers["location"]).query)["next"]
    return there


@pytest.mark.parametrize("search", [SEARCH, LONG], ids=["search", "long"])
def test_a_login_leads_back_to_the_search(served: ServeSite, search: str) -> None:
    """After a wrong password, and a change of language on the login page."""
    client = served.client()
    answer = client.get(search)
    assert target(answer) == search
    page = client.get(answer.headers["location"])
    turned = served.post_anew(client, "/login", name="kim", password="wrong", next=field(page, "/login", "next"))
    assert field(turned, "/login", "next") == search
    back = field(turned, "/look", "next")
    looked = client.post(
        "/look",
        data={"csrf": field(turned, "/look", "csrf"), "next": back, "language": "en"},
        headers={"origin": served.url},
    )
    page = client.get(looked.headers["location"])
    assert "Log in" in page.text
    there = field(page, "/login", "next")
    answer = served.post_anew(client, "/login", name="kim", password=PASSWORD, next=there)
    assert (answer.status_code, answer.headers["location"]) == (303, search)


def test_another_language_keeps_the_search(served: ServeSite) -> None:
    client = served.client("officer")
    page = client.get("/calls?unit=floor-03&case=%EA%B0%80")
    assert field(page, "/look", "next") == "/calls?unit=floor-03&case=%EA%B0%80"


def test_a_session_that_ended_while_it_was_locked(served: ServeSite, clock: ManualClock) -> None:
    client = served.client("officer")
    clock.advance(13 * 3600 * NS_PER_S)
    answer = client.get("/unlock", params={"next": SEARCH})
    assert answer.headers["location"].startswith("/login?")
    assert target(answer) == SEARCH
    token = field(client.get("/login"), "/login", "csrf")
    answer = client.post("/unlock", data={"csrf": token, "next": SEARCH}, headers={"origin": served.url})
    assert target(answer) == SEARCH


def test_a_form_of_a_locked_session_says_where_to_go_on(served: ServeSite, clock: ManualClock) -> None:
    client = served.client("officer")
    clock.advance(served.site.settings.idle_s * NS_PER_S)
    page = f"{served.url}/calls/floor-03/x?a=%26"
    for referer, there in (
        (page, "/calls/floor-03/x?a=%26"),
        ("https://evil.example/x", "/hold/ask"),
        ("//", "/hold/ask"),
    ):
        client.headers["referer"] = referer
        answer = served.post(client, "/hold/ask", unit="floor-03")
        assert answer.status_code == 401
        (link,) = re.findall(r'href="(/unlock\?next=[^"]*)"', answer.text)
        assert parse_qs(urlsplit(unescape(link)).query)["next"] == [there]


def test_an_open_page_learns_when_its_session_is_over(served: ServeSite, clock: ManualClock) -> None:
    client, settings = served.client("officer"), served.site.settings
    assert client.get("/alive").json() == {"locks_s": settings.idle_s, "ends_s": settings.session_s, "warn_s": WARN_S}
    clock.advance(100 * NS_PER_S)
    assert client.get("/alive").json()["locks_s"] == settings.idle_s - 100, "asking by itself is no use"
    assert served.post(client, "/stay").status_code == 204
    told = client.get("/alive").json()
    assert (told["locks_s"], told["ends_s"]) == (settings.idle_s, settings.session_s - 100)
    assert client.post("/stay", headers={"origin": served.url}).status_code == 400, "without the form's token"
    clock.advance(settings.idle_s * NS_PER_S)
    assert served.post(client, "/stay").status_code == 401, "it opens nothing that is locked"


def test_the_key_of_what_is_typed(served: ServeSite, clock: ManualClock) -> None:
    """The same for a person's next session, none for a locked one or for another person, and in no answer to these."""

    def key(client: httpx.Client, path: str = "/") -> str:
        found = re.search(r'name="draft" content="([^"]+)"', client.get(path, follow_redirects=True).text)
        return unmasked(base64.b64decode(found[1])).hex() if found else ""

    first, other = served.client("officer", name="lee"), served.client("officer", name="park")
    whose = key(first)
    assert len(whose) == 64
    assert key(other) != whose
    assert key(served.client()) == ""
    clock.advance(served.site.settings.idle_s * NS_PER_S)
    assert key(first) == ""
    first.cookies.set(sessions.COOKIE, served.session("officer", name="lee"), domain=HOST)
    assert key(first) == whose
    who = SessionUser(1, "lee", "", frozenset(), "", locked=True)
    assert served.site.draft_key(who) == served.site.draft_key(None) == ""
