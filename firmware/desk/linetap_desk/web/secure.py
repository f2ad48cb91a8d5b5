# SPDX-License-Identifier: Apache-2.0
"""Security of requests and responses: client address behind proxies, form tokens, origin checks, response headers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import FormData, MutableHeaders, UploadFile
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def client_address(request: Request, proxies: frozenset[Address]) -> str:
    """The client's address: the last address in X-Forwarded-For that is not one of our proxies. A client can forge the
    earlier ones."""
    address = _address(request.client.host if request.client else "")
    if address is None:
        return ""
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    while address in proxies and forwarded:
        following = _address(forwarded.pop().strip())
        if following is None:
            break
        address = following
    return str(address)


def path_of(request: Request) -> str:
    """The path. Unlike request.url.path it does not keep the whole URL with all typed values in the cache of
    urlsplit."""
    path: str = request.scope["path"]
    return path.replace("?", "%3F").replace("#", "%23").replace("\\", "%5C")


def page_address_of(request: Request) -> str:
    """Path and query of the page that a person sees. For the response to a form it is the form's page, which the
    browser names as the referrer (`Referrer-Policy: same-origin`)."""
    if request.method == "GET":
        query = request.scope["query_string"].decode("latin-1")
        return path_of(request) + (f"?{query}" if query else "")
    _, _, address = request.headers.get("referer", "").partition("://")  # urlsplit would cache typed text: path_of
    host, slash, rest = address.partition("/")
    return f"/{rest.partition('#')[0]}" if slash and host == request.headers.get("host") else path_of(request)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)


def policy_with_style(style: str) -> str:
    """The content security policy of a page with this one inline style sheet, allowed by its hash."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return POLICY.replace("style-src 'self'", f"style-src 'self' 'sha256-{digest}'")


# same-origin, not no-referrer: with the latter a browser sends `Origin: null` from our own forms.
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=(), display-capture=()",
    "Strict-Transport-Security": "max-age=63072000",
    "Cache-Control": "no-store",
}
MOST_BODY_BYTES = 1 << 16
FIELD, HEADER = "csrf", "x-csrf-token"
_TOKEN_DIGITS, _HEX = 64, re.compile(r"[0-9a-f]+")


class Headers:
    """The middleware that adds the headers to every response. A handler's own Cache-Control stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


_BEARER = re.compile(r"Bearer ([0-9A-Za-z_-]{43})", re.ASCII)


def bearer_token(request: Request) -> str:
    """The token of a program's request; empty if it has none of our form."""
    found = _BEARER.fullmatch(request.headers.get("authorization", ""))
    return found[1] if found else ""


def digest(secret: str) -> str:
    """SHA-256 of a token, a code or a typed name, which is stored instead."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def token_of(secret: str) -> str:
    """The token of a form, derived from a cookie that no other site can read."""
    return hmac.new(secret.encode("utf-8", "replace"), b"linetap form", hashlib.sha256).hexdigest()


def masked(secret: bytes) -> bytes:
    """The secret, masked differently each time, at twice the length, so that lengths of compressed responses reveal
    nothing (BREACH). `unmasked` and static/draft.js reverse it."""
    pad = secrets.token_bytes(len(secret))
    return pad + bytes(one ^ other for one, other in zip(pad, secret, strict=True))


def unmasked(data: bytes) -> bytes:
    half = len(data) // 2
    return bytes(one ^ other for one, other in zip(data[:half], data[half:], strict=False))


def form_token(secret: str) -> str:
    """The masked token, as a page contains it."""
    return masked(bytes.fromhex(token_of(secret))).hex()


def is_token(found: object, secret: str) -> bool:
    """Whether `found` is the form token, masked or unmasked. Form text may contain a lone surrogate, if its charset
    encodes one."""
    if not isinstance(found, str):
        return False
    if len(found) == 2 * _TOKEN_DIGITS and _HEX.fullmatch(found):
        found = unmasked(bytes.fromhex(found)).hex()
    return hmac.compare_digest(found.encode("utf-8", "replace"), token_of(secret).encode())


def is_text(form: FormData) -> bool:
    """Whether the whole form can be stored as UTF-8: a charset may encode a lone surrogate."""
    words = [word for name, value in form.multi_items() for word in (name, _name_of(value))]
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        return False
    return True


def _name_of(value: str | UploadFile) -> str:
    return value if isinstance(value, str) else value.filename or ""


def is_own_origin(headers: Mapping[str, str], own: str) -> bool:
    """Whether the request comes from our own page. Every known browser sends the origin of a POST; a request without it
    is refused."""
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = headers.get("origin", "")
    try:
        return bool(origin) and urlsplit(origin)[:2] == urlsplit(own)[:2]
    except ValueError:  # such as "http://["
        return False


_FOLLOWED = {
    "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-user": "?1",
}  # fmt: skip


def came_by_link(headers: Mapping[str, str]) -> bool:
    """Whether a person followed a link from another site: then the browser omits strict cookies, and sends them with
    the next request of our own page."""
    return all(headers.get(name) == value for name, value in _FOLLOWED.items())


Address = ipaddress.IPv4Address | ipaddress.IPv6Address
