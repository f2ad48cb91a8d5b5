# SPDX-License-Identifier: Apache-2.0
"""One question to the desk over HTTPS: bounded in size and time, no redirect, no proxy.

The desk's certificate is not checked: a new unit knows no authority yet. What comes is hostile until the digits were
compared, and then closed in boxes that only the desk of those digits can make (enrolment/adoption.py).
"""

from __future__ import annotations

import http.client
import ssl

from linetap_core import jsontext
from linetap_core.enrolment.adoption import MOST_MESSAGE_BYTES
from linetap_core.errors import DeviceFault

TIMEOUT_S = 10
NAMES = ("linetap-desk",)  # in the domain that DHCP names
_OK = 200


class DeskAway(DeviceFault):
    """Nobody answers there, or not as a desk does."""

    def __init__(self, text: str, gone: bool = False) -> None:
        super().__init__("desk_away", text)
        self.gone = gone  # a desk is there and does not know this exchange


def post(desk: tuple[str, int], path: str, body: bytes) -> bytes:
    """The answer's body. DeskAway for anything else than a complete answer of status 200."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(*desk, timeout=TIMEOUT_S, context=context)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json", "Accept": "application/json"})
        answer = connection.getresponse()
        data = answer.read(MOST_MESSAGE_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DeskAway(f"{desk[0]}:{desk[1]}: {str(error) or type(error).__name__}") from None
    finally:
        connection.close()
    if answer.status != _OK or len(data) > MOST_MESSAGE_BYTES:
        raise DeskAway(f"{desk[0]}:{desk[1]}: status {answer.status}", gone=answer.status in (404, 410))
    return data


def decode[T](data: bytes, kind: type[T]) -> T:
    try:
        return jsontext.decode(data, type=kind)
    except ValueError as error:
        raise DeskAway(f"an answer that no desk gives: {error}") from None
