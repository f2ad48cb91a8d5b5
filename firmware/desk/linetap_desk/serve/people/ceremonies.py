# SPDX-License-Identifier: Apache-2.0
"""Logins that have begun, and wait for the passkey: each has a challenge of its own, good once and for five minutes.

One process serves the pages, so they are kept in its memory, as pending logins at the OIDC provider are. The browser
has an opaque token; whoever has no such cookie can answer no challenge.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

from linetap_core.clock import NS_PER_S
from linetap_desk.web import secure

COOKIE = "__Host-linetap-second"
WITHIN_S = 300
MOST_WAITING = 1000  # the oldest has to begin again


@dataclass(frozen=True, slots=True)
class Ceremony:
    """`act`: what the access log calls the login. `as_of`: when the account had been changed last as it began; a change
    since ends it. `invitation`: the one-time code that it uses up, `password` the new one, as argon2id."""

    person: int
    name: str
    act: str
    since_ns: int
    as_of: str = ""
    there: str = "/"
    old: str = ""  # the browser's previous session
    password: str = ""
    invitation: str = ""
    challenge: bytes = field(default_factory=lambda: secrets.token_bytes(32))


class Ceremonies:
    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Ceremony] = OrderedDict()

    def begin(self, ceremony: Ceremony) -> str:
        """The token for the browser."""
        token = secrets.token_urlsafe(32)
        self._waiting[secure.digest(token)] = ceremony
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popitem(last=False)
        return token

    def peek(self, token: str, now_ns: int) -> Ceremony | None:
        """For the page of the login; the token stays valid."""
        return _fresh(self._waiting.get(secure.digest(token)), now_ns)

    def pop(self, token: str, now_ns: int) -> Ceremony | None:
        """For the answer, right or wrong; the token is used up."""
        return _fresh(self._waiting.pop(secure.digest(token), None), now_ns)


def _fresh(found: Ceremony | None, now_ns: int) -> Ceremony | None:
    return None if found is None or now_ns - found.since_ns > WITHIN_S * NS_PER_S else found
