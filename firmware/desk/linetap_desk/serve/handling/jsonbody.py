# SPDX-License-Identifier: Apache-2.0
"""The body of a request by a program: JSON of one kind, read no further than it may be long."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request

from linetap_core import jsontext


async def json_body[T](request: Request, kind: type[T], most_bytes: int) -> T:
    """HTTPException 413 for a longer one, 400 for one of another kind."""
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > most_bytes:
            raise HTTPException(413)
    try:
        return jsontext.decode(data, type=kind)
    except ValueError:
        raise HTTPException(400) from None
