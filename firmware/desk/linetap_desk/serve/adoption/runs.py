# SPDX-License-Identifier: Apache-2.0
"""Exchanges with units that nobody has confirmed yet: in memory alone, bounded, and each with one try at its digits.

The page never shows the digits: whoever types them has to have heard them from the closet. Wrong ones end the exchange,
and the unit begins another with other digits.
"""

from __future__ import annotations

import hmac
import secrets
from collections import Counter
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from linetap_core.clock import NS_PER_S, Clock
from linetap_core.enrolment import adoption
from linetap_core.enrolment.adoption import AdoptionFault, Answer, Begin, Channel, Opening

RUN_S = 960  # a unit shows the same digits for 900
MOST, MOST_OF_AN_ADDRESS = 64, 8
OPENS_WITHIN_S = 30


class TooMany(AdoptionFault):
    """So many wait already that a unit has to come again."""

    def __init__(self) -> None:
        super().__init__("adoption_many", f"{MOST} exchanges are open")


@dataclass(slots=True)
class Waiting:
    """`opening` and `channel` come with the unit's second message."""

    own: X25519PrivateKey
    committed: str
    answer: Answer
    address: str
    began_ns: int
    opening: Opening | None = None
    channel: Channel | None = None
    count: int = 0

    @property
    def run(self) -> str:
        return self.answer.run


class Runs:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[str, Waiting] = {}
        self.wrong = 0  # digits that did not fit, since the start

    def begin(self, said: Begin, address: str, name: str) -> Answer:
        """TooMany where there is no room. Of one address the oldest exchange makes room for the newest."""
        self._forget_old()
        mine = [one for one in self._waiting.values() if one.address == address]
        if len(mine) >= MOST_OF_AN_ADDRESS:
            del self._waiting[mine[0].run]
        elif len(self._waiting) >= MOST:
            raise TooMany
        own = X25519PrivateKey.generate()
        answer = Answer(
            run=secrets.token_hex(adoption.KEY_BYTES),
            key=adoption.public_of(own),
            nonce=secrets.token_hex(adoption.NONCE_BYTES),
            name=name,
        )
        self._waiting[answer.run] = Waiting(own, said.commitment, answer, address, self._clock.monotonic_ns())
        return answer

    def open(self, run: str, opening: Opening) -> None:
        """KeyError if there is no such run. AdoptionFault, and the run is over, for another opening than committed."""
        one = self.get(run)
        try:
            if one.opening is not None:
                raise AdoptionFault("adoption_opened", "this exchange was opened before")
            adoption.require_opened(one.committed, opening)
            one.channel = adoption.channel(one.own, one.committed, one.answer, opening, opening.key)
        except AdoptionFault:
            del self._waiting[run]
            raise
        one.opening = opening

    def get(self, run: str) -> Waiting:
        """KeyError if there is none."""
        self._forget_old()
        return self._waiting[run]

    def listed(self) -> list[Waiting]:
        """Those with digits, the oldest first."""
        self._forget_old()
        return [one for one in self._waiting.values() if one.channel is not None]

    def addresses(self) -> Counter[str]:
        return Counter(one.address for one in self.listed())

    def compare(self, run: str, typed: str) -> Waiting:
        """The run, which is then out of here. KeyError if there is none; AdoptionFault for other digits."""
        one = self.get(run)
        assert one.channel is not None
        del self._waiting[run]
        if not hmac.compare_digest(one.channel.digits.encode(), typed.encode()):
            self.wrong += 1
            raise AdoptionFault("adoption_digits", "these are not the digits that this desk has for the unit")
        return one

    def _forget_old(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for run, one in list(self._waiting.items()):
            most_s = RUN_S if one.opening is not None else OPENS_WITHIN_S
            if now_ns - one.began_ns >= most_s * NS_PER_S:
                del self._waiting[run]
