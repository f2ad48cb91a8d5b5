# SPDX-License-Identifier: Apache-2.0
"""Typed secrets are released with the response: no longer-lived object of the server keeps them
(docs/desk-serve.md).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from calls_rig import fill, recorded
from servesite import ServeSite

from linetap_desk.ingest import database
from linetap_desk.serve.people import sessions
from memory import referred_to

BACKWARDS = "71845039010"  # the number itself must be nowhere else in this process
# A separate process, because the client has the number too. Finally other pages, on the same connection.
ASKS = """
import sys, httpx
url, cookie, token, number = *sys.argv[1:4], sys.argv[4][::-1]
with httpx.Client(base_url=url, cookies={cookie: token}, verify=False, timeout=120) as client:
    for name in ("extension", "department", "unit", "case", "from", "page"):
        client.get("/calls/found", params={name: number, "line": "3"})
    client.get("/calls/found", params={"unit": number, "from": "2026-11-24"})
    for path in ("/calls/floor-03/", "/release/ask/floor-03/", "/release/", "/hold/", "/fleet/unit/"):
        client.get(path + number)
    client.post("/release/ask", data={"unit": number, "call_id": number})
    client.post("/look", data={"next": "/calls/found?case=" + number})
    print(client.get("/calls/found", params={"department": number, "unit": "floor-03"}).status_code)
    client.cookies.clear()
    print(client.get("/calls/found", params={"case": number}).status_code)
    for _ in range(3):
        client.get("/login")
"""


def ask(served: ServeSite) -> list[str]:
    command = [sys.executable, "-c", ASKS, served.url, sessions.COOKIE, served.session("officer"), BACKWARDS]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.split()


def test_nothing_that_lives_on_has_what_was_typed(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    engine = database.open_writer(f"sqlite:///{path}")
    fill(engine, [recorded(seconds=60 * number) for number in range(60)])
    engine.dispose()
    with ServeSite(tmp_path, tables=f'db = "sqlite:///{path}"') as served:
        assert ask(served) == ["200", "303"]
        assert referred_to(BACKWARDS[::-1]) == []


KEEPS: dict[str, Callable[[str], object]] = {
    "dict": lambda text: {"case": text},
    "list": lambda text: [f"?case={text}"],
    "bytes": lambda text: (text.encode(),),
    "cache": lambda text: urlsplit(f"https://desk/calls/found?case={text}"),
}


@pytest.mark.parametrize("kept", KEEPS)
def test_what_is_planted_is_found(kept: str) -> None:
    planted = [KEEPS[kept](f"x{kept}{BACKWARDS}")]
    assert referred_to(f"{kept}{BACKWARDS}")
    planted.clear()
