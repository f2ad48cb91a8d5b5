# SPDX-License-Identifier: Apache-2.0
"""The skeleton: the served paths, and their permissions."""

from __future__ import annotations

import gc
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from servesite import LIMIT_S, ServeSite, require_accessible

from linetap_desk.web import server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeSite]:
    with ServeSite(tmp_path_factory.mktemp("site")) as served:
        yield served


def test_the_first_page_is_for_who_is_logged_in(served: ServeSite) -> None:
    assert served.client("officer").get("/").status_code == 200
    answer = served.client().get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2F")


def test_korean_first_and_in_the_dark_without_script(served: ServeSite, browser: Browser) -> None:
    page = served.page(browser, "/", "officer")
    assert page.locator("html").get_attribute("lang") == "ko"
    assert page.locator("h1").inner_text() == "통화 녹음 데스크"
    require_accessible(page)
    page.get_by_role("button", name="English").click()
    assert page.locator("h1").inner_text() == "Call recording desk"
    page.get_by_role("button", name="Dark").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    require_accessible(page)


@pytest.mark.parametrize("said", [b"", b"GET / HT"])
@pytest.mark.parametrize("before", [b"", b"GET /alive HTTP/1.1\r\nhost: x\r\n\r\n"])
def test_who_does_not_say_what_they_want_is_hung_up_on(
    served: ServeSite, monkeypatch: pytest.MonkeyPatch, before: bytes, said: bytes
) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.2)
    with plain(served) as line:
        if before:
            line.sendall(before)
            assert b" 401 " in line.recv(65536)
            said = said or b"G"  # otherwise a kept connection, as a browser's
        line.sendall(said)
        while line.recv(65536):
            pass


def test_a_body_that_does_not_come(served: ServeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_S", 0.2)
    with plain(served) as line:
        line.sendall(
            b"POST /look HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n"
            b"content-type: application/x-www-form-urlencoded\r\n\r\na="
        )
        assert line.recv(65536).startswith(b"HTTP/1.1 408 ")


def plain(served: ServeSite) -> ssl.SSLSocket:
    """A connection without any data yet; reads on it wait LIMIT_S at most."""
    host, port = served.url.removeprefix("https://").split(":")
    line = socket.create_connection((host, int(port)), timeout=LIMIT_S)
    return served.trust().wrap_socket(line, server_hostname=host)


def test_a_client_that_does_not_end_its_tls_leaves_no_socket(tmp_path: Path) -> None:
    with ServeSite(tmp_path) as site:
        line = plain(site)
        line.sendall(b"GET /alive HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b" 401 " in line.recv(65536)
    with line:
        gc.collect()  # finds the server's side, if that is open
