# SPDX-License-Identifier: Apache-2.0
"""The package from the desk, by a ticket that is good once. The ticket is asked for, never an argument: every process
may read those."""

from __future__ import annotations

import contextlib
import getpass
import re
import ssl
import sys
from collections.abc import Iterator
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from linetap_core.errors import BadInput, Refusal
from linetap_desk.custody.tar import Source

_ANSWER_S = 60.0  # for a connection, and for each piece
_TICKET = re.compile(r"[0-9A-Za-z._~+/=-]{8,200}")
_CODE, _CODE_LIMIT_BYTES = re.compile(r"[a-z][a-z0-9_]{2,40}"), 64
_REFUSED = {401: "the ticket is not known, was used, or is older than ten minutes", 403: "the ticket does not allow it"}


def ask_ticket() -> str:
    found = (getpass.getpass("ticket: ") if sys.stdin.isatty() else sys.stdin.readline(1000)).strip()
    if _TICKET.fullmatch(found) is None:
        raise BadInput("the ticket: what the request's page at the desk shows once would be right")
    return found


@contextlib.contextmanager
def fetched(url: str, ca: Path | None, ticket: str) -> Iterator[Source]:
    """BadInput for a URL that is none or a desk that is not reached, Refusal where the desk says no."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme != "https" or not parts.hostname or port == 0 or parts.path not in ("", "/") or parts.query:
        raise BadInput(f"--desk {url}: https://desk.city.example:8443 would be right")
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise BadInput(f"--ca {ca}: {error.strerror or error}; the authority's ca.pem would be right") from None
    connection = HTTPSConnection(parts.hostname, port, timeout=_ANSWER_S, context=context)
    try:
        headers = {"Authorization": f"Bearer {ticket}", "User-Agent": "linetap", "Accept-Encoding": "identity"}
        connection.request("GET", "/package", headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            code = answer.read(_CODE_LIMIT_BYTES).decode("ascii", "replace").strip()
            why = _REFUSED.get(answer.status) or (code if _CODE.fullmatch(code) else answer.reason)
            raise Refusal(f"{url}: the desk gives no package: {answer.status}: {why}")
        yield answer
    except (OSError, HTTPException) as error:
        if isinstance(error, (BadInput, Refusal)):
            raise
        raise BadInput(f"{url}: {error}") from None
    finally:
        connection.close()
