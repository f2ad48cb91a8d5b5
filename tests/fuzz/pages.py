# SPDX-License-Identifier: Apache-2.0
"""Fuzzed requests to the pages of the desk and of the custodian's helper.

Each trial is one connection. The server must answer a whole request with a status below 500 or with an intended 503,
and an invalid one with 400 or by closing the connection. After half a request the test closes the connection. The
server counts its page faults, so that a fault counts even if the test has closed the connection.
"""

from __future__ import annotations

import contextlib
import io
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import h11
import picture_release
from calls_house import NOW_NS, UNIT, CallsHouse
from custody_rig import Helper
from foreign import HANG_S, Find, Target

from linetap_desk.custody.site import COOKIE
from linetap_desk.serve.people import sessions
from linetap_desk.serve.service import ROUTES
from linetap_desk.web import secure
from linetap_desk.web.roles import ROLES
from release_rig import Desk
from sealing_rig import CALL_ID

TOKEN, FORM, PLACE = b"SESSION", b"FORM", b"PLACE"  # in a seed: placeholders for values of the running server
LONGEST_HEAD = 64 << 10
MULTIPART = b"multipart/form-data; boundary=x"
ESCAPED = b"multipart/form-data; charset=raw_unicode_escape; boundary=x"  # can decode to half a surrogate pair
URLENCODED = b"application/x-www-form-urlencoded"
MEANT = {503}  # the fleet's stream has no free place, or the identity provider is unreachable
_VALUES = {
    "call_id": "20261124T031000.000Z-L01", "unit": "floor-03", "month": "2026-11", "id": "2026-0042",
    "path": "base.css", "from": "2026-11-24T09:00", "to": "2026-11-24T23:00", "line": "1", "page": "1", "days": "30",
    "after": "1", "until": "2027-11-24", "next": "/calls", "state": "recorded", "language": "en", "theme": "dark",
    "case": "2026-117", "case_number": "2026-117", "name": "officer", "password": "x" * 14,
}  # fmt: skip


@dataclass
class Pages:
    """A server on the loopback. `cookie`: of a person with access to all pages; `faults`: the count of page faults."""

    url: str
    place: str
    session: Callable[[], str]
    cookie: str
    faults: Callable[[], int]
    asked: int = 0
    before: list[bytes] = field(default_factory=list)
    _token: str = ""

    @property
    def token(self) -> str:
        """The session's token, renewed every 25 requests, because some requests log out."""
        if self.asked % 25 == 0:
            self._token = self.session()
        self.asked += 1
        return self._token

    def send(self, seed: bytes) -> None:
        """Sends `seed`; raises Find if the answer breaks the module's rules."""
        token = self.token
        data = seed.replace(TOKEN, token.encode()).replace(FORM, secure.token_of(token).encode())
        data = data.replace(PLACE, self.place.encode())
        known = self.faults()
        status = self._ask(data)
        self.before = [*self.before[-1:], data]
        if (status is not None and status >= 500 and status not in MEANT) or self.faults() != known:
            raise Find(f"a page answers {status}, {self.faults() - known} faults; sent: {self.before!r}"[:4000])

    def _ask(self, data: bytes) -> int | None:
        """The status of the answer; None without an answer, where none is required."""
        whole = is_request(data)
        with socket.create_connection((str(urlsplit(self.url).hostname), urlsplit(self.url).port), HANG_S) as peer:
            with contextlib.suppress(OSError):  # the server may have closed the connection
                peer.sendall(data)
            if whole is None:
                return None
            try:
                return _status_of(peer)
            except TimeoutError:
                raise Find(f"no answer within {HANG_S} s to {data[:2000]!r}") from None
            except ConnectionError:
                return None


