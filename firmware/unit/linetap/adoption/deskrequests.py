# SPDX-License-Identifier: Apache-2.0
"""A new unit's requests to the desk over HTTPS, and the first part of an exchange: the unit sends its commitment and
polls until a person at a desk chooses it.

Each request is limited in size and time, without redirect or proxy. The desk's certificate is not checked: a new unit
has no authority yet. All answers are treated as hostile until the digits have been compared, and afterwards are boxes
that only the desk with those digits can make (enrolment/adoption.py). Until the choice neither the desk nor an attacker
can compute the digits, so the exchange may be restarted at any time.
"""

from __future__ import annotations

import contextlib
import http.client
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from linetap_core import jsontext
from linetap_core.enrolment import adoption
from linetap_core.enrolment.adoption import MOST_MESSAGE_BYTES, Begin, Channel, Chosen, Opening, Waits
from linetap_core.errors import DeviceFault
from linetap_core.httplimits import Limits

TIMEOUT_S = 10  # without a byte
TOTAL_S = 30  # in total, even for a peer that sends single bytes
NAMES = ("linetap-desk",)  # in the DHCP domain
_OK = 200


class DeskAway(DeviceFault):
    """No answer, or the answer of something other than a desk."""

    def __init__(self, text: str, gone: bool = False) -> None:
        super().__init__("desk_away", text)
        self.gone = gone  # the desk answers, but has no such exchange


def post(desk: tuple[str, int], path: str, body: bytes, total_s: float = TOTAL_S) -> bytes:
    """Sends a request; returns the answer's body. DeskAway for anything but a complete answer of status 200."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    limits = Limits.within(total_s, TIMEOUT_S)
    try:
        with contextlib.closing(limits.connection(*desk, context=context)) as connection:
            connection.request("POST", path, body, {"Content-Type": "application/json", "Accept": "application/json"})
            answer = connection.getresponse()
            data = answer.read(MOST_MESSAGE_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DeskAway(f"{desk[0]}:{desk[1]}: {str(error) or type(error).__name__}") from None
    if answer.status != _OK or len(data) > MOST_MESSAGE_BYTES:
        raise DeskAway(f"{desk[0]}:{desk[1]}: status {answer.status}", gone=answer.status in (404, 410))
    return data


def decode[T](data: bytes, kind: type[T]) -> T:
    try:
        return jsontext.decode(data, type=kind)
    except ValueError as error:
        raise DeskAway(f"an answer that no desk gives: {error}") from None


MOST_FAULTS = 5  # consecutive faults before the next desk
Post = Callable[[tuple[str, int], str, bytes], bytes]


@dataclass(slots=True)
class Asking:
    desk: tuple[str, int]
    run: str
    own: X25519PrivateKey
    begin: Begin
    opening: Opening
    faults: int = 0

    def ask(self, post: Post) -> Channel | None:
        """Polls the desk; None until it has chosen. After DeskAway and AdoptionFault see `is_lost` before the next
        poll.
        """
        self.faults += 1
        data = post(self.desk, f"/adopt/{self.run}/answer", b"{}")
        answer = decode(data, Chosen).answer
        self.faults = 0
        if answer is None:
            return None
        if answer.run != self.run:
            raise DeskAway("an answer to another exchange", gone=True)
        return adoption.channel(self.own, self.begin, answer, self.opening, answer.key)

    @property
    def is_lost(self) -> bool:
        return self.faults >= MOST_FAULTS


def begin(desks: list[tuple[str, int]], about: dict[str, str], post: Post) -> Asking:
    """Begins an exchange at the first desk that answers. DeskAway if none does."""
    own = X25519PrivateKey.generate()
    opening = Opening(key=adoption.public_of(own), nonce=secrets.token_hex(adoption.NONCE_BYTES))
    first = msgspec.structs.replace(Begin(commitment=adoption.commitment(opening)), **about)
    faults = []
    for desk in desks:
        try:
            waits = decode(post(desk, "/adopt", msgspec.json.encode(first)), Waits)
        except DeskAway as fault:
            faults.append(str(fault))
        else:
            return Asking(desk, waits.run, own, first, opening)
    raise DeskAway("; ".join(faults))
