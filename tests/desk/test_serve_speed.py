# SPDX-License-Identifier: Apache-2.0
"""Limits on the cost of pages, streams and logins: small answers, shared ones, and a bounded queue."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import re
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest
from fleet_rig import END_S, Speaking, fleet_site
from servesite import ServeSite
from starlette.types import Message
from wall_rig import NAMES, all_is_well, goes_wrong, places, speaking_floor
from watch_rig import LINE

from broker import Broker, until
from linetap_core.clock import ManualClock
from linetap_desk.config import pages
from linetap_desk.serve import service
from linetap_desk.serve.fleet import routes
from linetap_desk.serve.live import hub as hubs
from linetap_desk.serve.live import journal
from linetap_desk.serve.live.journal import Reader
from linetap_desk.serve.people import accounts, sessions
from linetap_desk.web import compressed, secure

FIRST_BYTES = 14_600  # ten packets
MOST_BYTES = 60_000  # of the page of 150 units, as transferred


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, Speaking]]:
    with speaking_floor(tmp_path_factory.mktemp("broker")) as floor:
        yield floor


@pytest.fixture(scope="module")
def served(floor: tuple[Broker, Speaking], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeSite]:
    broker, speaking = floor
    all_is_well(speaking)
    goes_wrong(speaking)
    with fleet_site(tmp_path_factory.mktemp("site"), broker.port, places()) as site:
        until(lambda: len(site.site.fleet.state(Reader(False, "ko"))[2]) == len(NAMES), END_S)
        yield site


def raw(client: httpx.Client, path: str, **headers: str) -> tuple[httpx.Headers, bytes]:
    """The bytes as sent."""
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        return answer.headers, b"".join(answer.iter_raw())


def test_the_page_of_150_units_is_small(served: ServeSite) -> None:
    headers, data = raw(served.client("watch"), "/fleet")
    assert headers["content-encoding"] == "gzip"
    assert len(data) < MOST_BYTES
    page = gzip.decompress(data).decode()
    assert page.count('class="unit"') == len(NAMES) + 1


def test_the_first_unit_needs_no_second_request(served: ServeSite) -> None:
    """It is painted from the page alone, from the part that arrives before the first acknowledgement (RFC 6928)."""
    headers, data = raw(served.client("watch"), "/fleet")
    page = gzip.decompress(data).decode()
    assert "stylesheet" not in page
    scripts = re.findall("<script[^>]*>", page)
    assert all('type="module"' in tag or 'type="application/json"' in tag for tag in scripts), "none stops the page"
    assert page.index('id="words"') > page.rindex('data-unit="health-'), "behind what is seen"
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = headers["content-security-policy"]
    assert f"style-src 'self' 'sha256-{digest}';" in policy
    assert policy.replace(f" 'sha256-{digest}'", "") == secure.POLICY
    first = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data[: FIRST_BYTES - len(str(headers))])
    assert b'class="unit"' in first


@pytest.mark.parametrize(("path", "site"), [("/fleet", "cross-site"), ("/fleet", "same-site"), ("/", "same-origin")])
def test_what_another_site_asks_for_is_not_compressed(served: ServeSite, path: str, site: str) -> None:
    headers, _ = raw(served.client("officer"), path, **{"sec-fetch-site": site})
    assert "content-encoding" not in headers
    headers, _ = raw(served.client("watch"), "/fleet", **{"sec-fetch-site": "same-origin"})
    assert headers["content-encoding"] == "gzip"


def test_a_secret_in_a_page_is_another_text_each_time(served: ServeSite) -> None:
    client = served.client("watch")
    tokens, drafts = (
        {re.search(rf'name="{name}" content="([^"]+)"', client.get("/fleet").text)[1] for _ in range(3)}  # type: ignore[index]
        for name in ("csrf", "draft")
    )
    assert (len(tokens), len(drafts)) == (3, 3)
    secret = str(client.cookies.get(sessions.COOKIE))
    assert all(secure.is_token(token, secret) for token in tokens)
    token = tokens.pop()
    other = "0" if token[-1] != "0" else "1"
    for bad in (token[:-1] + other, token[:64], token[64:], token + "0", token.upper() + "x", "g" * 128, "", None):
        assert not secure.is_token(bad, secret), bad
    assert secure.is_token(secure.token_of(secret), secret)
    answer = client.post("/look", data={"csrf": token, "theme": "dark"}, headers={"origin": served.url})
    assert answer.status_code == 303


def test_what_all_readers_read_is_made_once(
    served: ServeSite, floor: tuple[Broker, Speaking], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, made = served.site.fleet, list[str]()
    event = journal.event

    def counted(kind: str, data: object, id: str | None = None) -> bytes:
        made.append(kind)
        return event(kind, data, id)

    monkeypatch.setattr(journal, "event", counted)
    before = int(hub.state(Reader(False, "ko"))[0].rpartition("-")[2])
    for n in range(1, 6):
        floor[1].say("main-01", f"line/{n}", {**LINE, "state": "notice"})
    until(lambda: len(served.site.fleet.after(before) or ()) >= 1, END_S)
    until(lambda: hub.state(Reader(False, "ko", "main-01"))[2][0]["calls"] == 5, END_S)
    found = [hub.encoded_changes(before, Reader(False, "ko"), 500) for _ in range(200)]
    assert len({id(one) for one in found}) == 1
    assert found[0] is not None
    assert len(made) == found[0][1].count(b"event: unit")
    assert hub.encoded_changes(found[0][0], Reader(False, "ko"), 500) == (found[0][0], b"")
    assert hub.encoded_changes(-(10**9), Reader(False, "ko"), 500) is None


def test_all_who_come_at_once_share_a_snapshot_and_then_get_what_followed(
    served: ServeSite, floor: tuple[Broker, Speaking], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, reader = served.site.fleet, Reader(False, "en")
    monkeypatch.setattr(hubs, "SHARED_NS", 3600 * 10**9)
    first = hub.snapshot(reader)
    floor[1].say("main-02", "line/7", {**LINE, "state": "dialling"})
    until(lambda: (hub.encoded_changes(first[0], reader, 500) or (0, b""))[1].count(b"dialling"), END_S)
    assert hub.snapshot(reader)[1] is first[1]
    assert hub.snapshot(Reader(False, "ko"))[1] is not first[1]
    monkeypatch.setattr(hub, "after", lambda _number: None)  # the journal does not reach back to it any more
    assert hub.snapshot(reader)[1].count(b"dialling") == 1


def test_the_more_read_the_less_often_each_is_written_to(served: ServeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, clock = served.site.fleet, ManualClock(0)
    for readers, pause_s in ((0, 0.0), (1, 0.001), (200, 0.2), (900, hubs.MOST_PAUSE_S)):
        monkeypatch.setattr(hub, "_readers", dict.fromkeys(range(readers)))
        assert hub.pause_s() == pytest.approx(pause_s)
    assert routes._until_next(0.0, clock) == 0
    clock.sleep(1.95)
    assert routes._until_next(0.2, clock) == pytest.approx(0.05, abs=0.001)


def test_small_answers_leave_at_once(tmp_path: Path) -> None:
    """Head and body are two writes. Without TCP_NODELAY the second waits for the acknowledgement of the first: 40 ms
    here, another round trip at a telephone.
    """
    found: list[int] = []

    async def look(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def connect(at: socket.socket) -> None:
        async with await asyncio.start_server(look, sock=at):
            reader, writer = await asyncio.open_connection(*at.getsockname()[:2])
            await reader.read()
            writer.close()

    (tmp_path / "desk.toml").write_text('[serve]\nlisten = "127.0.0.1:0"\nlog_key = "serve-log.key"\n')
    with service.listening(pages.read_settings(tmp_path / "desk.toml")) as (at, _):
        asyncio.run(connect(at))
    assert found == [1]


def test_a_login_beyond_the_queue_is_refused_before_anything_is_done(
    served: ServeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_taken", [None] * (accounts.MOST_WAITING + accounts.AT_ONCE))
    client = served.client()
    answer = served.post_anew(client, "/login", name="kim", password="x" * 12)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
    assert "로그인하는 사람이 너무 많습니다" in answer.text


def test_passwords_are_looked_at_one_after_the_other_and_some_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of logins: one is hashed at a time, as many as the queue holds wait, the others are refused at once."""
    at_once, most, refused = [0], [0], [0]

    def slow(_stored: str | None, _password: str) -> bool:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        at_once[0] -= 1
        return False

    async def one() -> None:
        try:
            await accounts.check_password(None, "")
        except accounts.TooManyWaiting:
            refused[0] += 1

    async def flood() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(one)

    monkeypatch.setattr(accounts, "password_fits", slow)
    accounts._turns.cache_clear()
    anyio.run(flood)
    accounts._turns.cache_clear()
    assert most == [1]
    assert refused[0] == 200 - accounts.MOST_WAITING - accounts.AT_ONCE


def test_a_page_leaves_in_pieces_that_a_browser_can_read_one_by_one() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def go() -> None:
        cut = compressed.in_records(send)
        await cut({"type": "http.response.start", "status": 200})
        await cut({"type": "http.response.body", "body": bytes(range(256)) * 40, "more_body": False})

    asyncio.run(go())
    bodies = [one["body"] for one in sent[1:]]
    assert [len(one) for one in bodies] == [4096, 4096, 2048]
    assert b"".join(bodies) == bytes(range(256)) * 40
    assert [one["more_body"] for one in sent[1:]] == [True, True, False]