def is_request(data: bytes) -> bool | None:
    """The verdict of h11: True for a whole request, False for an invalid one, None for an incomplete one."""
    if not data:  # h11 reads empty data as the end of the connection
        return None
    reader = h11.Connection(h11.SERVER, LONGEST_HEAD)
    try:
        reader.receive_data(data)
        while (event := reader.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                return True
    except h11.RemoteProtocolError:
        return False
    return None


def _status_of(peer: socket.socket) -> int | None:
    """The first final status (not 1xx)."""
    said = b""
    while True:
        for found in re.finditer(rb"^HTTP/1\.1 (\d{3}) [^\r]*\r\n", said, re.MULTILINE):
            if not found[1].startswith(b"1"):
                return int(found[1])
        piece = peer.recv(4096)
        if not piece:
            return None
        said += piece


def targets(pages: Pages, kind: str, gets: list[str], posts: dict[str, tuple[str, ...]], trials: int) -> list[Target]:
    """The targets of a server. `gets`: paths with their queries; `posts`: paths, and the fields of each form."""
    whole = [_request(pages, b"GET", path) for path in gets]
    whole += [_request(pages, b"POST", path, URLENCODED, _form(fields)) for path, fields in posts.items()]
    forms = [path.encode() + b"\n" + _form(fields) for path, fields in posts.items()]
    files = [path.encode() + b"\n" + MULTIPART + b"\n" + _multipart(fields) for path, fields in posts.items()]
    files += [
        path.encode() + b"\n" + ESCAPED + b"\n" + _multipart(fields, "x\\ud800") for path, fields in posts.items()
    ]
    asks = [b"GET " + gets[-1].encode(), b"GET " + gets[0].encode(), *(b"POST " + path.encode() for path in posts)]
    heads = [ask + b"\n" + header for ask in asks[:4] for header in [_HEADERS, *_HEADERS.split(b"\n")]]

    def at(path: bytes) -> str:
        return quote(path.replace(PLACE, pages.place.encode()), safe="/%?&=+:;,@!$'()*~[]{}|^<>\"")

    def target(data: bytes) -> None:
        """Requests a path; escapes bytes that are invalid in a request line, so that the page receives them."""
        pages.send(_request(pages, b"GET", at(data)))

    def form(data: bytes) -> None:
        path, _, body = data.partition(b"\n")
        pages.send(_request(pages, b"POST", at(path), URLENCODED, body))

    def multipart(data: bytes) -> None:
        path, _, rest = data.partition(b"\n")
        content, _, body = rest.partition(b"\n")
        pages.send(_request(pages, b"POST", at(path), content.replace(b"\r", b""), body))

    def headers(data: bytes) -> None:
        line, _, more = data.partition(b"\n")
        method, _, path = line.partition(b" ")
        pages.send(_request(pages, method, at(path), more=more))

    return [
        Target(f"{kind}, request", whole, pages.send, trials=trials),
        Target(f"{kind}, path and query", [path.encode() for path in gets], target, trials=trials),
        Target(f"{kind}, form", forms, form, trials=trials),
        Target(f"{kind}, form with files", files, multipart, trials=trials),
        Target(f"{kind}, headers", heads, headers, trials=trials),
    ]


_HEADERS = (
    b"Accept: text/html\nAccept-Language: ko-KR\nRange: bytes=0-1\nIf-None-Match: \"x\"\nIf-Modified-Since: Tue, 24 Nov"
    b" 2026 00:00:00 GMT\nX-Forwarded-For: 192.0.2.1, [2001:db8::1]:80\nSec-Fetch-Site: same-origin\nLast-Event-ID: 5\n"
    b"Forwarded: for=192.0.2.1\nExpect: 100-continue\nAuthorization: Bearer x\nReferer: https://[::1]/\n"
    b"Origin: http://[::1]:80\nCookie: __Host-linetap-form=x; language=en; theme=dark\nContent-Encoding: gzip"
)  # fmt: skip


def _request(
    pages: Pages, method: bytes, path: str, content: bytes = b"", body: bytes = b"", more: bytes = b""
) -> bytes:
    """A request. `more`: header lines placed before the usual ones, because many readers use the first of a name."""
    lines = [
        method + b" " + path.encode() + b" HTTP/1.1",
        b"Host: " + urlsplit(pages.url).netloc.encode(),
        *more.replace(b"\r", b"").split(b"\n"),
        b"Cookie: " + pages.cookie.encode() + b"=" + TOKEN,
    ]
    if method != b"GET":
        lines += [b"Origin: " + pages.url.encode(), b"X-CSRF-Token: " + FORM]
    if content:
        lines += [b"Content-Type: " + content, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(line for line in lines if line) + b"\r\n\r\n" + body


def _form(fields: tuple[str, ...]) -> bytes:
    pairs = (f"{name}={quote(_VALUES.get(name, '정호'))}" for name in fields)
    return f"{secure.FIELD}=".encode() + FORM + b"&" + "&".join(pairs).encode()


def _multipart(fields: tuple[str, ...], text: str = "") -> bytes:
    """A form's multipart body. `text`: replaces the valid values."""
    parts = [b'Content-Disposition: form-data; name="csrf"\r\n\r\n' + FORM]
    for name in fields:
        file = '; filename="a.sig"\r\nContent-Type: application/octet-stream' if name == "file" else ""
        value = text or _VALUES.get(name, '{"request":{},"sig":"x"}')
        parts.append(f'Content-Disposition: form-data; name="{name}"{file}\r\n\r\n{value}'.encode())
    return b"--x\r\n" + b"\r\n--x\r\n".join(parts) + b"\r\n--x--\r\n"


def of_desk(work: Path, held: contextlib.ExitStack) -> list[Target]:
    """Targets for every route of the desk, as a person with all roles."""
    (work / "desk").mkdir()
    house = CallsHouse(work / "desk")
    house.fill()
    held.callback(house.engine.dispose)
    picture_release.write_roles(house.folder)
    served = house.serve(more=f'{picture_release.SERVE}\nproxies = ["127.0.0.1"]')
    text = served.config.read_text()
    served.config.write_text(re.sub(r"^(?:certificate|key) = .*\n", "", text, flags=re.MULTILINE))
    held.enter_context(served)
    picture_release.ask(served.site, UNIT, house.names["marked"], NOW_NS)

    def faults() -> int:
        return sum(count for (_, _, status), count in served.site.figures.answers.items() if status == 500)

    pages = Pages(served.url, "", lambda: served.session(*ROLES), sessions.COOKIE, faults)
    gets, posts = [], {}
    for route in ROUTES:
        path = route.path
        for name in re.findall(r"\{(\w+)", path):
            path = re.sub(rf"\{{{name}(?::\w+)?\}}", _value(route.path, name), path)
        if "GET" in route.methods:
            gets.append(path + ("?" + "&".join(f"{name}={quote(_value(path, name))}" for name in route.takes)))
        if "POST" in route.methods:
            posts[path] = route.takes
    return targets(pages, "desk", gets, posts, trials=60)


def _value(path: str, name: str) -> str:
    return "H2026-0007" if path.startswith("/hold/{") and name == "id" else _VALUES.get(name, "x")


def of_custodian(desk: Desk, members: dict[str, bytes], held: contextlib.ExitStack) -> list[Target]:
    """Targets for the helper on the custodian's machine: any page in the browser can send it requests."""
    helper = held.enter_context(Helper(desk, members))
    inside = helper.inside()
    helper.site.end = lambda: None  # requests to end the helper must not end it
    said = held.enter_context(contextlib.redirect_stderr(io.StringIO()))
    room, token = helper.site.admission.room, str(inside.cookies.get(COOKIE))
    pages = Pages(helper.site.url, room, lambda: token, COOKIE, lambda: said.getvalue().count("page_fault"))
    call = f"PLACE/call/{CALL_ID}"
    gets = [
        "/",
        "/static/base.css",
        "PLACE/",
        call,
        f"{call}/sound.json",
        f"{call}/sound?from=0&speed=1.0",
        "PLACE/alive",
    ]
    posts: dict[str, tuple[str, ...]] = {"PLACE/look": ("language", "theme", "next"), "/": ("code",)}
    posts |= dict.fromkeys((f"{call}/listen", f"{call}/give", "PLACE/bundle", "PLACE/end"), ("sure",))
    return targets(pages, "custodian", gets, posts, trials=20)


def all_pages(work: Path, held: contextlib.ExitStack, desk: Desk, members: dict[str, bytes]) -> Iterator[Target]:
    yield from of_desk(work, held)
    yield from of_custodian(desk, members, held)
