# SPDX-License-Identifier: Apache-2.0
"""A request has an end: so many bytes, and no more."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linetap.desk.serve.secure import MOST_BODY_BYTES


class Bounded:
    """413 where the body is longer, said before or found while it comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > MOST_BODY_BYTES:
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)
