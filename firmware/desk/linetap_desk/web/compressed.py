# SPDX-License-Identifier: Apache-2.0
"""Compresses pages and scripts (gzip, by Starlette's middleware) unless another site may have requested them.

BREACH needs three things: a secret that is the same in each response, text of the attacker in the same response, and
the lengths of many of them. Secrets in pages are masked anew each time (secure.py). And a response is compressed only
if the browser states that our own page or the person made the request, and not another site.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEVEL = 4
LEAST_BYTES = 1000
RECORD_BYTES = 4096
_OWN = ("same-origin", "none")


class Compressed:
    """The middleware. `paths`: prefixes of the compressed paths. Streams are never compressed."""

    def __init__(self, app: ASGIApp, paths: tuple[str, ...]) -> None:
        self._app, self._paths = app, paths
        self._gzip = GZipMiddleware(app, minimum_size=LEAST_BYTES, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fits = scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith(self._paths)
        asked = Headers(scope=scope).get("sec-fetch-site", "none") if fits else ""
        await (self._gzip if asked in _OWN else self._app)(scope, receive, in_records(send) if fits else send)


def in_records(send: Send) -> Send:
    """Splits large writes. Each write is a TLS record, which a browser can read only as a whole: of a page in one
    record nothing is shown before its last packet."""

    async def cut(message: Message) -> None:
        body = message.get("body", b"")
        if message["type"] != "http.response.body" or len(body) <= RECORD_BYTES:
            await send(message)
            return
        for begin in range(0, len(body), RECORD_BYTES):
            more = message.get("more_body", False) or begin + RECORD_BYTES < len(body)
            await send({**message, "body": body[begin : begin + RECORD_BYTES], "more_body": more})

    return cut
