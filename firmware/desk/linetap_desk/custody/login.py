# SPDX-License-Identifier: Apache-2.0
"""Who may come in: the browser into which the code from the terminal is typed, first and alone.

Everybody on this machine reaches the loopback, and any web page may send a browser there. So the code is good once and
for few attempts, the answer is for our own address alone, and what was opened lies under a path that is drawn anew each
time: a browser gives a cookie of 127.0.0.1 to whatever port asks, but not to another path.
"""

from __future__ import annotations

import hmac
import secrets

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "linetap-custody"
ATTEMPTS = 5
_ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # without what is taken for one another
_LENGTH = 8  # 39 bits, for five attempts


class Door:
    def __init__(self) -> None:
        drawn = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        self.code = f"{drawn[:4]}-{drawn[4:]}"
        self.room = f"/{secrets.token_urlsafe(12)}"
        self.attempts = ATTEMPTS
        self._token = ""

    @property
    def used(self) -> bool:
        return bool(self._token)

    def enter(self, typed: str) -> str:
        """The cookie's value; empty where the code is another, or no longer good."""
        if self.used or self.attempts <= 0:
            return ""
        self.attempts -= 1
        given = typed.upper().replace("-", "").replace(" ", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self.code.replace("-", "").encode()):
            return ""
        self._token = secrets.token_urlsafe(32)
        return self._token

    def knows(self, token: str) -> bool:
        return self.used and hmac.compare_digest(token.encode("utf-8", "replace"), self._token.encode())


class OwnAddress:
    """421 for any other Host: a name that somebody else's DNS leads to 127.0.0.1 is not ours. 403 for what another
    site has the browser fetch."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app, self._host = app, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if headers.getlist("host") != [self._host]:
                await PlainTextResponse("421\n", 421)(scope, receive, send)
                return
            if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
                await PlainTextResponse("403\n", 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)
