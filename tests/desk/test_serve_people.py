# SPDX-License-Identifier: Apache-2.0
"""Accounts, passwords, sessions that lock and end, and the limit of attempts."""

from __future__ import annotations

import asyncio
import io
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from servesite import HOST, LIMIT_S, ServeSite
from sqlalchemy import select

from linetap_core import cli
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_core.errors import BadInput
from linetap_desk.config import pages
from linetap_desk.copy.s3 import open_store
from linetap_desk.ingest import database
from linetap_desk.serve.database.tables import access, people
from linetap_desk.serve.login import login
from linetap_desk.serve.people import accounts, sessions
from linetap_desk.serve.people.sessions import SessionUser
from linetap_desk.web import secure

NOW_NS = parse_rfc3339("2026-11-24T01:00:00Z")
PASSWORD = "correct horse battery"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS, NS_PER_S)


@pytest.fixture
def served(run_dir: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServeSite]:
    """The pages, with a quick password hash; one test is about its real cost."""
    monkeypatch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1))
    with ServeSite(run_dir / "site", clock) as served:
        accounts.add_account(served.site.access, "test", "kim", "김민지", ["officer"], PASSWORD, None)
        yield served


def test_a_password_costs_whoever_guesses_19_mib_and_five_passes() -> None:
    stored = accounts.hashed(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=5,p=1$")
    assert accounts.password_fits(stored, PASSWORD)
    assert not accounts.password_fits(stored, PASSWORD + "x")
    assert not accounts.password_fits(None, "nobody has this password"), "that of who has none"
    assert not accounts.password_fits("no hash", PASSWORD)


def log_in(
    served: ServeSite, client: httpx.Client, name: str = "kim", password: str = PASSWORD, there: str = "/password"
) -> httpx.Response:
    return served.post_anew(client, "/login", name=name, password=password, next=there)


def acts(served: ServeSite) -> list[tuple[str, str, str]]:
    with served.site.own.connect() as db:
        rows = db.execute(select(access.c.person, access.c.act, access.c.outcome).order_by(access.c.seq)).all()
    return [(row.person, row.act, row.outcome) for row in rows]


def test_from_name_and_password_to_a_session_and_out_again(served: ServeSite) -> None:
    client = served.client()
    answer = log_in(served, client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/password")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(sessions.COOKIE))
    for word in ("__Host-", "; Secure", "; HttpOnly", "; SameSite=strict", "; Path=/"):
        assert word in cookie
    assert client.get("/password").status_code == 200
    token = str(client.cookies[sessions.COOKIE])
    assert token.encode() not in b"".join(path.read_bytes() for path in served.folder.glob("serve.db*"))
    assert served.post(client, "/logout").headers["location"] == "/login"
    client.cookies.set(sessions.COOKIE, token, domain=HOST)  # a browser that keeps the cookie
    assert client.get("/password").status_code == 303
    assert acts(served)[1:] == [("kim", "login", "done"), ("kim", "logout", "done")]


def test_a_session_that_was_there_before_is_not_the_one_of_the_login(served: ServeSite) -> None:
    """Planting one's own token in another person's browser does not give that person's session."""
    client = served.client("vault", name="evil")
    planted = str(client.cookies[sessions.COOKIE])
    answer = log_in(served, client)
    assert answer.status_code == 303
    assert f"{sessions.COOKIE}={planted}" not in answer.headers["set-cookie"]
    other = served.client()
    other.cookies.set(sessions.COOKIE, planted, domain=HOST)
    assert other.get("/password").status_code == 303


@pytest.mark.parametrize(("name", "password"), [("kim", "wrong horse battery"), ("lee", PASSWORD), ("kim", "")])
def test_what_does_not_fit_gets_one_answer(served: ServeSite, name: str, password: str) -> None:
    answer = log_in(served, served.client(), name, password)
    assert answer.status_code == 403
    assert "아이디 또는 비밀번호가 맞지 않습니다." in answer.text
    assert PASSWORD not in answer.text
    assert acts(served)[1:] == [("kim" if name == "kim" else "", "login", "refused")]


def test_attempts_for_an_account_have_a_bound_and_an_end(served: ServeSite, clock: ManualClock) -> None:
    client = served.client()
    for _ in range(login.MOST_ATTEMPTS["name"]):
        assert log_in(served, client, password="guess").status_code == 403
    for _ in range(3):
        assert log_in(served, client).status_code == 429
    assert log_in(served, client, name="lee").status_code == 403, "the account is full, the address is not"
    assert acts(served).count(("kim", "login_too_often", "refused")) == 1
    clock.advance((login.WITHIN_S + 1) * NS_PER_S)
    assert log_in(served, client).status_code == 303


def test_attempts_from_an_address_have_a_bound(served: ServeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(login.MOST_ATTEMPTS, "address", 4)
    client = served.client()
    statuses = [log_in(served, client, name=f"p{number}").status_code for number in range(6)]
    assert statuses == [403] * 4 + [429] * 2


def test_who_knows_the_password_uses_nothing_up(served: ServeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A city hall logs in at nine, from one address."""
    monkeypatch.setitem(login.MOST_ATTEMPTS, "address", 2)
    client = served.client()
    assert [log_in(served, served.client()).status_code for _ in range(4)] == [303] * 4
    statuses = []
    for password in ("guess", PASSWORD, "guess", "guess"):
        statuses.append(log_in(served, client, password=password).status_code)
        client.cookies.delete(sessions.COOKIE)
    assert statuses == [403, 303, 403, 429]


def test_a_session_locks_and_wants_its_own_password(served: ServeSite, clock: ManualClock) -> None:
    client = served.client()
    log_in(served, client)
    clock.advance(served.site.settings.idle_s * NS_PER_S)
    answer = client.get("/password?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/unlock?next=%2Fpassword%3Fx%3D1")
    assert client.get("/alive").status_code == 401
    assert served.post(client, "/password", password=PASSWORD).status_code == 401
    assert "김민지" in client.get("/unlock").text
    assert served.post(client, "/unlock", password="wrong").status_code == 403
    assert client.get("/password").status_code == 303
    answer = served.post(client, "/unlock", password=PASSWORD, next="/password")
    assert (answer.status_code, answer.headers["location"]) == (303, "/password")
    assert client.get("/password").status_code == 200
    assert acts(served)[2:] == [("kim", "unlock", "refused"), ("kim", "unlock", "done")]


def test_a_locked_session_stays_locked_when_the_clock_goes_back(served: ServeSite, clock: ManualClock) -> None:
    client = served.client("officer")
    clock.advance(served.site.settings.idle_s * NS_PER_S)
    assert client.get("/password").status_code == 303
    clock.step_utc(-3600 * NS_PER_S)
    assert client.get("/password").status_code == 303


def test_a_page_that_asks_by_itself_is_nobody_who_sits_there(served: ServeSite, clock: ManualClock) -> None:
    client = served.client("officer")
    half_ns = served.site.settings.idle_s * NS_PER_S // 2
    clock.advance(half_ns)
    assert client.get("/alive").status_code == 200
    clock.advance(half_ns)
    assert client.get("/alive").status_code == 401


def test_a_stream_ends_with_what_it_was_begun_for(served: ServeSite, clock: ManualClock) -> None:
    ask = served.site.sessions

    def whose(token: str) -> SessionUser:
        found = asyncio.run(ask.who(token, acts=False))
        assert found is not None
        return found

    first = whose(served.session("officer", name="kim"))
    assert asyncio.run(ask.still(first))
    accounts.set_roles(served.site.access, "test", "kim", ["watch"])
    assert not asyncio.run(ask.still(first))
    second = whose(served.session(name="kim"))
    clock.advance(served.site.settings.watch_idle_s * NS_PER_S)
    assert not asyncio.run(ask.still(second)), "locked"


def test_a_wall_stays_open_longer_and_a_session_has_an_absolute_end(served: ServeSite, clock: ManualClock) -> None:
    wall, both = served.client("watch"), served.client("watch", "officer")
    clock.advance(served.site.settings.idle_s * NS_PER_S)
    assert (wall.get("/password").status_code, both.get("/password").status_code) == (200, 303)
    for _ in range(12):
        clock.advance(3600 * NS_PER_S)
        wall.get("/password")
    assert wall.get("/password").headers["location"] == "/login?next=%2Fpassword"


def test_the_sessions_of_a_person_are_bounded(served: ServeSite, clock: ManualClock) -> None:
    clients = []
    for _ in range(sessions.MOST_A_PERSON + 1):
        clients.append(served.client("vault"))
        clock.advance(NS_PER_S)
    assert [client.get("/password").status_code for client in clients] == [303] + [200] * sessions.MOST_A_PERSON


def test_who_may_no_longer_is_out_at_once(served: ServeSite) -> None:
    table = served.site.access
    changes: list[Callable[[], None]] = [
        lambda: accounts.set_roles(table, "test", "kim", ["watch"]),
        lambda: accounts.set_password(table, "test", "kim", PASSWORD),
        lambda: accounts.lock_account(table, "test", "kim", True),
    ]
    for change in changes:
        client = served.client()
        log_in(served, client)
        assert client.get("/password").status_code == 200
        change()
        assert client.get("/password").status_code == 303
    assert log_in(served, served.client()).status_code == 403, "locked out"


def test_ones_own_password(served: ServeSite) -> None:
    client, other = served.client(), served.client()
    log_in(served, client)
    log_in(served, other)
    new = "another long password"

    def change(**fields: str) -> int:
        fields = {"password": PASSWORD, "new": new, "again": new} | fields
        return served.post(client, "/password", **fields).status_code

    assert (change(again="x"), change(new="short", again="short"), change(password="wrong")) == (400, 400, 403)
    assert change() == 303
    assert client.get("/password").status_code == 200
    assert other.get("/password").status_code == 303
    assert log_in(served, served.client()).status_code == 403
    assert log_in(served, served.client(), password=new).status_code == 303


@pytest.mark.parametrize(
    "spoil",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {},
        {"token": "0" * 64},
        {"token": "é"},
    ],
)
def test_a_form_of_another_page(served: ServeSite, spoil: dict[str, str]) -> None:
    client = served.client("officer")
    token = secure.token_of(str(client.cookies[sessions.COOKIE]))
    headers = {"origin": served.url} | spoil if spoil else {}
    data = {secure.FIELD: headers.pop("token", token), "theme": "dark"}
    assert client.post("/look", data=data, headers=headers).status_code == 400
    data[secure.FIELD] = token
    assert client.post("/look", data=data, headers={"origin": served.url}).status_code == 303


def test_the_token_of_another_session(served: ServeSite) -> None:
    mine, theirs = served.client("officer"), served.client("vault")
    token = secure.token_of(str(theirs.cookies[sessions.COOKIE]))
    answer = mine.post("/look", data={secure.FIELD: token, "theme": "dark"}, headers={"origin": served.url})
    assert answer.status_code == 400
    assert served.client().post("/login", data={}, headers={"origin": served.url}).status_code == 400


def test_after_the_login_one_stays_on_this_site(served: ServeSite) -> None:
    for place in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"):
        answer = log_in(served, served.client(), there=place)
        assert answer.headers["location"] == "/", place


def test_every_answer_has_the_headers(served: ServeSite) -> None:
    client = served.client()
    for path in ("/login", "/", "/nowhere", "/static/base.css", "/static/nowhere", "/static/../app.py"):
        headers = client.get(path).headers
        for name, value in secure.HEADERS.items():
            if name != "Cache-Control":
                assert headers[name] == value, f"{path}: {name}"
        assert headers["cache-control"] in ("no-store", "no-cache")
        assert "server" not in headers
    assert "unsafe" not in secure.POLICY


def test_a_body_without_end(served: ServeSite) -> None:
    client = served.client("officer")
    headers = {"origin": served.url, "content-type": "application/x-www-form-urlencoded"}
    assert client.post("/look", content=b"a=" + b"x" * secure.MOST_BODY_BYTES, headers=headers).status_code == 413
    endless = (b"x" * 4096 for _ in range(100))
    assert client.post("/look", content=endless, headers=headers).status_code == 413
    many = "&".join(f"a{number}=1" for number in range(5000))
    assert client.post("/look", content=many.encode(), headers=headers).status_code in (400, 413)


@pytest.mark.parametrize(
    ("roles", "word"),
    [
        (["auditor", "watch"], "auditor has no other role"),
        (["approver-legal", "approver-manager"], "different people"),
        (["officer", "approver-legal"], "different people"),
        (["custodian", "vault"], "different people"),
        (["mayor"], "mayor"),
    ],
)
def test_roles_that_are_not_for_one_hand(roles: list[str], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        accounts.checked_roles(roles)


def run(monkeypatch: pytest.MonkeyPatch, served: ServeSite, typed: str, *words: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    return cli.main(["desk", "people", *words, "--config", str(served.config)])


def test_the_servers_terminal(
    served: ServeSite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("add", "lee", "--shown", "이준호", "--roles", "watch")
    assert run(monkeypatch, served, f"{PASSWORD}\n", *words) == 0
    assert run(monkeypatch, served, f"{PASSWORD}\n", *words) == 2
    assert run(monkeypatch, served, "short\n", "add", "park", "--shown", "박") == 2
    assert run(monkeypatch, served, "", "password", "lee") == 2
    assert run(monkeypatch, served, "", "roles", "lee", "vault", "watch") == 0
    assert run(monkeypatch, served, "", "lock", "lee") == 0
    assert run(monkeypatch, served, "", "lock", "nobody") == 2
    assert run(monkeypatch, served, "", "add", "x y", "--shown", "x", "--subject", "s") == 2
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 5
    assert run(monkeypatch, served, "", "list") == 0
    assert (
        capsys.readouterr().out == "kim\t김민지\tofficer\tpassword\topen\nlee\t이준호\tvault,watch\tpassword\tlocked\n"
    )
    assert [act for _, act, _ in acts(served)] == ["people_add", "people_add", "people_roles", "people_lock"]
    assert all(person.startswith("terminal:") for person, _, _ in acts(served)[1:])
    with served.site.own.connect() as db:
        assert all("$argon2id$" in str(stored) for stored in db.execute(select(people.c.password)).scalars())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('listen = "0.0.0.0:8443"', "by TLS only"),
        ('listen = "localhost:8443"', "0.0.0.0:8443 expected"),
        ('certificate = "a.pem"', "go together"),
        ('url = "http://desk.example"', "https://desk.city.example expected"),
        ('url = "https://["', r"serve.url https://\[: Invalid IPv6 URL"),
        ('url = "https://desk.example:99999"', "serve.url .*Port out of range"),
        ('signing = "https://["', r"serve.signing https://\[: "),
        ('oidc = { issuer = "https://[", client_id = "a", client_secret = "b" }', r"serve.oidc.issuer https://\[: "),
        ('\n[copy]\nstore = "s3://["', r"copy.store s3://\[: "),
        ('url = "https://민원.kr"', "serve.url .*in its form xn--"),
        ('url = "https://desk..example"', "serve.url .*https://desk.city.example expected"),
        ('url = "https://desk example"', "serve.url .*https://desk.city.example expected"),
        ('url = "https://desk.example:0"', "serve.url .*https://desk.city.example expected"),
        ('url = "https://desk.example#top"', "serve.url .*https://desk.city.example expected"),
        ('url = "https://@desk.example"', "serve.url .*https://desk.city.example expected"),
        ('url = "https://[fe80::1%25eth0]"', "serve.url .*https://desk.city.example expected"),
        ('signing = "https://서명.kr"', "serve.signing .*in its form xn--"),
        ('signing = "https://sign.example:0"', "serve.signing .*https://sign.city.example expected"),
        ('oidc = { issuer = "https://", client_id = "a", client_secret = "b" }', "serve.oidc.issuer https://: "),
        ('oidc = { issuer = "https://a:b@id.kr", client_id = "a", client_secret = "b" }', "serve.oidc.issuer"),
        (
            '\n[broker]\nca = "ca.pem"\nhost = "mqtts://mqtt.city.kr"',
            "broker.host mqtts://.*name or address alone",
        ),
        ('\n[broker]\nca = "ca.pem"\nhost = "mqtt.city.example:8883"', "broker.host mqtt.*name or address alone"),
        ('proxies = ["proxy"]', "serve.proxies"),
        ('working_hours = "19:00-08:00"', "08:00-19:00 expected"),
        ('zone = "Seoul"', "Asia/Seoul expected"),
        ("access_days = 30", "access_days"),
        ("acces_days = 800", "unknown key"),
    ],
)
def test_what_is_no_settings(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "desk.toml").write_text(f"[serve]\n{text}\n")
    with pytest.raises(BadInput, match=word):
        pages.read_settings(tmp_path / "desk.toml")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://DESK.example:443/", "https://desk.example"),
        ("https://desk.example:", "https://desk.example"),
        ("https://[2001:db8::5]:8443", "https://[2001:db8::5]:8443"),
        ("https://xn--2j1br3zwnf.kr", "https://xn--2j1br3zwnf.kr"),
    ],
)
def test_the_address_is_as_a_browser_sends_it(tmp_path: Path, url: str, origin: str) -> None:
    (tmp_path / "desk.toml").write_text(f'[serve]\nurl = "{url}"\n')
    assert pages.read_settings(tmp_path / "desk.toml").url == origin


@pytest.mark.parametrize(
    "db",
    ["postgresql+psycopg://u:secret@h:abc/d", "postgresql+psycopg://u:secret@[::1/d", "postgresql://u:secret@h:/d"],
)
def test_a_database_on_no_port_is_bad_input_without_its_password(db: str) -> None:
    with pytest.raises(BadInput) as error:
        database.open_reader(db)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("store", ["file:///srv/%00", "file://host/srv", "s3://[", "https://store.example/"])
def test_a_store_that_is_none_is_bad_input(store: str) -> None:
    with pytest.raises(BadInput, match=r"^copy\.store .*linetap-copy, or s3://"):
        open_store(store)


def test_the_command_says_where_it_listens_and_ends_at_a_signal(run_dir: Path) -> None:
    made = ServeSite(run_dir / "site")
    command = [sys.executable, "-m", "linetap", "desk", "serve", "--config", str(made.config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            url = next(line.strip() for line in process.stderr if line.startswith("https://"))
            with httpx.Client(verify=made.trust(), timeout=LIMIT_S) as client:
                assert client.get(f"{url}/login").status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0
