# SPDX-License-Identifier: Apache-2.0
"""The first part of an exchange: the unit sends its commitment and polls until a person at a desk chooses it.

Up to here neither the desk nor an attacker can compute the digits, so the exchange may be restarted at any time.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from linetap.adoption import https
from linetap.adoption.https import DeskAway
from linetap_core.enrolment import adoption
from linetap_core.enrolment.adoption import Begin, Channel, Chosen, Opening, Waits

MOST_FAULTS = 5  # in a row, before it tries another desk
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
        """None until the desk has chosen. After DeskAway and AdoptionFault `is_lost` decides whether to continue."""
        self.faults += 1
        data = post(self.desk, f"/adopt/{self.run}/answer", b"{}")
        answer = https.decode(data, Chosen).answer
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
    """Begins at the first desk that answers. DeskAway if none does."""
    own = X25519PrivateKey.generate()
    opening = Opening(key=adoption.public_of(own), nonce=secrets.token_hex(adoption.NONCE_BYTES))
    first = msgspec.structs.replace(Begin(commitment=adoption.commitment(opening)), **about)
    faults = []
    for desk in desks:
        try:
            waits = https.decode(post(desk, "/adopt", msgspec.json.encode(first)), Waits)
        except DeskAway as fault:
            faults.append(str(fault))
        else:
            return Asking(desk, waits.run, own, first, opening)
    raise DeskAway("; ".join(faults))
