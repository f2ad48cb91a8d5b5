# SPDX-License-Identifier: Apache-2.0
"""The state that all handlers share: the case, the admission, the pages, and the time of the last activity."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from linetap_core.clock import NS_PER_S, Clock
from linetap_desk.custody.case import Case
from linetap_desk.custody.citizen.encryptedzip import ALPHABET
from linetap_desk.web import text
from linetap_desk.web.pages import THEMES, Pages

COOKIE = "linetap-custody"
ATTEMPTS = 5
_LENGTH = 8  # 39 bits, for five attempts


class Admission:
    """Admits the one browser into which the code from the terminal is typed first.

    Every user of this machine can connect to the loopback, and any web page may send a browser there. So the code is
    valid once and for few attempts, and the pages have a random path: a browser sends a cookie of 127.0.0.1 to every
    port, but not to another path.
    """

    def __init__(self) -> None:
        drawn = "".join(secrets.choice(ALPHABET) for _ in range(_LENGTH))
        self.code = f"{drawn[:4]}-{drawn[4:]}"
        self.room = f"/{secrets.token_urlsafe(12)}"
        self.attempts = ATTEMPTS
        self._token = ""

    @property
    def used(self) -> bool:
        return bool(self._token)

    def enter(self, typed: str) -> str:
        """The cookie's value; empty if the code is wrong or used up."""
        if self.used or self.attempts <= 0:
            return ""
        self.attempts -= 1
        given = typed.upper().replace("-", "").replace(" ", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self.code.replace("-", "").encode()):
            return ""
        self._token = secrets.token_urlsafe(32)
        return self._token

    def has_admitted(self, token: str) -> bool:
        return self.used and hmac.compare_digest(token.encode("utf-8", "replace"), self._token.encode())


class OwnAddress:
    """Answers 421 for any other Host, since foreign DNS may point to 127.0.0.1, and 403 for requests from another
    site."""

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


class CasePages(Pages):
    """Pages of one person in one process: choices are stored here, not in a cookie."""

    chosen: text.Language = text.DEFAULT
    light: str = "auto"

    def language(self, request: Request) -> text.Language:  # noqa: ARG002
        return self.chosen

    def theme(self, request: Request) -> str:  # noqa: ARG002
        return self.light

    def choose(self, language: object, theme: object) -> None:
        if language in text.LANGUAGES:
            self.chosen = text.language_of(str(language))
        elif theme in THEMES:
            self.light = str(theme)


@dataclass
class Helper:
    """The state of every helper's pages on a person's own machine."""

    admission: Admission
    pages: CasePages
    clock: Clock
    url: str
    idle_s: float
    end: Callable[[], None] = field(default=lambda: None, kw_only=True)  # set by the service
    done_ns: int = field(default=0, kw_only=True)
    parent: Helper | None = field(default=None, kw_only=True)  # the program that contains these pages
    subpath: str = field(default="", kw_only=True)  # their path in it

    def __post_init__(self) -> None:
        self.touch()

    @property
    def room(self) -> str:
        """The path of these pages."""
        return self.admission.room + self.subpath

    @property
    def is_program(self) -> bool:
        """Whether these pages offer more than one task."""
        return self.parent is not None

    def touch(self) -> None:
        """Records that a person is active."""
        self.done_ns = self.clock.monotonic_ns()
        if self.parent is not None:
            self.parent.touch()

    @property
    def idle(self) -> bool:
        return self.clock.monotonic_ns() - self.done_ns >= self.idle_s * NS_PER_S

    def page(self, request: Request, template: str, /, status: int = 200, **context: Any) -> Response:
        rooms = {"room": self.room, "base": self.admission.room, "is_program": self.is_program}
        return self.pages.page(request, template, status, **rooms, **context)


@dataclass
class Site(Helper):
    """The state of the helper with a released call."""

    case: Case

    def page(self, request: Request, template: str, /, status: int = 200, **context: Any) -> Response:
        return super().page(request, template, status, case=self.case, **context)
