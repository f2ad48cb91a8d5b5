# SPDX-License-Identifier: Apache-2.0
"""The desk's pages under a host name, and people who log in there with a password and a software passkey."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from servesite import ServeSite
from sqlalchemy import select

from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_core.evidence.keys import p256
from linetap_desk.serve.database.tables import access
from linetap_desk.serve.people import accounts, invitations
from passkey_rig import SoftPasskey

NAME = "desk.localhost"
NOW_NS = parse_rfc3339("2026-11-24T01:00:00Z")
PASSWORD, OTHER = "correct horse battery", "another long password"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def challenge_of(page: httpx.Response) -> bytes:
    found = re.search(r'data-challenge="([\w-]+)"', page.text)
    assert found, page.status_code
    return base64.urlsafe_b64decode(found[1] + "==")


@dataclass
class Person:
    """`key`: their own; its counter continues."""

    name: str
    client: httpx.Client
    key: SoftPasskey
    counter: int = 0

    def fields(self, drawn: bytes, origin: str, /, **changes: Any) -> dict[str, str]:
        self.counter += 1
        given: dict[str, Any] = {"origin": origin, "counter": self.counter} | changes
        made = self.key.assertion(drawn, **given)
        site = str(given.get("site") or self.key.site)
        data = hashlib.sha256(site.encode()).digest() + bytes([made.flags]) + made.counter.to_bytes(4)
        return {
            "credential": self.key.credential, "authenticator": _text(data), "client": _text(made.client_data),
            "signature": _text(encode_dss_signature(*p256.decode(made.numbers))), "point": _text(self.key.key.point),
        }  # fmt: skip


@dataclass
class LoginHouse:
    folder: Path
    more: str = ""
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_NS, NS_PER_S))

    def __post_init__(self) -> None:
        self.served = ServeSite(self.folder, self.clock, self.more, name=NAME)

    def person(self, name: str, *roles: str, password: str | None = None) -> Person:
        """A person whose account has no passkey yet."""
        accounts.add_account(self.served.site.access, "test", name, f"{name} 님", roles, password, None, invited=True)
        return self.at(name)

    def at(self, name: str, key: SoftPasskey | None = None) -> Person:
        """A browser of that person without a session."""
        return Person(name, self.served.client(), key or SoftPasskey(NAME, credential=_text(name.encode())))

    def invite(self, name: str) -> str:
        return invitations.invite(self.served.site.access, "test", name)

    def post(self, who: Person, page: str, path: str = "", **fields: str) -> httpx.Response:
        return self.served.post_anew(who.client, page, path, **fields)

    def begin_first(self, who: Person, code: str, password: str = PASSWORD) -> httpx.Response:
        return self.post(who, "/first", name=who.name, code=code, new=password, again=password)

    def finish_first(self, who: Person, **changes: Any) -> httpx.Response:
        page = who.client.get("/first/passkey")
        return self.post(who, "/first/passkey", **who.fields(challenge_of(page), self.served.url, **changes))

    def joined(self, name: str, *roles: str) -> Person:
        """A person with a passkey who is logged in."""
        who = self.person(name, *roles)
        assert self.begin_first(who, self.invite(name)).headers["location"] == "/first/passkey"
        assert self.finish_first(who).status_code == 303
        return who

    def begin(self, who: Person, password: str = PASSWORD, there: str = "/password") -> httpx.Response:
        return self.post(who, "/login", name=who.name, password=password, next=there)

    def finish(self, who: Person, **changes: Any) -> httpx.Response:
        page = who.client.get("/login/passkey")
        return self.post(who, "/login/passkey", **who.fields(challenge_of(page), self.served.url, **changes))

    def is_in(self, who: Person) -> bool:
        return who.client.get("/password").status_code == 200

    def acts(self) -> list[tuple[str, str, str, str]]:
        with self.served.site.own.connect() as db:
            rows = db.execute(select(access).order_by(access.c.seq)).all()
        return [(row.person, row.act, row.outcome, row.remark) for row in rows]


def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1))
